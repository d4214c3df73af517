"""Look-ups a second, the share of real answers that find their kind, and what noting failures costs beside a plain one.

``make bench``, or ``python tests/benchmarks/bench_reference.py``.
"""

from __future__ import annotations

import csv
import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.service import Met, note_answers, reference
from clinic_dispatch_plugin.registry import Dispatch
from tests.clinic.host import make_clinic

ANSWERS = Path(__file__).parents[1] / "rules" / "smtp_answers.csv"
WINDOW = 50
FAILURES = 10_000
COUNTED = itertools.count(100_000)


def labelled() -> list[tuple[Answer, str]]:
    """Gathered answers with the kind of trouble each means."""
    with ANSWERS.open(encoding="utf-8", newline="") as file:
        return [
            (
                Answer(system="smtp", code=row["answer"].strip()[:3], text=row["answer"]),
                row["category"],
            )
            for row in csv.DictReader(file)
        ]


def rate(work: Callable[[], int]) -> float:
    """How many a second, the best of three."""
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        best = max(best, work() / (time.perf_counter() - start))
    return best


def noted(dispatch: Dispatch, make: Callable[[int], Met]) -> Callable[[], int]:
    """Note failures window by window, as a worker does."""

    def work(connection: Connection, start: int) -> None:
        note_answers(dispatch, connection, [make(n) for n in range(start, start + WINDOW)])

    def all_of_them() -> int:
        for start in range(0, FAILURES, WINDOW):
            dispatch.database.run(lambda connection, at=start: work(connection, at))  # type: ignore[misc]
        return FAILURES

    return all_of_them


def usual(number: int) -> Met:
    """The same words about another address."""
    address = f"p{number}@example.org"
    text = f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
    return Met(answer=Answer(system="smtp", code="5.1.1", text=text), address=address)


def odd(_: int) -> Met:
    """Words with an id of their own each time, so that nothing read before helps."""
    number = next(COUNTED)
    text = f"554 5.7.1 rejected, see https://support.example/{number}?q={number:09d}x"
    return Met(answer=Answer(system="smtp", code="5.7.1", text=text), address="a@example.org")


def main() -> None:
    """Print the figures."""
    samples = labelled()
    with tempfile.TemporaryDirectory() as folder:
        dispatch = make_clinic(Path(folder)).dispatch
        with dispatch.database.begin() as connection:
            known = reference(dispatch, connection)

        def look_up() -> int:
            for answer, _ in samples:
                known.explain(answer)
            return len(samples)

        right = sum(
            found.entry is not None and found.entry.category == category
            for found, category in (
                (known.explain(answer), category) for answer, category in samples
            )
        )
        print(f"entries: {len(known.entries)}")
        print(f"right kind of {len(samples)} gathered answers: {right / len(samples):.1%}")
        print(f"look-ups a second, never read before: {rate(look_up):,.0f}")
        plain = rate(noted(dispatch, usual))
        strange = rate(noted(dispatch, odd))
        print(f"failures noted a second, windows of {WINDOW}: {plain:,.0f} with usual words")
        print(f"the same with an id in each: {strange:,.0f} = {strange / plain:.2f} x")
        dispatch.database.dispose()


if __name__ == "__main__":
    main()
