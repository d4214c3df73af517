"""What the pages of the reference show: entries under their headings, drafts on top, what follows a change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.reference import GROUPS
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import reading_store, store
from clinic_dispatch_plugin.error_reference.counting import Touched, count_messages
from clinic_dispatch_plugin.error_reference.likeness import Likely, similar
from clinic_dispatch_plugin.error_reference.rules import (
    KnownEntry,
    Reference,
    codes_of,
    conflicts,
)
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.error_reference.updates import Field, fields_of
from clinic_dispatch_plugin.registry import Dispatch

#: Drafts shown before somebody asks for all of them.
FIRST_DRAFTS = 5

_NATURAL = re.compile(r"\d+|\D+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """A draft with much the same words as another."""

    id: int
    answer: Answer
    messages: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An answer nobody described yet."""

    id: int
    answer: Answer
    channel: str
    first_seen_at: datetime
    last_seen_at: datetime
    #: Messages with this answer; None: nobody counts.
    messages: int | None
    #: The general entry that speaks for it until then.
    shown: KnownEntry | None
    similar: Sequence[KnownEntry] = ()
    #: Entries it may mean, each with why; only on its own page, as what follows.
    likely: Sequence[Likely] = ()
    mailings: Sequence[Touched] = ()
    #: Other drafts with much the same words: describing this one may describe them too.
    alike: Sequence[Alike] = ()

    @property
    def code(self) -> str:
        """The code an entry for it would have."""
        return codes_of(self.answer)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An entry in the list."""

    entry: KnownEntry
    messages: int | None
    last_seen_at: datetime | None

    @property
    def occurred(self) -> bool:
        """Whether an answer ever led to it."""
        return self.last_seen_at is not None

    @property
    def stands_out(self) -> bool:
        """Whether the list shows it before the many that never happened here."""
        return self.occurred or self.entry.changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The list page."""

    groups: Mapping[str, Sequence[Listed]]
    drafts: Sequence[Draft]
    draft_total: int
    total: int
    changed: int
    found: int
    systems: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explains:
    """One of the answers an entry explains."""

    id: int
    answer: Answer
    messages: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One entry with everything its page tells."""

    entry: KnownEntry
    shipped: Mapping[str, Any]
    #: Fields the clinic wrote and the pack has changed since: ours, theirs.
    conflicts: Mapping[str, tuple[Any, Any]]
    #: The same with what was shipped when the clinic wrote.
    conflict_fields: Sequence[Field]
    updated_at: datetime
    updated_by: str
    withdrawn: bool
    #: The clinic took it out of use.
    retired: bool
    #: The entry whose words it shares.
    same_as: KnownEntry | None
    messages: int | None
    samples: Sequence[str]
    #: Its answers, those of most messages first.
    answers: Sequence[Explains]
    #: Changes with every saving: two editors never overwrite each other silently.
    version: str


def count_drafts(dispatch: Dispatch) -> int:
    """How many answers wait for a description."""
    with dispatch.database.begin() as connection:
        return store.draft_count(connection)


def overview(
    dispatch: Dispatch,
    *,
    query: str = "",
    system: str = "",
    show: str = "all",
    all_drafts: bool = False,
) -> Overview:
    """The list: entries by heading, the most frequent first, and the drafts.

    :param query: words that all have to occur in code, pattern or texts.
    :param show: ``all``, ``occurred`` or ``changed``.
    """
    with dispatch.database.begin() as connection:
        known = reference(dispatch, connection)
        rows = [
            row
            for row in store.drafts(connection)
            if (not system or row["system"] == system)
            and has_words(query, row["system"], row["code"], row["sample"])
        ]
        shown = rows if all_drafts else rows[:FIRST_DRAFTS]
        listed = _listed(dispatch, connection, known)
        drafts = drafts_of(dispatch, connection, known, shown)
    found = [item for item in listed if _wanted(item, query=query, system=system, show=show)]
    here = {item.entry.system for item in listed if item.occurred}
    found.sort(key=lambda item: _by_frequency(item, here))
    return Overview(
        groups={group: [item for item in found if item.entry.group == group] for group in GROUPS},
        drafts=drafts,
        draft_total=len(rows),
        total=len(listed),
        changed=sum(item.entry.changed for item in listed),
        found=len(found),
        systems=sorted({item.entry.system for item in listed}),
    )


def _listed(dispatch: Dispatch, connection: Connection, known: Reference) -> list[Listed]:
    seen: dict[int, datetime] = {}
    counted = count_messages(dispatch, connection, None)
    messages: dict[int, int] = {}
    for row in reading_store.explained(connection):
        seen[row.entry_id] = max(row.last_seen_at, seen.get(row.entry_id, row.last_seen_at))
        if counted is not None:
            messages[row.entry_id] = messages.get(row.entry_id, 0) + counted.get(row.id, 0)
    return [
        Listed(
            entry=entry,
            messages=None if counted is None else messages.get(entry.id, 0),
            last_seen_at=seen.get(entry.id),
        )
        for entry in known.entries.values()
    ]


def _wanted(item: Listed, *, query: str, system: str, show: str) -> bool:
    entry = item.entry
    if system and entry.system != system:
        return False
    if (show == "occurred" and not item.occurred) or (show == "changed" and not entry.changed):
        return False
    said = (str(value) for value in entry.content.values())
    return has_words(query, entry.key, entry.code, entry.pattern, *said)


def has_words(query: str, *texts: str) -> bool:
    """Whether every word of a search occurs in these texts."""
    if not query:
        return True
    text = " ".join(texts).casefold()
    return all(word in text for word in query.casefold().split())


def _by_frequency(item: Listed, here: Collection[str]) -> tuple[Any, ...]:
    """What occurred first, then the services that are in use here, our own program, and all others."""
    entry = item.entry
    return (
        -(item.messages or 0),
        not item.occurred,
        entry.system not in here,
        entry.system != "dispatch",
        entry.system,
        bool(entry.pattern),
        _natural(entry.code),
    )


def _natural(code: str) -> list[tuple[bool, int, str]]:
    parts = _NATURAL.findall(code)
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def drafts_of(
    dispatch: Dispatch, connection: Connection, known: Reference, rows: Sequence[RowMapping]
) -> list[Draft]:
    """Rows of drafts as pages show them."""
    counted = count_messages(dispatch, connection, [row["id"] for row in rows]) if rows else None
    return [_draft(dispatch, known, row, counted) for row in rows]


def _draft(
    dispatch: Dispatch, known: Reference, row: RowMapping, counted: Mapping[int, int] | None
) -> Draft:
    answer = Answer(system=row["system"], code=row["code"], text=row["sample"])
    return Draft(
        id=row["id"],
        answer=answer,
        channel=row["channel"],
        first_seen_at=row["first_seen_at"],
        last_seen_at=row["last_seen_at"],
        messages=None if counted is None else counted.get(row["id"], 0),
        shown=known.explain(answer).entry,
        similar=similar(dispatch, known, answer),
    )


def is_in_use(dispatch: Dispatch, entry_id: int) -> bool:
    """Whether there is such an entry, neither withdrawn nor out of use."""
    with dispatch.database.begin() as connection:
        return entry_id in reference(dispatch, connection).entries


def detail(dispatch: Dispatch, entry_id: int) -> Detail | None:
    """One entry; None: there is none."""
    with dispatch.database.begin() as connection:
        row = store.entry(connection, entry_id)
        if row is None:
            return None
        same = store.shared(row, lambda number: store.entry(connection, number))
        answers = reading_store.answers_of(connection, entry_id)
        ids = [answer["id"] for answer in answers]
        counted = count_messages(dispatch, connection, ids) if ids else {}
        has_counter = "count_by_answer" in dispatch.cache
    return Detail(
        entry=store.known(row, same),
        shipped=row["shipped"] or {},
        conflicts=conflicts(row["shipped"], row["own"], row["base"]),
        conflict_fields=fields_of(row),
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
        withdrawn=row["withdrawn"],
        retired=row["retired_at"] is not None,
        same_as=store.known(same) if same is not None else None,
        messages=sum((counted or {}).values()) if has_counter else None,
        samples=[answer["sample"] for answer in answers if answer["sample"]][:3],
        answers=_answers(answers, counted),
        version=_version(row),
    )


def _answers(rows: Sequence[RowMapping], counted: Mapping[int, int] | None) -> list[Explains]:
    found = [
        Explains(
            id=row["id"],
            answer=Answer(system=row["system"], code=row["code"], text=row["sample"]),
            messages=None if counted is None else counted.get(row["id"], 0),
        )
        for row in rows
    ]
    return sorted(found, key=lambda each: -(each.messages or 0))


def _version(row: RowMapping) -> str:
    said = f"{row['updated_at'].isoformat()}\0{row['updated_by']}\0{row['own']!r}\0{row['same_as']}"
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:32]
