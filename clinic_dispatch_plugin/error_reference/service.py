"""Looking answers up, and writing down those that came: what a worker does with each refusal."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import known_store, store
from clinic_dispatch_plugin.error_reference.normalising import anonymous, answer_digest
from clinic_dispatch_plugin.error_reference.rules import (
    Explanation,
    Matched,
    Reference,
    Step,
)
from clinic_dispatch_plugin.registry import Dispatch

#: Seconds after which a worker asks again whether the reference changed elsewhere.
FRESH_SECONDS = 1.0
#: Seconds between two notes that the same answer came again.
SEEN_SECONDS = 60.0
#: Answers one process remembers the explanation of.
REMEMBERED = 10_000

_CACHE = "reference"
_NAME = re.compile(r"\w[\w'’-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """An answer that came, and whose it is."""

    answer: Answer
    channel: str = ""
    #: Of the recipient: neither is kept.
    address: str = ""
    name: str = ""


class Noted(NamedTuple):
    """An answer that was written down."""

    #: What messages point to.
    answer_id: int
    explanation: Explanation
    #: Its words without what names a person.
    sample: str


@dataclass(frozen=True, slots=True)
class _Read:
    """An answer without personal data, and what explains it."""

    sample: str
    digest: str
    found: Explanation


@dataclass(slots=True)
class _Warm:
    """What one process keeps of the reference."""

    reference: Reference
    #: By the process's monotonic clock: when its revision was last compared.
    checked_at: float
    #: By system, code and the words without the recipient's address.
    read: dict[tuple[str, str, str], _Read] = field(default_factory=dict)


def reference(dispatch: Dispatch, connection: Connection) -> Reference:
    """The reference as it holds now; read again only when something changed."""
    return _warm(dispatch, connection, fresh_seconds=0.0).reference


def _warm(dispatch: Dispatch, connection: Connection, *, fresh_seconds: float) -> _Warm:
    kept = dispatch.cache.get(_CACHE)
    now = time.monotonic()
    if isinstance(kept, _Warm) and now - kept.checked_at < fresh_seconds:
        return kept
    revision = store.revision(connection)
    if isinstance(kept, _Warm) and kept.reference.revision == revision:
        kept.checked_at = now
        return kept
    made = _Warm(read(connection, revision), now)
    dispatch.cache[_CACHE] = made
    return made


def read(connection: Connection, revision: int = 0) -> Reference:
    """Read without keeping: inside a change, which may yet be rolled back."""
    return Reference(known_store.known_entries(connection), revision=revision)


def explain(dispatch: Dispatch, answer: Answer) -> Explanation:
    """What the reference says of an answer; gathers nothing."""
    with dispatch.database.begin() as connection:
        found = reference(dispatch, connection).explain(answer)
        if found.matched is Matched.NONE and _seen(connection, answer):
            return Explanation(entry=found.entry, matched=Matched.DRAFT)
        return found


def near(dispatch: Dispatch, answer: Answer) -> list[Step]:
    """What would explain an answer if the entry that does were not there, in the look-up's order."""
    with dispatch.database.begin() as connection:
        steps = reference(dispatch, connection).trace(answer)
        return [step for step in steps if step.entry is not None][1:]


def _seen(connection: Connection, answer: Answer) -> bool:
    digest = answer_digest(answer.system, answer.code, anonymous(answer.text))
    return store.answer_by_digest(connection, digest) is not None


def note_answer(
    dispatch: Dispatch, connection: Connection, answer: Answer, *, channel: str = ""
) -> tuple[int, Explanation]:
    """Write one answer down; see :func:`note_answers`."""
    [noted] = note_answers(dispatch, connection, [Met(answer=answer, channel=channel)])
    return noted.answer_id, noted.explanation


def note_answers(dispatch: Dispatch, connection: Connection, met: Sequence[Met]) -> list[Noted]:
    """Write each distinct answer down once, with what explains it; one nobody described becomes a draft.

    Another process's change of the reference is seen within a second or two.

    :returns: for each the id messages point to, and the explanation that decides what happens next.
    """
    if not met:
        return []
    warm = _warm(dispatch, connection, fresh_seconds=FRESH_SECONDS)
    several = [_read_one(warm, each) for each in met]
    known = store.answers_by_digest(connection, {each.digest for each in several}, SEEN_SECONDS)
    if any(each.digest not in known for each in several):
        # What is written down now stays until the reference changes again: it has to be explained as it is now.
        store.hold(connection)
        warm = _warm(dispatch, connection, fresh_seconds=0.0)
        several = [_read_one(warm, each) for each in met]
    store.seen_again(connection, [row["id"] for row in known.values() if row["long_ago"]])
    ids = {digest: int(row["id"]) for digest, row in known.items()}
    for each, read_as in zip(met, several, strict=True):
        if read_as.digest not in ids:
            ids[read_as.digest] = _first_seen(connection, each, read_as)
    return [Noted(ids[each.digest], each.found, each.sample) for each in several]


def _read_one(warm: _Warm, met: Met) -> _Read:
    answer = met.answer
    # The words of most answers differ in the address alone: what is left was mostly read before.
    text = answer.text
    if met.address:
        text = text.replace(f"<{met.address}>", "<@>").replace(met.address, "<@>")
    hide = _personal(met, text, warm.reference.vocabulary(answer.system))
    if hide:
        return _anew(warm.reference, answer, text, hide)
    key = (answer.system, answer.code, text)
    found = warm.read.get(key)
    if found is None:
        found = warm.read[key] = _anew(warm.reference, answer, text, ())
        if len(warm.read) > REMEMBERED:
            warm.read.pop(next(iter(warm.read)), None)
    return found


def _personal(met: Met, text: str, vocabulary: frozenset[str]) -> tuple[str, ...]:
    """The recipient's names and the first part of the address, as far as they occur in the answer.

    Words that patterns ask for stay, for they say what is wrong: somebody may be called Max, or have service@….
    """
    said = text.casefold()
    words = (*_NAME.findall(met.name), met.address.rpartition("@")[0])
    return tuple(
        word
        for word in words
        if len(word) > 2 and word.casefold() in said and word.casefold() not in vocabulary
    )


def _anew(known: Reference, answer: Answer, text: str, hide: Sequence[str]) -> _Read:
    sample = "" if answer.system == "dispatch" else anonymous(text, hide=hide)
    plain = Answer(system=answer.system, code=answer.code, text=sample)
    return _Read(sample, answer_digest(answer.system, answer.code, sample), known.explain(plain))


def _first_seen(connection: Connection, met: Met, read_as: _Read) -> int:
    found = read_as.found
    matched = Matched.DRAFT if found.matched is Matched.NONE else found.matched
    values = {
        "system": met.answer.system[:32],
        "code": met.answer.code[:64],
        "sample": read_as.sample,
        "digest": read_as.digest,
        "channel": met.channel,
        "entry_id": found.entry.id if found.entry else None,
        "matched": matched.value,
        "draft": not found.described,
    }
    try:
        with connection.begin_nested():
            return store.add_answer(connection, values)
    except IntegrityError:  # another worker met the same answer at the same moment
        known = store.answer_by_digest(connection, read_as.digest)
        assert known is not None
        return int(known["id"])
