"""What the pages of the reference show of one entry and of one draft."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import known_store, reading_store, store
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
#: Answers of which one process remembers what is similar.
COMPARED = 500

_SIMILAR = "reference.similar"


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
        similar=_similar(dispatch, known, answer),
    )


def _similar(dispatch: Dispatch, known: Reference, answer: Answer) -> Sequence[KnownEntry]:
    """Entries with similar words, compared once for each revision of the reference."""
    kept = dispatch.cache.get(_SIMILAR)
    if kept is None or kept[0] is not known:
        kept = dispatch.cache[_SIMILAR] = (known, {})
    compared: dict[Answer, Sequence[KnownEntry]] = kept[1]
    if answer not in compared:
        if len(compared) >= COMPARED:
            compared.clear()
        compared[answer] = similar(dispatch, known, answer)
    return compared[answer]


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
        same = known_store.shared(row, lambda number: store.entry(connection, number))
        answers = reading_store.answers_of(connection, entry_id)
        ids = [answer["id"] for answer in answers]
        counted = count_messages(dispatch, connection, ids) if ids else {}
        has_counter = "count_by_answer" in dispatch.cache
    return Detail(
        entry=known_store.known(row, same),
        shipped=row["shipped"] or {},
        conflicts=conflicts(row["shipped"], row["own"], row["base"]),
        conflict_fields=fields_of(row),
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
        withdrawn=row["withdrawn"],
        retired=row["retired_at"] is not None,
        same_as=known_store.known(same) if same is not None else None,
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
