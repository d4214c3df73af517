"""What the pages of the reference show of one entry and of one draft, and what follows a change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import reading_store, store
from clinic_dispatch_plugin.error_reference.likeness import literal, piece_of, similar
from clinic_dispatch_plugin.error_reference.rules import (
    ANY_CODE,
    KnownEntry,
    Reference,
    codes_of,
    conflicts,
    is_reply_code,
)
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch

#: Messages by answer, for all answers or some; brought by the concern that holds messages.
CountByAnswer = Callable[[Connection, Sequence[int] | None], Mapping[int, int]]
#: Drafts shown before somebody asks for all of them.
FIRST_DRAFTS = 5
#: Answers of which one process remembers what is similar.
COMPARED = 500

_SIMILAR = "reference.similar"


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

    @property
    def code(self) -> str:
        """The code an entry for it would have."""
        return codes_of(self.answer)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One entry with everything its page tells."""

    entry: KnownEntry
    shipped: Mapping[str, Any]
    #: Fields the clinic wrote and the pack has changed since: ours, theirs.
    conflicts: Mapping[str, tuple[Any, Any]]
    updated_at: datetime
    updated_by: str
    withdrawn: bool
    #: The clinic took it out of use.
    retired: bool
    #: The entry whose words it shares.
    same_as: KnownEntry | None
    messages: int | None
    samples: Sequence[str]
    #: Changes with every saving: two editors never overwrite each other silently.
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Followers:
    """What a new entry would explain."""

    answers: frozenset[int]
    messages: int | None


def count_drafts(dispatch: Dispatch) -> int:
    """How many answers wait for a description."""
    with dispatch.database.begin() as connection:
        return store.draft_count(connection)


def _count(
    dispatch: Dispatch, connection: Connection, ids: Sequence[int] | None
) -> Mapping[int, int] | None:
    counter: CountByAnswer | None = dispatch.cache.get("count_by_answer")
    return counter(connection, ids) if counter is not None else None


def drafts_of(
    dispatch: Dispatch, connection: Connection, known: Reference, rows: Sequence[RowMapping]
) -> list[Draft]:
    """Rows of answers as the drafts pages show."""
    counted = _count(dispatch, connection, [row["id"] for row in rows]) if rows else None
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


def draft(dispatch: Dispatch, answer_id: int) -> Draft | None:
    """One draft; None: there is none, or somebody described it meanwhile."""
    with dispatch.database.begin() as connection:
        row = reading_store.answer(connection, answer_id)
        if row is None or not row["draft"]:
            return None
        return drafts_of(dispatch, connection, reference(dispatch, connection), [row])[0]


def detail(dispatch: Dispatch, entry_id: int) -> Detail | None:
    """One entry; None: there is none."""
    with dispatch.database.begin() as connection:
        row = store.entry(connection, entry_id)
        if row is None:
            return None
        same = store.entry(connection, row["same_as"]) if row["same_as"] else None
        answers = reading_store.answers_of(connection, entry_id)
        ids = [answer["id"] for answer in answers]
        counted = _count(dispatch, connection, ids) if ids else {}
        has_counter = "count_by_answer" in dispatch.cache
    return Detail(
        entry=store.known(row, same),
        shipped=row["shipped"] or {},
        conflicts=conflicts(row["shipped"], row["own"], row["base"]),
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
        withdrawn=row["withdrawn"],
        retired=row["retired_at"] is not None,
        same_as=store.known(same) if same is not None else None,
        messages=sum((counted or {}).values()) if has_counter else None,
        samples=[answer["sample"] for answer in answers if answer["sample"]][:3],
        version=_version(row),
    )


def _version(row: RowMapping) -> str:
    said = f"{row['updated_at'].isoformat()}\0{row['updated_by']}\0{row['own']!r}"
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:32]


def followers(
    dispatch: Dispatch, *, system: str, code: str, pattern: str, unless: str = ""
) -> Followers:
    """Which answers a new entry of the clinic's would explain, and how many earlier messages have them.

    :raises ValueError: the pattern cannot be used.
    """
    new = KnownEntry(
        id=0, origin="clinic", system=system, code=code, pattern=pattern, unless=unless, content={}
    )
    with dispatch.database.begin() as connection:
        now = reference(dispatch, connection)
        then = Reference([*now.entries.values(), new])
        ids = {
            row["id"]
            for row in store.answers(connection, systems=[system])
            if then.explain(Answer(system=system, code=row["code"], text=row["sample"])).entry
            is new
        }
        counted = _count(dispatch, connection, sorted(ids)) if ids else {}
        has_counter = "count_by_answer" in dispatch.cache
    messages = sum((counted or {}).values()) if has_counter else None
    return Followers(answers=frozenset(ids), messages=messages)


#: Letters a piece of text needs to tell one answer from others by itself.
TELLING = 12


def is_telling(dispatch: Dispatch, draft: Draft, *, code: str, pattern: str) -> bool:
    """Whether this code and pattern mean the draft's answer, and not many others along with it."""
    if len(pattern) < TELLING and (code == ANY_CODE or is_reply_code(draft.answer.system, code)):
        return False
    if pattern and len(pattern) < TELLING:
        return False
    meant = followers(dispatch, system=draft.answer.system, code=code, pattern=pattern)
    return draft.id in meant.answers


def proposed_key(dispatch: Dispatch, answer: Answer) -> tuple[str, str]:
    """Code and pattern an entry for this answer should have.

    A pattern is needed where the code alone says too little: a bare SMTP reply code, a code that has an
    entry already, no code at all.
    """
    code, _reply = codes_of(answer)
    with dispatch.database.begin() as connection:
        taken = reference(dispatch, connection).find(answer.system, code) is not None
    if not code:
        return ANY_CODE, literal(piece_of(answer.text))
    if taken or is_reply_code(answer.system, code):
        return code, literal(piece_of(answer.text))
    return code, ""
