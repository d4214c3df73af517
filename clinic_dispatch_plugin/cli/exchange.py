"""``flask dispatch reference export|import``: the clinic's own words, carried to another installation."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.cli.base import SYSTEM, fail, guarded, ready
from clinic_dispatch_plugin.cli.reference import entries, reference, stored_entries
from clinic_dispatch_plugin.error_reference import editing, service
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem, checked_content
from clinic_dispatch_plugin.error_reference.packs import install_packs
from clinic_dispatch_plugin.error_reference.policy import Policy
from clinic_dispatch_plugin.error_reference.rules import TEXT_FIELDS, KnownEntry, compile_pattern
from clinic_dispatch_plugin.registry import Dispatch

_FORMAT = "clinic-dispatch-reference-1"
_NOT_OURS = "this is no file that `reference export` wrote."
_FIELDS = {
    *(f"{name}.{language}" for name in TEXT_FIELDS for language in LANGUAGES),
    *(f"policy.{name}" for name in Policy.__dataclass_fields__),
    *("category", "group", "permanence", "who"),
}


def register(group: AppGroup) -> None:
    """Add the commands to those of ``reference``."""
    reference.add_command(update)
    reference.add_command(export)
    reference.add_command(import_entries)


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
@click.option(
    "--all", "everything", is_flag=True, help="Shipped entries too, not only the clinic's."
)
@guarded
def export(file: Path, everything: bool) -> None:
    """Write the clinic's entries and changes as JSON, to standard output by default."""
    dispatch = ready()
    shared = {entry.id: _words_of(entry) for entry in entries(dispatch) if entry.same_as}
    rows = [
        {
            "origin": row["origin"],
            "system": row["system"],
            "code": row["code"],
            "pattern": row["pattern"],
            "unless": row["unless"],
            "own": shared.get(row["id"], row["own"]),
            **({"shipped": row["shipped"]} if everything else {}),
        }
        for row in stored_entries(dispatch)
        if row["own"] or row["id"] in shared or everything
    ]
    text = json.dumps({"format": _FORMAT, "entries": rows}, ensure_ascii=False, indent=1)
    if str(file) == "-":
        click.echo(text)
        return
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        fail(f"{file}: {(error.strerror or 'it cannot be written').lower()}.")
    click.echo(f"{len(rows)} entries written to {file}", err=True)


def _words_of(entry: KnownEntry) -> dict[str, Any]:
    """What an entry that is "the same as" another says: where it is read, the other may say something else."""
    return {name: value for name, value in entry.content.items() if name in _FIELDS}


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@guarded
def import_entries(file: Path) -> None:
    """Read what `export` wrote (- is standard input): entries that are there are changed, others added."""
    dispatch = ready()
    rows = _checked(file, _read(file))
    done = sum(_import_one(dispatch, row) for row in rows)
    click.echo(f"{done} entries read")


def _read(file: Path) -> Any:
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        fail(f"{file}: {(error.strerror or 'it cannot be read').lower()}.")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        fail(f"{file}: {_NOT_OURS}")


def _checked(file: Path, said: Any) -> list[Mapping[str, Any]]:
    """The entries with something of the clinic's in them; nothing is written when one of them is wrong."""
    rows = said.get("entries") if isinstance(said, dict) and said.get("format") == _FORMAT else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        fail(f"{file}: {_NOT_OURS}")
    for number, row in enumerate(rows, start=1):
        try:
            _check(row)
        except ReferenceProblem as error:
            name = f"{row.get('system')} {row.get('code')}"
            fail(f"{file}: entry {number} ({name}): {error.field}: {error} Nothing was read.")
    return [row for row in rows if row.get("own")]


def _check(row: Mapping[str, Any]) -> None:
    for name, longest in (("system", 32), ("code", 64)):
        value = row.get(name)
        if not isinstance(value, str) or not 1 <= len(value.strip()) <= longest:
            raise ReferenceProblem(
                name, "This must be a text of 1 to {longest} characters.", longest=longest
            )
    for name in ("pattern", "unless"):
        value = row.get(name) or ""
        if not isinstance(value, str):
            raise ReferenceProblem(name, "This must be a text.")
        try:
            compile_pattern(value)
        except ValueError as error:
            raise ReferenceProblem(name, "This pattern cannot be used: {why}", why=error) from None
    own = row.get("own") or {}
    if not isinstance(own, dict):
        raise ReferenceProblem("own", "This must be an object of fields.")
    for field, value in own.items():
        if field not in _FIELDS:
            raise ReferenceProblem(field, "There is no such field.")
        if not field.startswith("policy.") and not isinstance(value, str):
            raise ReferenceProblem(field, "This must be a text.")
    if own:
        checked_content(own, complete=row.get("origin") != "shipped")


def _import_one(dispatch: Dispatch, row: Mapping[str, Any]) -> int:
    wanted = (
        row.get("origin"),
        row["system"],
        row["code"],
        row.get("pattern") or "",
        row.get("unless") or "",
    )
    with dispatch.database.begin() as connection:
        found = service.reference(dispatch, connection).entries.values()
    for entry in found:
        if (entry.origin, entry.system, entry.code, entry.pattern, entry.unless) == wanted:
            editing.change_entry(dispatch, entry.id, content=row["own"], by=SYSTEM.name)
            return 1
    try:
        editing.add_entry(
            dispatch,
            system=row["system"],
            code=row["code"],
            pattern=wanted[3],
            unless=wanted[4],
            content=row["own"],
            by=SYSTEM.name,
        )
    except ReferenceProblem as error:  # a change to an entry that this version does not ship
        click.echo(f"left out: {row['system']} {row['code']}: {error}", err=True)
        return 0
    return 1
