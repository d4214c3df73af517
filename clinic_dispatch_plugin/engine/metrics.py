"""What sends, in the words of Prometheus: read from the database, so that all processes say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import RowMapping

from clinic_dispatch_plugin.accounts.rules import AccountState
from clinic_dispatch_plugin.engine.presence import Presence, look
from clinic_dispatch_plugin.registry import Dispatch

#: The media type of the text format.
TEXT = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "clinic_dispatch_"
_Sample = tuple[Mapping[str, str], float]


def exposition(dispatch: Dispatch) -> str:
    """Everything, as Prometheus reads it; no name, no address, no text of anybody."""
    return "".join(_metric(*each) for each in _metrics(look(dispatch)))


def _metrics(found: Presence) -> Iterable[tuple[str, str, list[_Sample]]]:
    def one(value: float) -> list[_Sample]:
        return [({}, value)]

    def of(row: RowMapping) -> dict[str, str]:
        return {"channel": str(row["channel"]), "account": str(row["key"])}

    yield "up", "Whether the database answers.", one(1)
    yield "queue_up", "Whether Redis answers.", one(int(found.queue_answers))
    yield (
        "restored",
        "Whether nothing is sent because the database was restored from a backup.",
        one(int(found.restored)),
    )
    yield "workers", "Workers seen in the last half minute.", one(len(found.workers))
    yield "runs", "Runs that are sending.", one(found.runs)
    yield "mailings_running", "Mailings that are at work.", one(found.mailings)
    yield "messages_due", "Messages that are due now.", one(found.waiting)
    yield (
        "oldest_due_seconds",
        "For how long the oldest due message has been due.",
        one(found.waiting_seconds or 0.0),
    )
    yield (
        "handed_over_last_minute",
        "Messages handed over in the last minute, by account.",
        [(of(row), float(found.a_minute.get(row["id"], 0))) for row in found.accounts],
    )
    yield (
        "account_state",
        "1 for the state an account is in.",
        [
            ({**of(row), "state": state.value}, float(row["state"] == state.value))
            for row in found.accounts
            for state in AccountState
        ],
    )
    yield (
        "account_slowed",
        "Whether an account goes at half its rate, because its gateway asked for it.",
        [(of(row), float(row["id"] in found.slowed)) for row in found.accounts],
    )


def _metric(name: str, words: str, samples: Iterable[_Sample]) -> str:
    lines = [f"# HELP {_PREFIX}{name} {words}", f"# TYPE {_PREFIX}{name} gauge"]
    lines += [f"{_PREFIX}{name}{_labels(labels)} {value:.15g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    said = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{said}}}" if said else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
