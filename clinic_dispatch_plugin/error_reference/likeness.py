"""What an answer has in common with entries, and the piece of its words by which its like is known again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.rules import (
    KnownEntry,
    Reference,
    codes_of,
    families,
)
from clinic_dispatch_plugin.registry import Dispatch

#: Characters of an answer's words that are proposed as a pattern.
PIECE_LIMIT = 80
#: How much two texts need in common to be called similar: one word that at most five entries have.
_LEAST_COMMON = 0.2
_CACHE_WORDS = "reference.words"

_PLACEHOLDER = re.compile(r"<(?:@|ip|host|link|name|time|number|id)>|0\.0\.0\.0|https?://\S+")
#: Codes at the start of an answer and of each continued line (RFC 5321 4.2.1), which the code already says.
_CODES = re.compile(r"(?:^|\s)[245]\d\d[ -](?:#?[245]\.\d{1,3}\.\d{1,3}\s)?")
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_WORD = re.compile(r"[a-zA-Zа-яА-ЯёЁäöüÄÖÜß]{4,}")
#: Words of nearly every answer, which make nothing similar.
_COMMON = re.compile(
    r"(?:that|this|with|from|your|have|been|will|mail|message|server|error|address|here|happened"
    r"|something|only|service)\Z"
)


def piece_of(sample: str) -> str:
    """The longest piece of an answer's words without anything that differs from message to message."""
    pieces = [
        piece.strip(" .,:;-<>\"'()[]")
        for part in _PLACEHOLDER.split(sample)
        for piece in _CODES.split(part)
    ]
    longest = max(pieces, key=len, default="")
    if len(longest) > PIECE_LIMIT:
        longest = longest[:PIECE_LIMIT].rsplit(" ", 1)[0]
    return longest


def literal(text: str) -> str:
    """A pattern that finds exactly this text."""
    return _SPECIAL.sub(lambda found: "\\" + found[0], text)


def plain_words(pattern: str) -> str | None:
    """The text a literal pattern looks for; None where the pattern is more than that."""
    text = re.sub(r"\\([\\.+*?()|\[\]{}^$])", r"\1", pattern)
    return text if pattern and literal(text) == pattern else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Likely:
    """An entry that an answer may mean, and why."""

    entry: KnownEntry
    #: The family both codes belong to, such as 5.1.x; empty: another one.
    family: str = ""
    #: Words that both have, those that fewest entries have first.
    words: tuple[str, ...] = ()


def likely(dispatch: Dispatch, known: Reference, answer: Answer, *, limit: int = 4) -> list[Likely]:
    """The entries an answer may mean: the nearest by words, then others of its code's family."""
    by_words = similar(dispatch, known, answer, limit=limit)
    said = set(_words(answer.text))
    all_words = _entry_words(dispatch, known)
    spread = Counter(word for words in set(all_words.values()) for word in said & words)
    found = [
        Likely(
            entry=entry,
            family=_family_shared(answer, entry),
            words=tuple(sorted(said & all_words[entry.id], key=lambda word: (spread[word], word))),
        )
        for entry in by_words
    ]
    notes = {entry.text("short", "en") for entry in by_words}
    for entry in _of_family(known, answer):
        if len(found) >= limit:
            break
        if entry.text("short", "en") not in notes:
            notes.add(entry.text("short", "en"))
            found.append(Likely(entry=entry, family=_family_shared(answer, entry)))
    return sorted(found, key=lambda each: not (each.family and each.words))


def _of_family(known: Reference, answer: Answer) -> list[KnownEntry]:
    """Entries of single codes in the narrow family of an answer's code, those that say something."""
    found = [
        entry
        for entry in known.entries.values()
        if not entry.pattern and not entry.is_vague and _family_shared(answer, entry)
    ]
    return sorted(found, key=lambda entry: entry.code)


def _family_shared(answer: Answer, entry: KnownEntry) -> str:
    """The narrowest family that an answer's code and an entry's belong to; empty: none."""
    if entry.system != answer.system:
        return ""
    mine, theirs = families(answer.system, codes_of(answer)[0]), families(entry.system, entry.code)
    return mine[0] if mine and theirs and mine[0] == theirs[0] else ""


def share_of_words(one: str, other: str) -> float:
    """Which share of all their words two answers have in common: 0 to 1."""
    first, second = set(_words(one)), set(_words(other))
    return len(first & second) / len(first | second) if first and second else 0.0


def similar(
    dispatch: Dispatch, known: Reference, answer: Answer, *, limit: int = 2
) -> list[KnownEntry]:
    """Entries whose words are near an answer's words: somebody who describes it may take one as a model."""
    said = set(_words(answer.text))
    if not said:
        return []
    all_words = _entry_words(dispatch, known)
    # Entries of one cause have the same words: they count once.
    spread = Counter(word for words in set(all_words.values()) for word in said & words)
    scores = []
    for entry_id, words in all_words.items():
        entry = known.entries[entry_id]
        # A word says the more, the fewer entries have it.
        common = sum(1 / spread[word] for word in said & words)
        if entry.system == answer.system and common >= _LEAST_COMMON:
            scores.append((common, -len(words), -entry_id, entry))
    scores.sort(key=lambda score: score[:3], reverse=True)
    unlike: list[KnownEntry] = []
    for *_rest, entry in scores:
        if all(entry.text("short", "en") != other.text("short", "en") for other in unlike):
            unlike.append(entry)
        if len(unlike) == limit:
            break
    return unlike


def _entry_words(dispatch: Dispatch, known: Reference) -> Mapping[int, frozenset[str]]:
    revision, words = dispatch.cache.get(_CACHE_WORDS, (None, {}))
    if revision != known.revision:
        words = {
            entry.id: frozenset(
                _words(
                    f"{entry.pattern} {entry.text('short', 'en')} {entry.text('what_happened', 'en')}"
                )
            )
            for entry in known.entries.values()
        }
        dispatch.cache[_CACHE_WORDS] = (known.revision, words)
    return words  # type: ignore[no-any-return]


def _words(text: str) -> Iterable[str]:
    plain = _PLACEHOLDER.sub(" ", text)
    return (word for word in map(str.casefold, _WORD.findall(plain)) if not _COMMON.match(word))
