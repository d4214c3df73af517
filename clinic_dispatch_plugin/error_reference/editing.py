"""Changing what answers mean: every change is written down with what was before, and can be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.error_reference import store
from clinic_dispatch_plugin.error_reference.checking import (
    ReferenceProblem,
    check_block,
    check_key,
    check_pattern,
    checked_content,
)
from clinic_dispatch_plugin.error_reference.rules import (
    Explanation,
    KnownEntry,
    Matched,
    Reference,
    merge,
    pattern_digest,
)
from clinic_dispatch_plugin.error_reference.service import read
from clinic_dispatch_plugin.registry import Dispatch

#: The part of an entry's row that a person may change, and that a history keeps.
_KEPT = ("own", "base", "same_as")


def explain_again(connection: Connection, systems: Sequence[str] | None = None) -> Reference:
    """After a change every answer is looked up again: what was described once explains itself everywhere.

    Messages point to answers, so a hundred thousand messages with one answer follow by one row.

    :param systems: only answers of these can have changed; None: of all.
    """
    now = read(connection)
    for row in store.answers(connection, systems=systems):
        answer = Answer(system=row["system"], code=row["code"], text=row["sample"])
        found = now.explain(answer)
        if found.matched is Matched.NONE:
            found = Explanation(entry=found.entry, matched=Matched.DRAFT)
        draft = not found.described and not row["settled"]
        entry_id = found.entry.id if found.entry else None
        if (entry_id, found.matched.value, draft) != (
            row["entry_id"],
            row["matched"],
            row["draft"],
        ):
            store.explain_answer(connection, row["id"], found, draft=draft)
    return now


def add_entry(
    dispatch: Dispatch,
    *,
    system: str,
    code: str,
    content: Mapping[str, Any],
    pattern: str = "",
    unless: str = "",
    by: str,
    action: str = "added",
) -> KnownEntry:
    """Add an entry of the clinic's; every earlier message with this answer follows at once.

    :param content: flat, checked by :func:`checked_content`.
    :raises ReferenceProblem: the clinic has such an entry already, or a field is wrong.
    """
    values = {"own": checked_content(content, complete=True)}
    return _add(dispatch, system, code, pattern, unless, values, by=by, action=action)


def add_same_as(
    dispatch: Dispatch,
    *,
    system: str,
    code: str,
    pattern: str = "",
    unless: str = "",
    same_as: int,
    by: str,
) -> KnownEntry:
    """Say that this answer means the same as an entry: it has its words and policy, now and when they change.

    :raises ReferenceProblem: the clinic has an entry for this answer already.
    :raises LookupError: the other entry is not in use.
    """
    values = {"own": None, "same_as": same_as}
    return _add(dispatch, system, code, pattern, unless, values, by=by, action="same_as")


def _add(
    dispatch: Dispatch,
    system: str,
    code: str,
    pattern: str,
    unless: str,
    values: Mapping[str, Any],
    *,
    by: str,
    action: str,
) -> KnownEntry:
    system, code = check_key(system, code)
    check_pattern("pattern", pattern)
    check_pattern("unless", unless)

    def work(connection: Connection) -> KnownEntry:
        store.bump(connection)
        there = _clinics_entry(connection, system, code, pattern_digest(pattern, unless))
        checked = dict(values)
        if checked.get("same_as") is not None:
            checked["same_as"] = _target(connection, int(checked["same_as"]), there)
        if there is not None and there["retired_at"] is None:
            raise ReferenceProblem(
                "code", "The clinic has an entry for this already: change that one."
            )
        row = {
            "origin": "clinic",
            "system": system,
            "code": code,
            "pattern": pattern,
            "unless": unless,
            "pack": "",
            "position": 0,
            "withdrawn": False,
            "updated_by": by,
            **checked,
        }
        if there is None:
            entry_id = store.add_entry(connection, row)
        else:  # it was taken out of use before: the same row works again
            entry_id = there["id"]
            fresh = {"own": None, "base": None, "same_as": None, "retired_at": None, "code": code}
            change = {**fresh, **checked, "system": system, "updated_by": by}
            store.change_entry(connection, entry_id, change)
        _write_down(connection, entry_id, there, by=by, action=action)
        return explain_again(connection, [system]).entries[entry_id]

    return dispatch.database.run(work)


def _target(connection: Connection, same_as: int, there: RowMapping | None) -> int:
    """The entry whose words are shared in the end: never one that shares another's, never the new one itself.

    :raises LookupError: it is out of use.
    """
    seen: set[int] = set()
    other = store.entry(connection, same_as)
    while other is not None and other["same_as"] and other["id"] not in seen:
        seen.add(other["id"])
        other = store.entry(connection, other["same_as"])
    if other is None or other["withdrawn"] or other["retired_at"] is not None:
        raise LookupError(same_as)
    if there is not None and other["id"] == there["id"]:
        raise LookupError(same_as)
    return int(other["id"])


def _clinics_entry(
    connection: Connection, system: str, code: str, digest: str
) -> RowMapping | None:
    """The clinic's row for a key, in use or not; codes that differ in capitals alone are the same to MariaDB."""
    for row in store.entries(connection, all_of_them=True):
        same = (row["origin"], row["system"].casefold(), row["code"].casefold()) == (
            "clinic",
            system.casefold(),
            code.casefold(),
        )
        if same and row["pattern_digest"] == digest:
            return row
    return None


