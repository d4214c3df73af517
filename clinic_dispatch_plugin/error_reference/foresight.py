"""What a change would do before it takes effect: the last thousand answers are looked up as it would be."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import store
from clinic_dispatch_plugin.error_reference.counting import count_messages
from clinic_dispatch_plugin.error_reference.rules import (
    ANY_CODE,
    KnownEntry,
    Reference,
    codes_of,
    compile_pattern,
    families,
)
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch

#: Distinct answers that are looked at.
LOOKED_AT = 1_000
#: Answers a pattern has to find before its share says anything.
FEWEST = 4
#: Steps of a compiled pattern above which every look-up takes long: usual ones have a few hundred at most.
MOST_STEPS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An answer whose note would change."""

    answer_id: int
    system: str
    code: str
    #: Without what names a person.
    sample: str
    now: KnownEntry | None
    then: KnownEntry | None
    #: Messages with it; None: nobody counts.
    messages: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What would follow from a change."""

    moved: Sequence[Moved]
    looked_at: int
    #: Answers the pattern finds.
    found: int
    broad: bool
    slow: bool

    @property
    def messages(self) -> int | None:
        """Messages whose note would change; None: nobody counts."""
        counted = [each.messages for each in self.moved if each.messages is not None]
        return sum(counted) if len(counted) == len(self.moved) else None

    @property
    def asks(self) -> bool:
        """Whether a person has to see it first."""
        return bool(self.moved) or self.broad or self.slow

    @property
    def mark(self) -> str:
        """Stands for what was seen: what differs by then is asked about again."""
        said = [(each.answer_id, each.now and each.now.id) for each in self.moved]
        return hashlib.sha256(repr((said, self.broad, self.slow)).encode()).hexdigest()[:32]


def as_new(
    *, system: str, code: str, pattern: str, unless: str, content: Mapping[str, Any]
) -> KnownEntry:
    """An entry of the clinic's that is not there yet."""
    return KnownEntry(
        id=0,
        origin="clinic",
        system=system,
        code=code,
        pattern=pattern,
        unless=unless,
        content=content,
    )


def sharing(dispatch: Dispatch, entry: KnownEntry, same_as: int) -> KnownEntry:
    """The same with the words of another; unchanged where that is not in use."""
    with dispatch.database.begin() as connection:
        other = reference(dispatch, connection).entries.get(same_as)
    return entry if other is None else replace(entry, content=other.content)


def foresee(dispatch: Dispatch, entry: KnownEntry, *, known: Collection[int] = ()) -> Foreseen:
    """What would follow if an entry were as given.

    :param entry: with the id of the one it takes the place of; 0: it is new.
    :param known: answers the person has before them: that their note changes is what they are about to say.
    :raises ValueError: its pattern cannot be used.
    """
    pattern = compile_pattern(entry.pattern)
    with dispatch.database.begin() as connection:
        now = reference(dispatch, connection)
        rows = store.latest_answers(connection, systems=None, limit=LOOKED_AT)
        then = Reference([*(e for e in now.entries.values() if e.id != entry.id), entry])
        pairs = _pairs(now, then, entry, [row for row in rows if row["id"] not in known])
        moved = _moved(dispatch, connection, pairs)
    found = sum(bool(pattern and pattern.search(row["sample"])) for row in rows)
    return Foreseen(
        moved=moved,
        looked_at=len(rows),
        found=found,
        broad=bool(pattern)
        and (bool(pattern.search("")) or (found >= FEWEST and found > len(rows) / 2)),
        slow=any(
            found is not None and found.programsize > MOST_STEPS
            for found in (pattern, compile_pattern(entry.unless))
        ),
    )


def _pairs(
    now: Reference, then: Reference, entry: KnownEntry, rows: Sequence[RowMapping]
) -> list[tuple[RowMapping, KnownEntry | None, KnownEntry | None]]:
    """Answers with the entries that explain them now and then, where the note differs."""
    found = []
    for row in rows:
        answer = Answer(system=row["system"], code=row["code"], text=row["sample"])
        mine = entry.id and row["entry_id"] == entry.id
        if not mine and not could_meet(entry, answer):
            continue
        before, after = now.explain(answer).entry, then.explain(answer).entry
        if _notes(before) != _notes(after):
            found.append((row, before, after))
    return found


def _notes(entry: KnownEntry | None) -> list[str]:
    return [entry.text("short", code) if entry else "" for code in LANGUAGES]


def _moved(
    dispatch: Dispatch,
    connection: Connection,
    pairs: Sequence[tuple[RowMapping, KnownEntry | None, KnownEntry | None]],
) -> list[Moved]:
    ids = [row["id"] for row, *_ in pairs]
    counted = count_messages(dispatch, connection, ids) if ids else {}
    moved = [
        Moved(
            answer_id=row["id"],
            system=row["system"],
            code=row["code"],
            sample=row["sample"],
            now=before,
            then=after,
            messages=None if counted is None else counted.get(row["id"], 0),
        )
        for row, before, after in pairs
    ]
    return sorted(moved, key=lambda each: -(each.messages or 0))


def could_meet(entry: KnownEntry, answer: Answer) -> bool:
    """Whether an entry has any part in the look-up of a stored answer: quick, and never wrongly no."""
    if entry.system != answer.system:
        return False
    if entry.pattern:
        return bool(compile_pattern(entry.pattern).search(answer.text))
    code, reply = codes_of(answer)
    near = {code, answer.code, reply, f"{reply[:1]}xx", *families(answer.system, code)}
    return entry.code == ANY_CODE or entry.code in near
