"""The list of what is broken on purpose fits the code, and no promise is left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
PROMISES = {*(f"G{number}" for number in range(1, 14)), "states", "forms", "secrets", "patterns"}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[each.harm for each in MUTATIONS])
def test_what_is_to_be_broken_is_there_once_and_so_are_its_tests(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text().count(mutation.old) == 1
    assert mutation.old != mutation.new
    for test in mutation.tests:
        file, _, name = test.partition("::")
        assert not name or f"def {name}(" in (ROOT / file).read_text(), test


def test_every_promise_is_broken_at_least_twice() -> None:
    counted = Counter(each.promise for each in MUTATIONS)
    assert set(counted) == PROMISES
    assert min(counted.values()) >= 2
