"""``flask dispatch check-delivery``: ask the gateways now what became of messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.cli.base import (
    ID,
    SYSTEM,
    fail,
    guarded,
    iso,
    json_option,
    print_json,
    ready,
)
from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports.asking import Asked
from clinic_dispatch_plugin.reports.checking import can_be_asked_until, check_now, open_ones

#: What gateways say, in the order it is printed.
_SAID = ("delivered", "failed", "under_way", "accepted", "no_report", "not_found")


def register(group: AppGroup) -> None:
    """Add the command."""
    group.add_command(check_delivery)


@click.command("check-delivery")
@click.option("--mailing", "mailing_id", type=ID, help="Only the messages of this mailing.")
@json_option
@guarded
def check_delivery(mailing_id: int | None, as_json: bool) -> None:
    """Ask each gateway now about up to 100 messages that have no report yet; workers go on with the others."""
    dispatch = ready()
    if mailing_id is not None:
        try:
            mailings.summary(dispatch, mailing_id)
        except LookupError:
            fail(f"There is no mailing {mailing_id}.")
    rows = [
        _row(dispatch, each, mailing_id)
        for each in check_now(dispatch, SYSTEM, mailing_id=mailing_id)
    ]
    until = iso(can_be_asked_until(dispatch, mailing_id=mailing_id))
    if as_json:
        print_json({"accounts": rows, "can_be_asked_until": until})
        return
    if not rows:
        click.echo("No account is configured whose gateway can be asked.")
    for row in rows:
        click.echo(_line(row))
    if until:
        click.echo(f"The last of them can be asked for until {until}.")


def _row(dispatch: Dispatch, asked: Asked, mailing_id: int | None) -> dict[str, Any]:
    account, trouble = asked.askable.account, asked.trouble
    return {
        "channel": account.channel,
        "account": account.key,
        "label": account.label,
        "asked": asked.number,
        "said": {name: asked.said[name] for name in _SAID if asked.said[name]},
        "without_report": open_ones(dispatch, asked.askable, mailing_id=mailing_id),
        "trouble": {"system": trouble.answer.system, "code": trouble.answer.code}
        if trouble
        else None,
        "next_question_at": iso(asked.until),
    }


def _line(row: Mapping[str, Any]) -> str:
    said = ", ".join(f"{number} {name}" for name, number in row["said"].items())
    parts = [f"asked for {row['asked']}"]
    if said:
        parts.append(f"it says: {said}")
    if row["trouble"]:
        parts.append(f"it refused: {row['trouble']['system']} {row['trouble']['code']}")
    parts.append(f"{row['without_report']} without a report")
    if row["next_question_at"] and row["without_report"]:
        parts.append(f"next question at {row['next_question_at']}")
    return f"{row['channel']} ({row['label']}): {'; '.join(parts)}"
