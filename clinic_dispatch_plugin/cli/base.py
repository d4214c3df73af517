"""What all commands share: the group, the application's dispatch, and how results are printed."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
from flask.cli import AppGroup, ScriptInfo, with_appcontext
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.database import migrate
from clinic_dispatch_plugin.messages.access import CommandLine
from clinic_dispatch_plugin.messages.fingerprints import AddressesUnknown
from clinic_dispatch_plugin.registry import Dispatch, current_dispatch
from clinic_dispatch_plugin.web.asking import HostFailed

P = ParamSpec("P")
R = TypeVar("R")

dispatch = AppGroup("dispatch", help="Mailings to patients, and the reference of their errors.")

#: Who acts when a command is typed; the audit trail shows it.
SYSTEM = CommandLine(name="command line")

#: Why nothing is sent without the key of the blocked addresses, and what to do.
ADDRESSES_UNKNOWN = (
    "no key of CLINIC_DISPATCH_SECRET_KEYS knows blocked addresses again, so nothing is sent"
)
PUT_BACK = "put the key from before behind the newest"
#: Characters of a path that are shown.
_LONGEST_PLACE = 300
#: The largest id every database holds.
ID = click.IntRange(1, 2**63 - 1)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object; for lists, one a line."
)
language_option = click.option(
    "--lang", type=click.Choice(LANGUAGES), help="Language of notes; the configured one by default."
)


def fail(text: str) -> NoReturn:
    """End with words on standard error and exit status 1."""
    raise click.ClickException(text)


def typed(words: str) -> str:
    """A command of ours as this person has to type it: with their application, or as the demo clinic's."""
    context = click.get_current_context(silent=True)
    info = context.find_object(ScriptInfo) if context else None
    if context is not None and info is None:
        return f"clinic-dispatch {words}"
    name = info.app_import_path if info is not None else None
    return f"flask{f' --app {name}' if name else ''} dispatch {words}"


def ready() -> Dispatch:
    """The application's dispatch with its tables in place, or an end that says what to type."""
    found = current_dispatch()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Every command that rings says in its own words that nobody is there to hear it.
    logging.getLogger("clinic_dispatch_plugin.queue.doorbell").setLevel(logging.ERROR)
    try:
        revision = migrate.current(found.database)
    except SQLAlchemyError as error:
        fail(unusable(error))
    if revision is None:
        fail(f"The database has no tables of ours yet: run `{typed('db upgrade')}` first.")
    if not migrate.fits(revision):
        fail(
            f"The database is at revision {revision}, this version needs {migrate.head()}: "
            f"run `{typed('db upgrade')}` first, or, where the database is the newer one, install the newer program."
        )
    return found


def unusable(error: SQLAlchemyError) -> str:
    """What a database's error means, in words; never the statement, whose values could be patients' data."""
    original = getattr(error, "orig", None)
    said = type(original or error).__name__
    if (
        isinstance(error, DBAPIError) and error.statement is None
    ):  # no connection: nothing of ours in it
        said = (
            f"{said}: {str(original).strip().splitlines()[0][:200]}"
            if str(original).strip()
            else said
        )
        return (
            f"The database cannot be reached ({said}): check CLINIC_DISPATCH_DATABASE_URL or the host's "
            "SQLALCHEMY_DATABASE_URI, and that the server is running."
        )
    return f"The database refused or went away ({said}): try again, or ask the doctor: {typed('check')}"


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command its application, and turn what fails around it into words: a traceback could show data."""

    @with_appcontext
    @functools.wraps(command)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SQLAlchemyError as error:
            fail(unusable(error))
        except HostFailed as error:
            fail(silent_host(error))
        except AddressesUnknown:
            fail(f"{ADDRESSES_UNKNOWN}: {PUT_BACK}.")
        except BrokenPipeError:
            raise  # whoever read the output has gone; click ends quietly
        except OSError as error:
            fail(unusable_place(error))

    return inside


def silent_host(error: Exception) -> str:
    """That the adapter raised, in words; what it said may hold patients' data."""
    kind = f" ({type(error.__cause__).__name__})" if error.__cause__ is not None else ""
    return (
        f"The clinic's system could not be asked{kind}, so nothing was changed: try again in a moment, "
        "or mend the host's adapter; the log says where it failed."
    )


def unusable_place(error: OSError) -> str:
    """A file or folder that cannot be used, and what to look at."""
    reason = (error.strerror or type(error).__name__).lower()
    if error.filename is None:
        return f"This machine refused: {reason}. Try again, or ask the doctor: {typed('check')}"
    place = str(error.filename)
    shown = place if len(place) <= _LONGEST_PLACE else f"{place[:_LONGEST_PLACE]}…"
    return f"{shown}: {reason}. Check the name, and that you may read and write there."


def print_json(value: Mapping[str, Any]) -> None:
    """One object on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def print_table(rows: Iterable[Iterable[object]], headings: Iterable[str]) -> None:
    """Rows under headings, columns as wide as they must be; nothing when there are none."""
    lines = [[str("" if cell is None else cell) for cell in row] for row in rows]
    heads = list(headings)
    widths = [max([len(head), *(len(line[i]) for line in lines)]) for i, head in enumerate(heads)]
    for line in [heads, *lines]:
        click.echo(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )


def _plain(value: object) -> str:
    return iso(value) or "" if isinstance(value, datetime) else str(value)


def iso(value: datetime | None) -> str | None:
    """ISO 8601 in UTC; None stays None."""
    return value.isoformat(timespec="milliseconds") if value else None
