"""How the reference does on refusals nobody saw while patterns were written: labelled before the first try."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, Reference, flat
from tests.rules.packs import shipped

UNSEEN = Path(__file__).with_name("smtp_unseen.csv")
SEEN = Path(__file__).with_name("smtp_answers.csv")
#: The share at the first try, rounded down. Patterns are not written for these: else they would say nothing any more.
LEAST = 0.9


class Labelled(NamedTuple):
    """One refusal, what it means to whoever reads it, and the kind of place it was found in."""

    answer: str
    category: str
    source: str


def _labelled() -> list[Labelled]:
    with UNSEEN.open(encoding="utf-8", newline="") as file:
        return [Labelled(**row) for row in csv.DictReader(file)]


def _entries() -> Iterator[KnownEntry]:
    packs = [pack for pack in shipped().values() if pack.system == "smtp"]
    several = [entry for pack in packs for entry in pack.entries]
    for number, entry in enumerate(several, start=1):
        yield KnownEntry(
            id=number,
            origin="shipped",
            system="smtp",
            code=entry.code,
            pattern=entry.pattern,
            unless=entry.unless,
            position=number,
            content=flat(entry),
        )


def test_none_of_them_was_in_sight_while_the_patterns_were_written() -> None:
    with SEEN.open(encoding="utf-8", newline="") as file:
        seen = {row["answer"] for row in csv.DictReader(file)}
    answers = [each.answer for each in _labelled()]
    assert len(answers) == len(set(answers)) >= 80
    assert seen.isdisjoint(answers)


def test_so_many_unseen_refusals_find_their_kind() -> None:
    reference = Reference(_entries())
    right: Counter[str] = Counter()
    wrong = []
    for each in _labelled():
        code = each.answer[:3] if each.answer[:3].isdigit() else ""
        found = reference.explain(Answer(system="smtp", code=code, text=each.answer)).entry
        category = found.category if found else "unknown"
        if category == each.category:
            right[each.source] += 1
        else:
            wrong.append(f"{each.category} <> {category}: {each.answer[:90]}")
    in_all = Counter(each.source for each in _labelled())
    share = right.total() / in_all.total()
    by_source = ", ".join(f"{name} {right[name]} of {n}" for name, n in sorted(in_all.items()))
    print(f"\n{share:.1%} of {in_all.total()} unseen refusals find their kind ({by_source})")
    assert share >= LEAST, "\n".join(wrong)
