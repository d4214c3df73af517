"""What all commands share: the group, the application's dispatch, and how results are printed."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.database import migrate
from clinic_dispatch_plugin.messages.access import CommandLine
from clinic_dispatch_plugin.registry import Dispatch, current_dispatch

P = ParamSpec("P")
R = TypeVar("R")

dispatch = AppGroup("dispatch", help="Mailings to patients, and the reference of their errors.")

#: Who acts when a command is typed; the audit trail shows it.
SYSTEM = CommandLine(name="command line")

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object; for lists, one a line."
)
language_option = click.option(
    "--lang", type=click.Choice(LANGUAGES), help="Language of notes; the configured one by default."
)


def fail(text: str) -> NoReturn:
    """End with words on standard error and exit status 1."""
    raise click.ClickException(text)


def ready() -> Dispatch:
    """The application's dispatch with its tables in place, or an end that says what to type."""
    found = current_dispatch()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        revision = migrate.current(found.database)
    except SQLAlchemyError as error:
        fail(
            f"The database cannot be used ({type(error).__name__}): check CLINIC_DISPATCH_DATABASE_URL or the "
            "host's SQLALCHEMY_DATABASE_URI, and that the server is running."
        )
    if revision is None:
        fail("The database has no tables of ours yet: run `flask dispatch db upgrade` first.")
    if revision != migrate.head():
        fail(
            f"The database is at revision {revision}, this version needs {migrate.head()}: "
            "run `flask dispatch db upgrade` first."
        )
    return found


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn a database that went away into words instead of a traceback, which could show patients' data."""

    @functools.wraps(command)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SQLAlchemyError as error:
            original = getattr(error, "orig", None)
            fail(f"The database refused or went away: {type(original or error).__name__}. Try again.")

    return inside


def print_json(value: Mapping[str, Any]) -> None:
    """One object on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def print_table(rows: Iterable[Iterable[object]], headings: Iterable[str]) -> None:
    """Rows under headings, columns as wide as they must be; nothing when there are none."""
    lines = [[str("" if cell is None else cell) for cell in row] for row in rows]
    heads = list(headings)
    widths = [max([len(head), *(len(line[i]) for line in lines)]) for i, head in enumerate(heads)]
    for line in [heads, *lines]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _plain(value: object) -> str:
    return iso(value) or "" if isinstance(value, datetime) else str(value)


def iso(value: datetime | None) -> str | None:
    """ISO 8601 in UTC; None stays None."""
    return value.isoformat(timespec="milliseconds") if value else None
