"""Changing what answers mean: every change is written down with what was before, and can be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.error_reference import store
from clinic_dispatch_plugin.error_reference.again import explain_again
from clinic_dispatch_plugin.error_reference.checking import (
    ReferenceProblem,
    check_block,
    check_has_note,
    check_key,
    check_pattern,
    checked_content,
)
from clinic_dispatch_plugin.error_reference.rules import (
    KnownEntry,
    merge,
    pattern_digest,
)
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.i18n import N_

#: The part of an entry's row that a person may change, and that a history keeps.
_KEPT = ("own", "base", "same_as", "pattern", "unless")

#: What is said where the clinic's entry for a code and pattern exists.
THERE_ALREADY = N_("The clinic has an entry for this already: change that one.")


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
    also: Sequence[tuple[str, str]] = (),
) -> KnownEntry:
    """Add an entry of the clinic's; every earlier message with this answer follows at once.

    :param content: flat, checked by :func:`checked_content`.
    :param also: codes and patterns of other answers that mean the same from now on.
    :raises ReferenceProblem: the clinic has such an entry already, or a field is wrong.
    """
    values = {"own": checked_content(content, complete=True)}
    return _add(dispatch, system, code, pattern, unless, values, by=by, action=action, also=also)


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
    also: Sequence[tuple[str, str]] = (),
) -> KnownEntry:
    system, code = check_key(system, code)
    check_pattern("pattern", pattern)
    check_pattern("unless", unless)

    def work(connection: Connection) -> KnownEntry:
        store.bump(connection)
        entry_id = _put(connection, system, code, pattern, unless, values, by=by, action=action)
        for other_code, other_pattern in also:
            alias = {"own": None, "same_as": entry_id}
            _put(connection, system, other_code, other_pattern, "", alias, by=by, action="same_as")
        return explain_again(connection, [system], entry_id=entry_id).entries[entry_id]

    return dispatch.database.run(work)


def _put(
    connection: Connection,
    system: str,
    code: str,
    pattern: str,
    unless: str,
    values: Mapping[str, Any],
    *,
    by: str,
    action: str,
) -> int:
    """Insert an entry of the clinic's, or put one that was out of use in use again; returns its id."""
    there = clinics_entry(connection, system, code, pattern_digest(pattern, unless))
    checked = dict(values)
    if checked.get("same_as") is not None:
        checked["same_as"] = target_of(connection, int(checked["same_as"]), there)
    if there is not None and there["retired_at"] is None:
        raise ReferenceProblem("code", THERE_ALREADY)
    if there is None:
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
        entry_id = store.add_entry(connection, row)
    else:  # it was taken out of use before: the same row works again
        entry_id = there["id"]
        fresh = {"own": None, "base": None, "same_as": None, "retired_at": None, "code": code}
        change = {**fresh, **checked, "system": system, "updated_by": by}
        store.change_entry(connection, entry_id, change)
    write_down(connection, entry_id, there, by=by, action=action)
    return entry_id


def target_of(connection: Connection, same_as: int, there: RowMapping | None) -> int:
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


def clinics_entry(connection: Connection, system: str, code: str, digest: str) -> RowMapping | None:
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