def change_entry(
    dispatch: Dispatch,
    entry_id: int,
    *,
    content: Mapping[str, Any],
    by: str,
    action: str = "changed",
) -> KnownEntry:
    """Change fields of an entry; a field equal to the pack's is the pack's again, one that is None says nothing more.

    :raises ReferenceProblem: a field is wrong.
    :raises LookupError: there is no such entry.
    """
    wanted = checked_content(content, complete=False)
    gone = [name for name, value in content.items() if value is None]

    def work(connection: Connection) -> KnownEntry:
        store.bump(connection)
        row = _row(connection, entry_id)
        if row["withdrawn"] or row["retired_at"] is not None:
            raise ReferenceProblem("entry", "This entry is out of use and cannot be changed.")
        shipped = row["shipped"] or {}
        kept = _without(row["own"], gone) or {}
        own = {**kept, **wanted}
        check_block(merge(shipped, own))
        if row["origin"] == "shipped":
            own = {name: value for name, value in own.items() if shipped.get(name) != value}
        # What the pack said when the clinic last looked at a field: only fields of this change were looked at now.
        seen = {**{name: shipped.get(name) for name in own}, **(row["base"] or {})}
        base = {name: shipped.get(name) if name in wanted else seen[name] for name in own}
        change = {"own": own or None, "base": base or None, "updated_by": by}
        store.change_entry(connection, entry_id, change)
        _write_down(connection, entry_id, row, by=by, action=action)
        return explain_again(connection, [row["system"]]).entries[entry_id]

    return dispatch.database.run(work)


def restore_entry(
    dispatch: Dispatch, entry_id: int, *, by: str, fields: Sequence[str] | None = None
) -> bool:
    """Give a shipped entry the pack's words again; an entry of the clinic's own is taken out of use.

    :param fields: only these, such as ``short.de``; None: all.
    :returns: False where the entry is out of use now.
    :raises LookupError: there is no such entry.
    """

    def work(connection: Connection) -> bool:
        store.bump(connection)
        row = _row(connection, entry_id)
        stays = row["origin"] == "shipped" or fields is not None
        if stays:
            kept = _without(row["own"], fields), _without(row["base"], fields)
            change: dict[str, Any] = {"own": kept[0], "base": kept[1], "updated_by": by}
        else:
            change = {"retired_at": db_now(), "updated_by": by}
        store.change_entry(connection, entry_id, change)
        action = "restored" if stays else "retired"
        _write_down(connection, entry_id, row, by=by, action=action)
        explain_again(connection, [row["system"]])
        return stays

    return dispatch.database.run(work)


def undo_change(dispatch: Dispatch, change_id: int, *, by: str) -> int:
    """Give an entry what it had before a change, and write that down as a change too; returns the entry's id.

    :raises LookupError: there is no such change.
    :raises ReferenceProblem: the entry was changed again since: that one is to be taken back first.
    """

    def work(connection: Connection) -> int:
        store.bump(connection)
        change = store.change(connection, change_id)
        if change is None:
            raise LookupError(change_id)
        entry_id = int(change["entry_id"])
        row = _row(connection, entry_id)
        if kept_of(row) != change["after"]:
            raise ReferenceProblem(
                "change", "The entry was changed again since. Take the later change back first."
            )
        before = change["before"]
        values = dict.fromkeys(_KEPT) if before is None else {n: before.get(n) for n in _KEPT}
        if before is None:  # it did not exist: out of use, for messages may point to it
            values = {name: row[name] for name in _KEPT}
        retired = before is None or before.get("retired")
        values["retired_at"] = db_now() if retired else None
        store.change_entry(connection, entry_id, {**values, "updated_by": by})
        _write_down(connection, entry_id, row, by=by, action="undone", undoes=change_id)
        explain_again(connection, [row["system"]])
        return entry_id

    return dispatch.database.run(work)


def settle(dispatch: Dispatch, answer_ids: Sequence[int]) -> None:
    """Say that the general description of these drafts will do."""
    dispatch.database.run(lambda connection: store.settle_drafts(connection, answer_ids))


def _row(connection: Connection, entry_id: int) -> RowMapping:
    row = store.entry(connection, entry_id)
    if row is None:
        raise LookupError(entry_id)
    return row


def _without(
    content: Mapping[str, Any] | None, fields: Sequence[str] | None
) -> dict[str, Any] | None:
    if fields is None:
        return None
    return {name: value for name, value in (content or {}).items() if name not in fields} or None


def kept_of(row: RowMapping) -> dict[str, Any]:
    """What a history keeps of an entry's row."""
    return {**{name: row[name] for name in _KEPT}, "retired": row["retired_at"] is not None}


def _write_down(
    connection: Connection,
    entry_id: int,
    before: RowMapping | None,
    *,
    by: str,
    action: str,
    undoes: int | None = None,
) -> None:
    after = kept_of(_row(connection, entry_id))
    was = None if before is None else kept_of(before)
    if was == after:
        return
    values = {"entry_id": entry_id, "by": by, "action": action, "before": was, "after": after}
    store.add_change(connection, {**values, "undoes": undoes})
