"""Every row of the fault matrix has a test, and what decides when something is due asks the database's clock alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.faults import MATRIX

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "clinic_dispatch_plugin"
#: Where it is decided what is due, whose lease is over, and what waits how long.
DECIDES = ("engine", "messages", "accounts")
#: Clocks of a process that jump with its machine's.
CLOCKS = {"time.time", "datetime.now", "datetime.utcnow", "date.today"}


@pytest.mark.parametrize("row", MATRIX)
def test_each_row_has_its_tests(row: int) -> None:
    what, tests = MATRIX[row]
    assert what and tests
    for test in tests:
        place, _, parameter = test.partition("@")
        file, _, name = place.partition("::")
        source = (ROOT / file).read_text()
        assert f"def {name}(" in source, test
        assert not parameter or f'"{parameter}"' in source, test


def test_no_row_is_forgotten() -> None:
    assert set(MATRIX) == set(range(1, 60))


def clocks_asked(source: str) -> set[str]:
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return {name for call in calls if (name := ast.unparse(call.func)) in CLOCKS}


def test_what_decides_asks_no_clock_of_its_own() -> None:
    found = {
        path.relative_to(CORE).as_posix(): clocks
        for folder in DECIDES
        for path in (CORE / folder).rglob("*.py")
        if (clocks := clocks_asked(path.read_text()))
    }
    assert found == {}
    assert clocks_asked("now = datetime.now(tz=UTC)") == {"datetime.now"}