def check_alone(connection: Connection, row: RowMapping, values: Mapping[str, Any]) -> None:
    """See that no other entry of the clinic's is for just these answers.

    :raises ReferenceProblem: one is.
    """
    if row["origin"] != "clinic":
        return
    digest = pattern_digest(values["pattern"], values["unless"])
    other = clinics_entry(connection, row["system"], row["code"], digest)
    if other is not None and other["id"] != row["id"]:
        raise ReferenceProblem("pattern", THERE_ALREADY)


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
        row = row_of(connection, entry_id)
        if row["withdrawn"] or row["retired_at"] is not None:
            raise ReferenceProblem("entry", "This entry is out of use and cannot be changed.")
        shipped = row["shipped"] or {}
        kept = _without(row["own"], gone) or {}
        own = {**kept, **wanted}
        merged = merge(shipped, own)
        check_block(merged)
        if not row["same_as"]:
            check_has_note(merged)
        if row["origin"] == "shipped" and not row["same_as"]:
            own = {name: value for name, value in own.items() if shipped.get(name) != value}
        # What the pack said when the clinic last looked at a field: only fields of this change were looked at now.
        seen = {**{name: shipped.get(name) for name in own}, **(row["base"] or {})}
        base = {name: shipped.get(name) if name in wanted else seen[name] for name in own}
        change = {"own": own or None, "base": base or None, "updated_by": by}
        store.change_entry(connection, entry_id, change)
        write_down(connection, entry_id, row, by=by, action=action)
        return explain_again(connection, [row["system"]], entry_id=entry_id).entries[entry_id]

    return dispatch.database.run(work)


def restore_entry(
    dispatch: Dispatch,
    entry_id: int,
    *,
    by: str,
    fields: Sequence[str] | None = None,
    action: str = "restored",
) -> bool:
    """Give a shipped entry the pack's words again; an entry of the clinic's own is taken out of use.

    :param fields: only these, such as ``short.de``; None: all.
    :param action: what the history calls it.
    :returns: False where the entry is out of use now.
    :raises LookupError: there is no such entry.
    """

    def work(connection: Connection) -> bool:
        store.bump(connection)
        row = row_of(connection, entry_id)
        stays = row["origin"] == "shipped" or fields is not None
        if stays:
            kept = _without(row["own"], fields), _without(row["base"], fields)
            change: dict[str, Any] = {"own": kept[0], "base": kept[1], "updated_by": by}
            if fields is None:
                change["same_as"] = None
        else:
            change = {"retired_at": db_now(), "updated_by": by}
        store.change_entry(connection, entry_id, change)
        write_down(connection, entry_id, row, by=by, action=action if stays else "retired")
        explain_again(connection, [row["system"]], entry_id=entry_id)
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
        row = row_of(connection, entry_id)
        if not still_holds(row, change["after"]):
            raise ReferenceProblem(
                "change", "The entry was changed again since. Take the later change back first."
            )
        before = change["before"] or {}
        # What did not exist goes out of use as it is, for messages may point to it.
        values = {name: before.get(name, row[name]) for name in _KEPT}
        retired = change["before"] is None or before.get("retired")
        check_alone(connection, row, values)
        values["retired_at"] = db_now() if retired else None
        store.change_entry(connection, entry_id, {**values, "updated_by": by})
        write_down(connection, entry_id, row, by=by, action="undone", undoes=change_id)
        explain_again(connection, [row["system"]], entry_id=entry_id)
        return entry_id

    return dispatch.database.run(work)


def settle(dispatch: Dispatch, answer_ids: Sequence[int]) -> None:
    """Say that the general description of these drafts will do."""
    dispatch.database.run(lambda connection: store.settle_drafts(connection, answer_ids))


def row_of(connection: Connection, entry_id: int) -> RowMapping:
    """One entry.

    :raises LookupError: there is none.
    """
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


def still_holds(row: RowMapping, after: Mapping[str, Any] | None) -> bool:
    """Whether an entry is as a change left it; older histories kept fewer fields."""
    now = kept_of(row)
    return after is not None and all(now.get(name) == value for name, value in after.items())


def write_down(
    connection: Connection,
    entry_id: int,
    before: RowMapping | None,
    *,
    by: str,
    action: str,
    undoes: int | None = None,
) -> None:
    """Write a change into an entry's history, unless it changed nothing."""
    after = kept_of(row_of(connection, entry_id))
    was = None if before is None else kept_of(before)
    if was == after:
        return
    values = {"entry_id": entry_id, "by": by, "action": action, "before": was, "after": after}
    store.add_change(connection, {**values, "undoes": undoes})
