"""Answers together with what explains them, for whoever shows messages; and which answers one cause gathers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import store
from clinic_dispatch_plugin.error_reference.normalising import anonymous, answer_digest
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, Matched
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch

#: Between several causes that say the same.
JOINT = "+"
#: Ids one statement asks for.
_PORTION = 500
#: Steps of the look-up whose words fit a great many answers.
_GENERAL = frozenset({Matched.REPLY, Matched.DEFAULT, Matched.DRAFT, Matched.NONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One distinct answer as it explains itself now."""

    id: int
    system: str
    code: str
    #: The provider's words without what names a person.
    sample: str
    matched: Matched
    #: Nobody described it yet, and nobody said that the general description will do.
    draft: bool
    entry: KnownEntry | None
    #: Since when this entry explains it.
    since: datetime | None = None
    first_seen_at: datetime | None = None

    @property
    def explained_later(self) -> bool:
        """Whether somebody described it only after it had come."""
        if self.since is None or self.first_seen_at is None or self.draft:
            return False
        return self.matched.described and self.since > self.first_seen_at

    @property
    def key(self) -> str:
        """The cause's name for commands: of the entry, for a draft of the answer itself."""
        if self.entry is None or self.draft:
            return f"{self.system}:{self.code}"
        return self.entry.key

    @property
    def token(self) -> str:
        """The cause's name in addresses of pages: never shared by two causes."""
        if self.entry is None or self.draft:
            return f"draft:{self.system}:{self.code}"
        return f"entry:{self.entry.id}"

    @property
    def general(self) -> bool:
        """Whether the words that explain it fit a great many answers, and nobody said that they will do."""
        return self.draft and self.matched in _GENERAL

    @property
    def named(self) -> tuple[str, str]:
        """System and code of what explains it; a draft is named like its answer."""
        if self.entry is None or self.matched in (Matched.DRAFT, Matched.NONE):
            return self.system, self.code
        return self.entry.system, self.entry.code

    @property
    def category(self) -> str:
        """The kind of trouble."""
        return self.entry.category if self.entry else "unknown"

    def is_ours(self, *codes: str) -> bool:
        """Whether it is a decision of our own with one of these codes."""
        return self.system == "dispatch" and self.code in codes

    def text(self, name: str, language: str) -> str:
        """``short``, ``what_happened`` or ``what_helps`` in a language; empty where nothing is known."""
        return self.entry.text(name, language) if self.entry else ""


def explained(
    dispatch: Dispatch, connection: Connection, answer_ids: Iterable[int | None]
) -> dict[int, Explained]:
    """These answers with their entries, by id."""
    wanted = sorted({found for found in answer_ids if found is not None})
    entries = reference(dispatch, connection).entries
    unknown = reference(dispatch, connection).unknown_answer
    done: dict[int, Explained] = {}
    for start in range(0, len(wanted), _PORTION):
        for row in store.answers_by_id(connection, wanted[start : start + _PORTION]).values():
            done[row["id"]] = _explained(row, entries, unknown)
    return done


def _explained(
    row: RowMapping, entries: Mapping[int, KnownEntry], unknown: KnownEntry | None
) -> Explained:
    return Explained(
        id=row["id"],
        system=row["system"],
        code=row["code"],
        sample=row["sample"],
        matched=Matched(row["matched"]),
        draft=row["draft"],
        entry=entries.get(row["entry_id"] or 0) or unknown,
        since=row["explained_at"],
        first_seen_at=row["first_seen_at"],
    )


def describers(connection: Connection, several: Iterable[Explained]) -> dict[int, str]:
    """Who described answers that were explained only later, by the answer's id; nobody for a shipped entry's words."""
    names = {}
    for each in several:
        if each.explained_later and each.entry is not None:
            changes = store.changes(connection, each.entry.id)
            before = (row for row in changes if each.since is None or row["at"] <= each.since)
            names[each.id] = next((row["by"] for row in before), "")
    return names


def answers_of_cause(dispatch: Dispatch, connection: Connection, cause: str) -> list[int]:
    """The answers a cause gathers; empty for one that does not exist.

    :param cause: ``smtp:5.1.1`` (entry or draft), ``entry:7``, ``draft:smtp:5.9.9`` or ``answer:12``; several
        are separated by ``+``.
    """
    several = [each for each in cause.split(JOINT) if each]
    found = [_answers_of_one(dispatch, connection, each) for each in several]
    return sorted(set().union(*found))


def _answers_of_one(dispatch: Dispatch, connection: Connection, cause: str) -> list[int]:
    kind, _, rest = cause.partition(":")
    if kind == "answer":
        return [int(rest)] if rest.isascii() and rest.isdigit() and len(rest) < 19 else []
    entries = reference(dispatch, connection).entries
    found = (_explained(row, entries, None) for row in _candidates(connection, kind, rest))
    wanted = "token" if kind in ("entry", "draft") else "key"
    return [answer.id for answer in found if getattr(answer, wanted) == cause]


def _candidates(connection: Connection, kind: str, rest: str) -> Sequence[RowMapping]:
    # An entry of one system explains answers of another: our own "unknown answer".
    systems = [rest.partition(":")[0]] if kind == "draft" else None
    return store.answers(connection, systems=systems)


def id_of(connection: Connection, answer: Answer) -> int | None:
    """What messages with just this answer point to; None: it never came."""
    digest = answer_digest(answer.system, answer.code, anonymous(answer.text))
    row = store.answer_by_digest(connection, digest)
    return None if row is None else int(row["id"])
