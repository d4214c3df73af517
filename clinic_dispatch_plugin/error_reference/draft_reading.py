"""What the page of one draft shows: where it came, what it may mean, and what describing it would explain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import reading_store, store
from clinic_dispatch_plugin.error_reference.counting import count_messages, mailings_touched
from clinic_dispatch_plugin.error_reference.foresight import could_meet
from clinic_dispatch_plugin.error_reference.likeness import (
    likely,
    literal,
    piece_of,
    share_of_words,
)
from clinic_dispatch_plugin.error_reference.reading import Alike, Draft, drafts_of
from clinic_dispatch_plugin.error_reference.rules import (
    ANY_CODE,
    PATTERN_LIMIT,
    KnownEntry,
    Matched,
    Reference,
    codes_of,
    is_reply_code,
)
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch

#: Mailings a draft's page names.
MOST_MAILINGS = 8
#: Other drafts a draft's page offers to describe along with it, and how many it looks at.
MOST_ALIKE = 8
_DRAFTS_COMPARED = 500
#: Share of their words two drafts have in common that are much the same.
_MUCH = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Followers:
    """What a new entry would explain."""

    answers: frozenset[int]
    messages: int | None


def described_by(dispatch: Dispatch, answer_id: int) -> int | None:
    """The entry that describes just this answer; None: nobody described it, or it never came."""
    with dispatch.database.begin() as connection:
        row = reading_store.answer(connection, answer_id)
    if row is None or row["draft"] or not Matched(row["matched"]).described:
        return None
    return int(row["entry_id"])


def draft(dispatch: Dispatch, answer_id: int, *, settled: bool = False) -> Draft | None:
    """One draft; None: there is none, or somebody described it meanwhile.

    :param settled: also one for which the general description was to do.
    """
    with dispatch.database.begin() as connection:
        row = reading_store.answer(connection, answer_id)
        described = row is not None and Matched(row["matched"]).described
        if row is None or not (row["draft"] or (settled and not described)):
            return None
        known = reference(dispatch, connection)
        found = drafts_of(dispatch, connection, known, [row])[0]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to say which answers mean the same as a draft's."""

    #: ``code``: all with this code; ``pattern``: those with this piece of text.
    by: str
    code: str
    pattern: str
    #: The piece of text in plain words.
    piece: str = ""


def ways(dispatch: Dispatch, draft: Draft) -> list[Way]:
    """The ways that mean the draft's answer and not many others along with it, the better one first."""
    code, pattern = proposed_key(dispatch, draft.answer)
    piece = piece_of(draft.answer.text)
    found = []
    if not pattern:
        found.append(Way(by="code", code=code, pattern=""))
    if literal(piece):
        found.append(Way(by="pattern", code=code, pattern=literal(piece), piece=piece))
    return [
        each for each in found if is_telling(dispatch, draft, code=each.code, pattern=each.pattern)
    ]


def way(dispatch: Dispatch, draft: Draft, by: str) -> Way | None:
    """The way somebody chose, else the better one; None: there is none."""
    found = ways(dispatch, draft)
    return next((each for each in found if each.by == by), found[0] if found else None)


def keys_for(
    dispatch: Dispatch, several: Iterable[Alike], *, entry: KnownEntry
) -> list[tuple[str, str]]:
    """Code and pattern for each of other drafts that the entry itself does not mean, so that it is called the same."""
    with dispatch.database.begin() as connection:
        then = Reference([*reference(dispatch, connection).entries.values(), entry])
    left = [each.answer for each in several if then.explain(each.answer).entry is not entry]
    return list(dict.fromkeys(_key_of_just(dispatch, answer) for answer in left))


def _key_of_just(dispatch: Dispatch, answer: Answer) -> tuple[str, str]:
    """Code and pattern of an answer; where its piece of text says too little, its whole text."""
    code, pattern = proposed_key(dispatch, answer)
    bare = code == ANY_CODE or is_reply_code(answer.system, code)
    if len(pattern) >= TELLING or (not pattern and not bare):
        return code, pattern
    whole = literal(answer.text)
    return code, f"^{whole}$" if len(
        whole
    ) < PATTERN_LIMIT - 2 else f"^{literal(answer.text[:200])}"
