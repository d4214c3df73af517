"""Rows as the entries that hold now: the pack's words with the clinic's over them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, Text, cast, select

from clinic_dispatch_plugin.error_reference.rules import APART, KnownEntry, merge
from clinic_dispatch_plugin.error_reference.tables import Entry

#: What an entry says of its own answer's origin, whatever entry's words it shares.
_WHOSE = ("provider", "source", "symbol")
#: How many packs' words one process keeps read: twice as many as are shipped.
_KEPT = 4096

Row = TypeVar("Row", bound="RowMapping | dict[str, Any]")

#: What is known of an entry, without what only its page shows.
_ALL = select(
    Entry.id,
    Entry.origin,
    Entry.system,
    Entry.code,
    Entry.pattern,
    Entry.unless,
    Entry.position,
    cast(Entry.shipped, Text).label("shipped"),
    Entry.own,
    Entry.same_as,
    Entry.withdrawn,
    Entry.retired_at,
)
_NAMES = tuple(_ALL.selected_columns.keys())


def known_entries(connection: Connection) -> list[KnownEntry]:
    """All entries in use as they hold now; one that is "the same as" another has that one's words and policy.

    Also those of one that is out of use by now: what a person called the same stays described.
    """
    rows = [dict(zip(_NAMES, row, strict=True)) for row in connection.execute(_ALL).all()]
    by_id = {row["id"]: {**row, "shipped": _read(row["shipped"])} for row in rows}
    return [
        known(row, shared(row, by_id.get))
        for row in by_id.values()
        if not row["withdrawn"] and row["retired_at"] is None
    ]


def shared(row: Row, find: Callable[[int], Row | None]) -> Row | None:
    """The row whose words another shares in the end: one that was merged leads on to the next."""
    seen, other = {row["id"]}, find(row["same_as"] or 0)
    while other is not None and other["same_as"] and other["id"] not in seen:
        seen.add(other["id"])
        other = find(other["same_as"])
    return other


def known(row: Row, same: Row | None = None) -> KnownEntry:
    """A row as the entry that holds now, with the words of ``same`` under what the clinic wrote into it."""
    content, own = merge(row["shipped"], row["own"]), frozenset(row["own"] or ())
    if same is not None:
        whose = {name: content[name] for name in _WHOSE if name in content}
        content = {**merge(same["shipped"], same["own"]), **whose, **(row["own"] or {})}
        own |= frozenset(same["own"] or ())
    apart = frozenset(str((row["own"] or {}).get(APART, "")).split())
    content.pop(APART, None)
    return KnownEntry(
        id=row["id"],
        origin=row["origin"],
        system=row["system"],
        code=row["code"],
        pattern=row["pattern"],
        unless=row["unless"],
        position=row["position"],
        content=content,
        changed=row["origin"] == "clinic" or bool(row["own"]) or bool(row["same_as"]),
        own=own - {APART},
        same_as=row["same_as"],
        apart=apart,
    )


@functools.lru_cache(_KEPT)
def _read(words: str | None) -> Mapping[str, Any] | None:
    """What a pack says, read once in a process: the packs stay the same, however often the clinic writes."""
    found = json.loads(words) if words else None
    return None if found is None else MappingProxyType(found)
