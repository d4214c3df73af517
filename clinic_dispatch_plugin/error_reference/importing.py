"""Files of the reference come in: looked at first, then applied exactly as shown, and taken back in one go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.error_reference import (
    carried_lines,
    exchange_store,
    known_store,
    sheet,
    store,
)
from clinic_dispatch_plugin.error_reference.again import explain_again
from clinic_dispatch_plugin.error_reference.bytes_read import lines, look_at
from clinic_dispatch_plugin.error_reference.carrying import (
    Deed,
    Here,
    Key,
    Plan,
    Standing,
    Wanted,
    plan,
)
from clinic_dispatch_plugin.error_reference.editing import kept_of, still_holds
from clinic_dispatch_plugin.registry import Dispatch

#: What changes of an import are called in histories; the import's number, in letters and digits, follows.
ACTION = "imported:"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
#: Imports shown to be taken back.
SHOWN = 5


class Overtaken(Exception):
    """The reference changed since the plan was shown; ``plan`` is what the file would do now."""

    def __init__(self, new: Plan) -> None:
        super().__init__("the reference changed")
        self.plan = new


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One import, as it can be taken back."""

    #: How it is named to take it back.
    number: str
    at: datetime
    by: str
    entries: int
    taken_back: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """What taking an import back did."""

    entries: int
    #: Changed again since, so they stayed as they are.
    left: int


def here(connection: Connection) -> Here:
    """The whole reference as it stands."""
    rows = {row["id"]: row for row in exchange_store.rows(connection)}
    return Here(_standing(row, rows.get(row["same_as"] or 0)) for row in rows.values())


def _standing(row: RowMapping, same: RowMapping | None) -> Standing:
    return Standing(
        id=row["id"],
        key=Key(**{name: row[name] for name in ("origin", "system", "code", "pattern", "unless")}),
        shipped=row["shipped"] or {},
        own=row["own"] or {},
        base=row["base"] or {},
        same_as=row["same_as"],
        retired=row["retired_at"] is not None,
        position=row["position"],
        entry=known_store.known(row, same),
    )


def exported(
    dispatch: Dispatch, kind: str, *, language: str = "de", own_only: bool = False
) -> Iterable[str]:
    """The reference as a file, in pieces.

    :param kind: ``jsonl`` or ``csv``.
    """
    with dispatch.database.begin() as connection:
        standing = here(connection)
    if kind == "csv":
        return sheet.written(standing, language, own_only=own_only)
    return carried_lines.written(standing, own_only=own_only)


def planned(dispatch: Dispatch, stream: BinaryIO) -> Plan:
    """What a file would do; nothing is changed.

    :raises FileFault: it is none of ours.
    """
    with dispatch.database.begin() as connection:
        standing = here(connection)
    return _plan(standing, stream)


def _plan(standing: Here, stream: BinaryIO) -> Plan:
    stream.seek(0)
    source = look_at(stream)
    reader = carried_lines if source.kind == "jsonl" else sheet
    return plan(standing, reader.read(lines(stream, source), standing))


def apply(dispatch: Dispatch, stream: BinaryIO, *, by: str, shown: str | None = None) -> Plan:
    """Do what a file would do, but its refused rows, in one transaction; earlier messages explain themselves anew.

    :param shown: the digest of the plan that a person saw; None: nobody looked.
    :raises Overtaken: it would do something else by now.
    :raises FileFault: it is none of ours.
    """

    def work(connection: Connection) -> Plan:
        store.bump(connection)
        standing = here(connection)
        found = _plan(standing, stream)
        if shown is not None and shown != found.digest:
            raise Overtaken(found)
        if found.deeds:
            number = _in_letters(store.revision(connection))
            _write(connection, standing, found.deeds, by=by, action=f"{ACTION}{number}")
        return found

    return dispatch.database.run(work)


def _in_letters(number: int) -> str:
    """A number as few characters as a history's column has room for."""
    said = ""
    while number:
        number, rest = divmod(number, len(_DIGITS))
        said = _DIGITS[rest] + said
    return said or "0"


