"""``flask dispatch reference update|export|import|undo-import``: the reference as a file, and back."""

from __future__ import annotations

import io
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import BinaryIO

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
    typed,
)
from clinic_dispatch_plugin.cli.reference import reference
from clinic_dispatch_plugin.cli.waiting import changed, yes_option
from clinic_dispatch_plugin.error_reference import importing
from clinic_dispatch_plugin.error_reference.bytes_read import MOST_BYTES, FileFault, too_large
from clinic_dispatch_plugin.error_reference.carrying import Deed, Plan, Verb
from clinic_dispatch_plugin.error_reference.packs import install_packs
from clinic_dispatch_plugin.registry import Dispatch

#: Fields of one entry that are shown.
_SHOWN = 3


def register(group: AppGroup) -> None:
    """Add the commands to those of ``reference``."""
    for command in (update, export, import_entries, undo_import):
        reference.add_command(command)


@click.command("update")
@guarded
def update() -> None:
    """Bring in what installed plugins ship by now; the clinic's own words stay."""
    done = install_packs(ready())
    for pack, count in done.items():
        click.echo(f"{count} entries of {pack}")
    if not done:
        click.echo("everything is up to date")


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path), default="-")
@click.option("--csv", "as_csv", is_flag=True, help="For a spreadsheet; by itself for NAME.csv.")
@click.option("--all/--own", "everything", default=True, help="Or only what the clinic wrote.")
@language_option
@guarded
def export(file: Path, as_csv: bool, everything: bool, lang: str | None) -> None:
    """Write the whole reference as JSON Lines or CSV, to standard output by default."""
    dispatch = ready()
    kind = "csv" if as_csv or file.suffix.lower() == ".csv" else "jsonl"
    pieces = importing.exported(
        dispatch, kind, language=lang or dispatch.settings.locale, own_only=not everything
    )
    content = "".join(pieces).encode()
    if str(file) == "-":
        click.echo(content, nl=False)
        return
    try:
        file.write_bytes(content)
    except OSError as error:
        fail(f"{file}: {(error.strerror or 'it cannot be written').lower()}.")
    click.echo(f"the reference is written to {file}", err=True)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what the file would do.")
@click.option("--skip-refused", is_flag=True, help="Import the others where a row is refused.")
@yes_option
@json_option
@guarded
def import_entries(file: Path, dry_run: bool, skip_refused: bool, yes: bool, as_json: bool) -> None:
    """Read what `export` wrote (- is standard input): entries are added or changed, never removed."""
    dispatch = ready()
    with ExitStack() as stack:
        stream = _opened(file, stack)
        try:
            plan = importing.planned(dispatch, stream)
            _say(plan, as_json)
            if dry_run:
                return
            if plan.refused and not skip_refused:
                fail("Nothing was imported; --skip-refused imports the other rows.")
            deed = partial(_applied, dispatch, stream, plan.digest)
            changed(dispatch, deed, yes=yes)
        except FileFault as fault:
            fail(f"{file}: {fault} Nothing was imported.")
        except importing.Overtaken:
            fail("The reference changed at this very moment, so nothing was imported: try again.")
    if plan.deeds:
        newest = importing.last_imports(dispatch)[0]
        click.echo(
            f"take it back with: {typed(f'reference undo-import {newest.number}')}", err=True
        )


def _applied(dispatch: Dispatch, stream: BinaryIO, shown: str) -> Plan:
    stream.seek(0)
    return importing.apply(dispatch, stream, by=SYSTEM.name, shown=shown)


def _opened(file: Path, stack: ExitStack) -> BinaryIO:
    if str(file) == "-":
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            fail(f"-: {too_large()}")
        return io.BytesIO(content)
    try:
        return stack.enter_context(file.open("rb"))
    except OSError as error:
        fail(f"{file}: {(error.strerror or 'it cannot be read').lower()}.")


def _say(plan: Plan, as_json: bool) -> None:
    if as_json:
        print_json({**plan.counts, "rows": [_row(deed) for deed in plan.deeds], **_refused(plan)})
        return
    for deed in plan.deeds:
        fields = [each.field for each in deed.changes]
        more = f" and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else ""
        said = f" ({', '.join(fields[:_SHOWN])}{more})" if deed.verb is Verb.CHANGED else ""
        click.echo(f"{deed.verb.value}: {deed.wanted.key.label}{said}")
    for each in plan.refused:
        click.echo(f"line {each.line}: {each.label}: {each.why.field}: {each.why}", err=True)
    click.echo(", ".join(f"{count} {name}" for name, count in plan.counts.items()))


def _row(deed: Deed) -> dict[str, object]:
    changes = [{"field": c.field, "now": c.now, "then": c.then} for c in deed.changes]
    key = deed.wanted.key
    return {
        "line": deed.wanted.line,
        "verb": deed.verb.value,
        "system": key.system,
        "code": key.code,
        "pattern": key.pattern,
        "changes": changes,
    }


def _refused(plan: Plan) -> dict[str, object]:
    return {
        "refusals": [
            {
                "line": each.line,
                "entry": each.label,
                "cell": each.why.field,
                "reason": str(each.why),
            }
            for each in plan.refused
        ]
    }


@click.command("undo-import")
@click.argument("number", required=False)
@yes_option
@guarded
def undo_import(number: str | None, yes: bool) -> None:
    """Take a whole import back; without its number, list the latest ones."""
    dispatch = ready()
    if number is None:
        for each in importing.last_imports(dispatch):
            back = f", {each.taken_back} taken back" if each.taken_back else ""
            at = each.at.isoformat(timespec="seconds")
            click.echo(f"{each.number}  {at}  {each.by}  {each.entries} entries{back}")
        return
    try:
        deed = partial(importing.take_back, dispatch, number, by=SYSTEM.name)
        done = changed(dispatch, deed, yes=yes)
    except LookupError:
        fail(f"There was no import {number}; see: {typed('reference undo-import')}")
    click.echo(f"{done.entries} entries taken back")
    if done.left:
        click.echo(f"{done.left} were changed since and stay as they are", err=True)
