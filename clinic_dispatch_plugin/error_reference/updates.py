"""What an update changed of entries that the clinic changed as well: shipped before, shipped now, the clinic's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.error_reference import store
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, conflicts
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch

_CACHE = "reference.updates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field that update and clinic both changed."""

    name: str
    #: What was shipped when the clinic wrote its own; None: nothing.
    before: Any
    #: What is shipped now; None: nothing any more.
    now: Any
    ours: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """One entry with such fields."""

    entry: KnownEntry
    fields: Sequence[Field]


def fields_of(row: Mapping[str, Any] | RowMapping) -> list[Field]:
    """The fields of an entry's row that update and clinic both changed, in their order."""
    base = row["base"] or {}
    return [
        Field(name=name, before=base.get(name), now=theirs, ours=ours)
        for name, (ours, theirs) in conflicts(row["shipped"], row["own"], base).items()
    ]


def updated(dispatch: Dispatch) -> list[Updated]:
    """All entries that somebody should look at after an update."""
    with dispatch.database.begin() as connection:
        rows = _rows(connection)
        known = reference(dispatch, connection).entries
    return [Updated(entry=known[row["id"]], fields=fields_of(row)) for row in rows]


def count(dispatch: Dispatch) -> int:
    """How many there are; asked on every page, so it is counted once after each change."""
    with dispatch.database.begin() as connection:
        revision = store.revision(connection)
        seen, number = dispatch.cache.get(_CACHE, (None, 0))
        if seen != revision:
            number = len(_rows(connection))
            dispatch.cache[_CACHE] = (revision, number)
    return int(number)


def _rows(connection: Connection) -> list[RowMapping]:
    return [row for row in store.shipped_and_changed(connection) if fields_of(row)]
