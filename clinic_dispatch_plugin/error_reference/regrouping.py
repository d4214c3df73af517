"""Which answers an entry is for: another pattern, two entries that are one, and one answer taken out again."""

from __future__ import annotations

from sqlalchemy import Connection

from clinic_dispatch_plugin.error_reference import store
from clinic_dispatch_plugin.error_reference.again import explain_again
from clinic_dispatch_plugin.error_reference.checking import check_pattern, checked_content
from clinic_dispatch_plugin.error_reference.editing import (
    check_alone,
    row_of,
    target_of,
    write_down,
)
from clinic_dispatch_plugin.error_reference.rules import APART, KnownEntry
from clinic_dispatch_plugin.registry import Dispatch


def change_pattern(
    dispatch: Dispatch, entry_id: int, *, pattern: str, unless: str, by: str
) -> KnownEntry:
    """Change which answers an entry of the clinic's is for.

    :raises ReferenceProblem: a pattern cannot be used, or another entry of the clinic's has it.
    :raises LookupError: there is no such entry in use, or it is a shipped one.
    """
    check_pattern("pattern", pattern)
    check_pattern("unless", unless)

    def work(connection: Connection) -> KnownEntry:
        store.bump(connection)
        row = row_of(connection, entry_id)
        if row["origin"] != "clinic" or row["retired_at"] is not None:
            raise LookupError(entry_id)
        change = {"pattern": pattern, "unless": unless, "updated_by": by}
        check_alone(connection, row, change)
        store.change_entry(connection, entry_id, change)
        write_down(connection, entry_id, row, by=by, action="changed")
        return explain_again(connection, [row["system"]], entry_id=entry_id).entries[entry_id]

    return dispatch.database.run(work)


def merge_entry(dispatch: Dispatch, entry_id: int, *, into: int, by: str) -> KnownEntry:
    """Say that two entries mean the same: one has the other's words and policy from now on.

    What it said itself stays in its history, and undoing gives it back.

    :raises LookupError: one of them is not in use, or they are one already.
    """

    def work(connection: Connection) -> KnownEntry:
        store.bump(connection)
        row = row_of(connection, entry_id)
        if row["withdrawn"] or row["retired_at"] is not None:
            raise LookupError(entry_id)
        target = target_of(connection, into, row)
        apart = {APART: row["own"][APART]} if APART in (row["own"] or {}) else None
        change = {"own": apart, "base": None, "same_as": target, "updated_by": by}
        store.change_entry(connection, entry_id, change)
        write_down(connection, entry_id, row, by=by, action="merged")
        return explain_again(connection, [row["system"]], entry_id=entry_id).entries[entry_id]

    return dispatch.database.run(work)


def take_out(dispatch: Dispatch, entry_id: int, answer_id: int, *, by: str) -> None:
    """Take one answer out of an entry: what fits next explains it, and where that is general it is a draft again.

    :raises LookupError: the entry does not explain this answer, or is out of use.
    :raises ReferenceProblem: too many were taken out of it already.
    """

    def work(connection: Connection) -> None:
        store.bump(connection)
        row = row_of(connection, entry_id)
        answer = store.answers_by_id(connection, [answer_id]).get(answer_id)
        if answer is None or answer["entry_id"] != entry_id:
            raise LookupError(answer_id)
        if row["withdrawn"] or row["retired_at"] is not None:
            raise LookupError(entry_id)
        apart = {*str((row["own"] or {}).get(APART, "")).split(), answer["digest"]}
        own = checked_content(
            {**(row["own"] or {}), APART: " ".join(sorted(apart))}, complete=False
        )
        store.change_entry(connection, entry_id, {"own": own, "updated_by": by})
        write_down(connection, entry_id, row, by=by, action="split")
        store.wait_again(connection, answer_id)
        explain_again(connection, [row["system"]], entry_id=entry_id)

    dispatch.database.run(work)
