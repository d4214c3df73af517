"""``flask dispatch bounces read|fetch``: bounce mails from files and from the configured mailbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.cli.base import (
    SYSTEM,
    fail,
    guarded,
    json_option,
    language_option,
    print_json,
    ready,
)
from clinic_dispatch_plugin.reports.files import Found, mails_in
from clinic_dispatch_plugin.reports.mailbox import MailboxProblem
from clinic_dispatch_plugin.reports.mailbox import fetch as fetch_mailbox
from clinic_dispatch_plugin.reports.service import Result, Understood, look_at, take

bounces = AppGroup("bounces", help="Mails that came back: read them, tie them to their messages.")


def register(group: AppGroup) -> None:
    """Add the commands to ``dispatch``."""
    group.add_command(bounces)
    bounces.add_command(read)
    bounces.add_command(fetch)


@click.command("read")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only read: keep nothing, change no message.")
@json_option
@language_option
@guarded
def read(files: tuple[Path, ...], dry_run: bool, as_json: bool, lang: str | None) -> None:
    """Read bounce mails from FILES: single mails, mboxes, Maildirs, folders of .eml files.

    Each is kept and tied to its message, which then counts as not delivered; with --dry-run nothing is kept.
    """
    dispatch = ready()
    language = lang or dispatch.settings.locale
    for found in _all(files):
        result = (
            look_at(dispatch, found.raw)
            if dry_run
            else take(dispatch, found.raw, source="command", by=SYSTEM.name)
        )
        if as_json:
            print_json({"file": found.name, **described(result, language)})
        else:
            click.echo(_line(found.name, result, language))


@click.command("fetch")
@json_option
@guarded
def fetch(as_json: bool) -> None:
    """Read what is new in the mailbox of CLINIC_DISPATCH_BOUNCES_URL; workers do this every five minutes."""
    dispatch = ready()
    try:
        done = fetch_mailbox(dispatch)
    except MailboxProblem as error:
        fail(f"The mailbox cannot be read: {error}")
    if as_json:
        print_json({"read": done.read, "new": done.new, "tied": done.tied})
    else:
        click.echo(f"{done.read} read, {done.new} of them new, {done.tied} tied to a message")


def described(result: Result, language: str) -> Mapping[str, Any]:
    """A mail as programs read it."""
    return {
        "kind": result.read.kind.value,
        "recipients": [_recipient(each, result, language) for each in result.recipients],
        "message": result.message_id,
        "bounce": result.bounce_id,
        "new": result.new,
    }


def _recipient(each: Understood, result: Result, language: str) -> dict[str, Any]:
    said, entry = each.said, each.explanation.entry
    explained = said.action in ("failed", "delayed") and entry is not None
    return {
        "address": said.address,
        "action": said.action.value,
        "code": said.code,
        "answer": said.answer,
        "entry": {
            "system": entry.system,
            "code": entry.code,
            "matched": each.explanation.matched.value,
        }
        if explained and entry
        else None,
        "category": entry.category if explained and entry else "",
        "note": entry.text("short", language) if explained and entry else "",
        "message": result.message_id,
    }


def _line(name: str, result: Result, language: str) -> str:
    told = [
        " ".join(
            part
            for part in (
                row["address"],
                row["action"],
                row["code"],
                f"– {row['note']}" if row["note"] else "",
            )
            if part
        )
        for row in described(result, language)["recipients"]
    ]
    end = f" → message {result.message_id}" if result.message_id else ""
    again = "" if result.new or result.bounce_id is None else " (was here already)"
    return f"{name}: {result.read.kind.value}: {'; '.join(told) or 'nothing found'}{end}{again}"


def _all(files: tuple[Path, ...]) -> Iterator[Found]:
    for path in files:
        try:
            yield from mails_in(path)
        except OSError as error:
            fail(f"{path}: {(error.strerror or 'it cannot be read').lower()}.")
