"""Everything we hold about one patient: given out whole, or erased, as they may ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.mailings.ending import BATCH
from clinic_dispatch_plugin.messages import contents, lists_store, store, stripping
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports import forgetting

#: Of an attempt and of a report, what is about the patient.
_ATTEMPT = ("number", "channel", "address", "state", "opened_at", "closed_at", "answer_text")
_REPORT = ("received_at", "action", "answer_system", "answer_code", "answer_text")
_BOUNCE = ("received_at", "action", "raw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What became of a patient's messages."""

    erased: int
    #: They wait or are being sent: cancel their mailings, or wait, and erase again.
    under_way: int


def erase(dispatch: Dispatch, ref: str) -> Erased:
    """Remove what is personal from every message of a patient that is over; blocks of addresses stay.

    A block names no patient and holds no address: it keeps being what they asked for. The deed is written down
    without the patient.
    """
    after = erased = under_way = 0
    while True:
        with dispatch.database.begin() as connection:
            rows = stripping.of_patient(connection, ref, after=after, limit=BATCH)
        if not rows:
            return Erased(erased=erased, under_way=under_way)

        def work(connection: Connection, rows: list[RowMapping] = rows) -> tuple[int, int]:
            done, left = stripping.erase(connection, rows)
            forgetting.forget_messages(connection, [row["id"] for row in rows])
            store.write_audit(
                connection,
                actor_ref="system",
                actor_name="",
                action="erase_patient",
                details={"messages": done},
            )
            return done, left

        done, left = dispatch.database.run(work)
        after, erased, under_way = rows[-1]["id"], erased + done, under_way + left


def export(dispatch: Dispatch, ref: str) -> Iterator[dict[str, Any]]:
    """Every message of a patient with its words, its attempts and what was reported, the first one first."""
    after = 0
    while True:
        with dispatch.database.begin() as connection:
            rows = stripping.of_patient(connection, ref, after=after, limit=BATCH)
            several = [_told(dispatch, connection, row) for row in rows]
        yield from several
        if not rows:
            return
        after = rows[-1]["id"]


def _told(dispatch: Dispatch, connection: Connection, row: Mapping[Any, Any]) -> dict[str, Any]:
    mailing = lists_store.mailing(connection, row["mailing_id"])
    words = contents.render(dispatch, connection, row)
    reports, bounces = forgetting.about(connection, [row["id"]])
    return {
        "message": row["id"],
        "mailing": mailing["name"] if mailing else "",
        "purpose": mailing["purpose"] if mailing else "",
        "channel": row["channel"],
        "state": row["state"],
        "name": row["name"],
        "address": row["address"],
        "values": row["data"],
        "created_at": _iso(row["created_at"]),
        "sent_at": _iso(row["sent_at"]),
        "final_at": _iso(row["final_at"]),
        "subject": words.subject,
        "text": words.text,
        "attempts": [
            _some(each, _ATTEMPT) for each in stripping.attempts_of(connection, [row["id"]])
        ],
        "reports": [_some(each, _REPORT) for each in reports],
        "bounces": [_some(each, _BOUNCE) for each in bounces],
    }


def _some(row: Mapping[Any, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: _iso(row[name]) if isinstance(row[name], datetime) else row[name] for name in names
    }


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None
