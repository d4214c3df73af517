"""``flask dispatch messages`` and ``status``: what became of everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy import RowMapping

from clinic_dispatch_plugin.cli.base import (
    ID,
    fail,
    guarded,
    json_option,
    language_option,
    print_json,
    print_table,
    ready,
    typed,
)
from clinic_dispatch_plugin.engine.presence import look
from clinic_dispatch_plugin.error_reference.answers import Explained, explained
from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.messages.commands import messages_for_command
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.registry import Dispatch


def register(group: AppGroup) -> None:
    """Add the commands."""
    group.add_command(list_messages)
    group.add_command(status)


@click.command("messages")
@click.option("--mailing", type=ID, help="Only of this mailing.")
@click.option(
    "--status",
    "state",
    type=click.Choice([state.value for state in MessageState]),
    help="Only in this state.",
)
@json_option
@language_option
@guarded
def list_messages(mailing: int | None, state: str | None, as_json: bool, lang: str | None) -> None:
    """List messages with what explains them, oldest first."""
    dispatch = ready()
    language = lang or dispatch.settings.locale
    if mailing is not None:
        _check_mailing(dispatch, mailing)
    rows = messages_for_command(
        dispatch,
        mailing_id=mailing,
        state=MessageState(state) if state else None,
        language=language,
    )
    if as_json:
        for row in rows:
            print_json(row)
        return
    print_table(
        ([row["id"], row["status"], row["address"], row["note"] or ""] for row in rows),
        ["id", "status", "address", "note"],
    )


def _check_mailing(dispatch: Dispatch, mailing_id: int) -> None:
    try:
        mailings.summary(dispatch, mailing_id)
    except LookupError:
        fail(f"There is no mailing {mailing_id}.")


@click.command("status")
@json_option
@guarded
def status(as_json: bool) -> None:
    """Say who is at work, what waits, and what stands still and why."""
    found = _status(ready())
    if as_json:
        print_json(found)
        return
    _print_status(found)


def _print_status(found: Mapping[str, Any]) -> None:
    queue = found["queue"]
    kind = "embedded server" if queue["embedded"] else "Redis"
    answers = "answers" if queue["reachable"] else "does not answer"
    if queue["embedded"] and not queue["reachable"]:
        answers = "not running (it lives while a worker does)"
    click.echo(f"queue      {kind}: {answers}")
    none = "" if found["workers"] else f": start one with {typed('worker')}"
    click.echo(f"workers    {len(found['workers'])}{none}")
    for worker in found["workers"]:
        seen = f"seen {worker['seen_seconds_ago']:.0f} s ago"
        click.echo(f"           {worker['name']}, version {worker['version']}, {seen}")
    if found["restored"]:
        click.echo(
            "backup     the database was restored, so nothing is sent: "
            f"run {typed('recover --restored')}"
        )
    oldest = found["oldest_waiting_seconds"]
    since = "" if oldest is None else f", the oldest for {oldest:.0f} s"
    click.echo(f"waiting    {found['waiting']} due now{since}; {found['running']} mailings running")
    click.echo(f"sending    {found['sent_last_minute']} in the last minute")
    for account in found["accounts"]:
        why = f": {account['note']}" if account["note"] else ""
        name = f"{account['channel']}/{account['key']}"
        slow = ", at half its rate: its gateway asked for it" if account["slowed"] else ""
        click.echo(f"account    {name} {account['state']}{slow}{why}")
        if account["what_helps"]:
            click.echo(f"           {account['what_helps']}")


def _status(dispatch: Dispatch) -> dict[str, Any]:
    language = dispatch.settings.locale
    found = look(dispatch)
    with dispatch.database.begin() as connection:
        answers = explained(dispatch, connection, (row["answer_id"] for row in found.accounts))
    waited = found.waiting_seconds
    return {
        "workers": [
            {
                "name": row["name"],
                "version": row["version"],
                "concurrency": row["concurrency"],
                "seen_seconds_ago": round((found.at - row["seen_at"]).total_seconds(), 1),
            }
            for row in found.workers
        ],
        "runs": found.runs,
        "waiting": found.waiting,
        "oldest_waiting_seconds": None if waited is None else round(waited, 1),
        "running": found.mailings,
        "restored": found.restored,
        "sent_last_minute": sum(found.a_minute.values()),
        "accounts": [
            {
                "channel": row["channel"],
                "key": row["key"],
                "state": row["state"],
                "note": _said(answers, row, "short", language),
                "what_helps": _said(answers, row, "what_helps", language),
                "sent_last_minute": found.a_minute[row["id"]],
                "slowed": row["id"] in found.slowed,
            }
            for row in found.accounts
        ],
        "queue": {"reachable": found.queue_answers, "embedded": dispatch.doorbell.embedded},
    }


def _said(answers: Mapping[int, Explained], row: RowMapping, field: str, language: str) -> str:
    """Why an account does not send, and what helps, in the reference's words; empty while it does."""
    answer = answers.get(row["answer_id"] or 0)
    return answer.text(field, language) if answer is not None and row["state"] != "ready" else ""
