"""The SQL of exports and imports: all entries at once, and what one import did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.error_reference.tables import Entry, EntryChange

#: Rows one statement writes or asks for.
PORTION = 500


def rows(connection: Connection) -> Sequence[RowMapping]:
    """Every entry but those a pack no longer brings."""
    query = select(Entry.__table__).where(Entry.withdrawn.is_(False))
    return connection.execute(query).mappings().all()


def add_changes(connection: Connection, changes: Sequence[Mapping[str, Any]]) -> None:
    """Write down many changes of entries."""
    for start in range(0, len(changes), PORTION):
        statement = insert(EntryChange).values(at=db_now())
        connection.execute(statement, list(changes[start : start + PORTION]))


def last_imports(connection: Connection, prefix: str, limit: int) -> Sequence[RowMapping]:
    """The latest imports: their action, who, when, and how many entries they changed."""
    query = (
        select(
            EntryChange.action,
            EntryChange.by,
            func.min(EntryChange.at).label("at"),
            func.count().label("entries"),
            func.max(EntryChange.id).label("last_id"),
        )
        .where(EntryChange.action.like(f"{prefix}%"))
        .group_by(EntryChange.action, EntryChange.by)
        .order_by(func.max(EntryChange.id).desc())
        .limit(limit)
    )
    return connection.execute(query).mappings().all()


def changes_of(connection: Connection, action: str) -> Sequence[RowMapping]:
    """What one import changed, the first first."""
    query = select(EntryChange.__table__).where(EntryChange.action == action)
    return connection.execute(query.order_by(EntryChange.id)).mappings().all()


def taken_back(connection: Connection, action: str) -> frozenset[int]:
    """The changes of an import that were taken back since."""
    ids = select(EntryChange.id).where(EntryChange.action == action)
    found = connection.scalars(select(EntryChange.undoes).where(EntryChange.undoes.in_(ids)))
    return frozenset(each for each in found if each is not None)


def entries_by_id(connection: Connection, ids: Iterable[int]) -> dict[int, RowMapping]:
    """Some entries' rows."""
    wanted, found = sorted(set(ids)), dict[int, RowMapping]()
    for start in range(0, len(wanted), PORTION):
        query = select(Entry.__table__).where(Entry.id.in_(wanted[start : start + PORTION]))
        found.update({row["id"]: row for row in connection.execute(query).mappings()})
    return found
