"""How the reference does on refusals of mail servers that were found in public, each labelled by what it says.

``smtp_unseen.csv`` is the sample that patterns may be written after. ``smtp_held_back.csv`` comes from other places and
was labelled before its first look-up; no pattern is ever written for it, else it would say nothing any more.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, Reference, flat
from tests.rules.packs import shipped

HERE = Path(__file__).parent
#: The shares that find their kind, rounded down; of the sample held back the one at its first look-up.
LEAST = {"smtp_unseen": 0.97, "smtp_held_back": 0.70}


class Labelled(NamedTuple):
    """One refusal, what it means to whoever reads it, and the kind of place it was found in."""

    answer: str
    category: str
    source: str


def _labelled(name: str) -> list[Labelled]:
    with (HERE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
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


def test_no_refusal_stands_in_two_samples() -> None:
    with (HERE / "smtp_answers.csv").open(encoding="utf-8", newline="") as file:
        seen = [row["answer"] for row in csv.DictReader(file)]
    unseen, held_back = ([each.answer for each in _labelled(name)] for name in LEAST)
    assert len(unseen) >= 80
    assert len(held_back) >= 60
    assert Counter(unseen + held_back).most_common(1)[0][1] == 1
    assert {*seen}.isdisjoint(unseen + held_back)


@pytest.mark.parametrize("name", LEAST)
def test_so_many_refusals_find_their_kind(name: str) -> None:
    reference = Reference(_entries())
    labelled = _labelled(name)
    right: Counter[str] = Counter()
    wrong = []
    for each in labelled:
        code = each.answer[:3] if each.answer[:3].isdigit() else ""
        found = reference.explain(Answer(system="smtp", code=code, text=each.answer)).entry
        category = found.category if found else "unknown"
        if category == each.category:
            right[each.source] += 1
        else:
            wrong.append(f"{each.category} <> {category}: {each.answer[:90]}")
    in_all = Counter(each.source for each in labelled)
    share = right.total() / in_all.total()
    by_source = ", ".join(
        f"{source} {right[source]} of {n}" for source, n in sorted(in_all.items())
    )
    print(f"\n{name}: {share:.1%} of {in_all.total()} refusals find their kind ({by_source})")
    assert share >= LEAST[name], "\n".join(wrong)
