"""What the pages of the reference show: entries under their headings, drafts on top, what follows a change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.reference import GROUPS
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import reading_store, store
from clinic_dispatch_plugin.error_reference.counting import (
    Touched,
    count_messages,
    mailings_touched,
)
from clinic_dispatch_plugin.error_reference.foresight import could_meet
from clinic_dispatch_plugin.error_reference.likeness import (
    Likely,
    likely,
    literal,
    piece_of,
    share_of_words,
    similar,
)
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

#: Drafts shown before somebody asks for all of them.
FIRST_DRAFTS = 5
#: Mailings a draft's page names.
MOST_MAILINGS = 8
#: Other drafts a draft's page offers to describe along with it, and how many it looks at.
MOST_ALIKE = 8
_DRAFTS_COMPARED = 500
#: Share of their words two drafts have in common that are much the same.
_MUCH = 0.5

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
            and _has_words(query, row["system"], row["code"], row["sample"])
        ]
        shown = rows if all_drafts else rows[:FIRST_DRAFTS]
        listed = _listed(dispatch, connection, known)
        drafts = _drafts(dispatch, connection, known, shown)
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
    return _has_words(query, entry.key, entry.code, entry.pattern, *said)


def _has_words(query: str, *texts: str) -> bool:
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


def _drafts(
    dispatch: Dispatch, connection: Connection, known: Reference, rows: Sequence[RowMapping]
) -> list[Draft]:
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


def draft(dispatch: Dispatch, answer_id: int) -> Draft | None:
    """One draft; None: there is none, or somebody described it meanwhile."""
    with dispatch.database.begin() as connection:
        row = reading_store.answer(connection, answer_id)
        if row is None or not row["draft"]:
            return None
        known = reference(dispatch, connection)
        found = _drafts(dispatch, connection, known, [row])[0]
        return replace(
            found,
            likely=likely(dispatch, known, found.answer),
            mailings=mailings_touched(dispatch, connection, answer_id, limit=MOST_MAILINGS),
            alike=_alike(dispatch, connection, found),
        )


def _alike(dispatch: Dispatch, connection: Connection, draft: Draft) -> list[Alike]:
    rows = reading_store.other_drafts(connection, draft.id, draft.answer.system, _DRAFTS_COMPARED)
    shares = {row["id"]: share_of_words(draft.answer.text, row["sample"]) for row in rows}
    near = [row for row in rows if shares[row["id"]] >= _MUCH]
    near = sorted(near, key=lambda row: -shares[row["id"]])[:MOST_ALIKE]
    counted = count_messages(dispatch, connection, [row["id"] for row in near]) if near else {}
    return [
        Alike(
            id=row["id"],
            answer=Answer(system=row["system"], code=row["code"], text=row["sample"]),
            messages=None if counted is None else counted.get(row["id"], 0),
        )
        for row in near
    ]


def detail(dispatch: Dispatch, entry_id: int) -> Detail | None:
    """One entry; None: there is none."""
    with dispatch.database.begin() as connection:
        row = store.entry(connection, entry_id)
        if row is None:
            return None
        same = store.entry(connection, row["same_as"]) if row["same_as"] else None
        answers = reading_store.answers_of(connection, entry_id)
        ids = [answer["id"] for answer in answers]
        counted = count_messages(dispatch, connection, ids) if ids else {}
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
        answers = {
            row["id"]: Answer(system=system, code=row["code"], text=row["sample"])
            for row in store.answers(connection, systems=[system])
        }
        ids = {
            number
            for number, answer in answers.items()
            if could_meet(new, answer) and then.explain(answer).entry is new
        }
        counted = count_messages(dispatch, connection, sorted(ids)) if ids else {}
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