def _write(
    connection: Connection, standing: Here, deeds: Sequence[Deed], *, by: str, action: str
) -> None:
    ids = {each.key.identity: each.id for each in standing.by_id.values()}
    old = [deed.there.id for deed in deeds if deed.there is not None]
    before = exchange_store.entries_by_id(connection, old)
    for deed in deeds:
        if deed.there is None:
            values = _row(deed.wanted, by)
            ids[deed.wanted.key.identity] = store.add_entry(connection, values)
    for deed in deeds:
        wanted, there = deed.wanted, deed.there
        entry_id = ids[wanted.key.identity]
        same_as = ids[wanted.same_as.identity] if wanted.same_as is not None else None
        if there is not None:
            store.change_entry(connection, entry_id, _change(wanted, there, same_as, by))
        elif same_as is not None:
            store.change_entry(connection, entry_id, {"same_as": same_as})
    touched = [ids[deed.wanted.key.identity] for deed in deeds]
    after = exchange_store.entries_by_id(connection, touched)
    changes = [
        {
            "entry_id": entry_id,
            "by": by,
            "action": action,
            "before": kept_of(before[entry_id]) if entry_id in before else None,
            "after": kept_of(after[entry_id]),
            "undoes": None,
        }
        for entry_id in touched
    ]
    exchange_store.add_changes(connection, changes)
    explain_again(connection, sorted({deed.wanted.key.system for deed in deeds}))


def _row(wanted: Wanted, by: str) -> dict[str, Any]:
    key = wanted.key
    return {
        "origin": key.origin,
        "system": key.system,
        "code": key.code,
        "pattern": key.pattern,
        "unless": key.unless,
        "pack": "",
        "position": 0,
        "withdrawn": False,
        "own": dict(wanted.own) or None,
        "base": dict(wanted.base) or None,
        "retired_at": db_now() if wanted.retired else None,
        "updated_by": by,
    }


def _change(wanted: Wanted, there: Standing, same_as: int | None, by: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "own": dict(wanted.own) or None,
        "base": dict(wanted.base) or None,
        "same_as": same_as,
        "updated_by": by,
    }
    if wanted.retired != there.retired:
        values["retired_at"] = db_now() if wanted.retired else None
    return values


def last_imports(dispatch: Dispatch) -> list[Imported]:
    """The latest imports, the newest first."""
    with dispatch.database.begin() as connection:
        return [
            Imported(
                number=row["action"].removeprefix(ACTION),
                at=row["at"],
                by=row["by"],
                entries=row["entries"],
                taken_back=len(exchange_store.taken_back(connection, row["action"])),
            )
            for row in exchange_store.last_imports(connection, ACTION, SHOWN)
        ]


def take_back(dispatch: Dispatch, number: str, *, by: str) -> TakenBack:
    """Give every entry of an import what it had before; what somebody changed since stays as it is.

    :raises LookupError: there was no such import.
    """

    def work(connection: Connection) -> TakenBack:
        store.bump(connection)
        changes = exchange_store.changes_of(connection, f"{ACTION}{number}")
        if not changes:
            raise LookupError(number)
        rows = exchange_store.entries_by_id(connection, [each["entry_id"] for each in changes])
        already = exchange_store.taken_back(connection, f"{ACTION}{number}")
        undone, left = [], 0
        for change in changes:
            row = rows[change["entry_id"]]
            now, before = kept_of(row), _before(change)
            if now == before and change["id"] in already:
                continue
            if still_holds(row, change["after"]):
                undone.append(_restore(connection, change, row, by))
            elif now != before:
                left += 1
        exchange_store.add_changes(connection, undone)
        if undone:
            systems = {rows[each["entry_id"]]["system"] for each in undone}
            explain_again(connection, sorted(systems))
        return TakenBack(entries=len(undone), left=left)

    return dispatch.database.run(work)


def _before(change: RowMapping) -> dict[str, Any]:
    """What an entry had before a change; one that did not exist stays, out of use, for messages may point to it."""
    return dict(change["before"] or {**change["after"], "retired": True})


def _restore(
    connection: Connection, change: RowMapping, row: RowMapping, by: str
) -> dict[str, Any]:
    before = _before(change)
    values = {name: value for name, value in before.items() if name != "retired"}
    values["retired_at"] = db_now() if before["retired"] else None
    store.change_entry(connection, row["id"], {**values, "updated_by": by})
    return {
        "entry_id": row["id"],
        "by": by,
        "action": "undone",
        "before": kept_of(row),
        "after": before,
        "undoes": change["id"],
    }
