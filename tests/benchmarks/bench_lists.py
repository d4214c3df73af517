"""A page of the list deep in a million messages against the first one, as a ratio.

``make bench``, or ``python tests/benchmarks/bench_lists.py [URL]`` for another database than SQLite.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from sqlalchemy import text

from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages.lists import Cursor, MessageFilter, list_messages
from clinic_dispatch_plugin.registry import Dispatch
from tests.clinic.host import make_clinic
from tests.clinic.mailbag import STRANGE, UNKNOWN_USER, Mailbag
from tests.store.letters import LetterPlugin

MESSAGES = 1_000_000
MAILINGS = 20
ROUNDS = 15
READER = Actor(ref="reader", name="Reader")
COLUMNS = (
    "mailing_id, account_id, channel, ref, name, locale, address, data, state, due_at, attempt_id, attempts, "
    "last_number, tries, lost_runs, answer_id, created_at, sent_at, final_at"
)


@dataclass(frozen=True)
class Case:
    """A list somebody opens, and where in it."""

    name: str
    wanted: MessageFilter
    near: Cursor | None
    far: Cursor


def fill(dispatch: Dispatch) -> int:
    """A million messages in twenty mailings, one in ten failed; returns the first mailing's id."""
    bag = Mailbag(dispatch)
    mailings = [bag.mailing(f"Mailing {number}") for number in range(MAILINGS)]
    for mailing in mailings:
        for number in range(10):
            state = "undelivered" if number == 0 else "delivered"
            answer = (UNKNOWN_USER if mailing % 2 else STRANGE) if number == 0 else None
            bag.message(mailing, state, answer=answer)
    held = len(mailings) * 10
    while held < MESSAGES:
        more = min(held, MESSAGES - held)
        with dispatch.database.begin() as connection:
            connection.execute(
                text(
                    f"INSERT INTO dispatch_message ({_quoted(dispatch)}, {COLUMNS}) "
                    f"SELECT {_new_key(dispatch)}, {COLUMNS} FROM dispatch_message "
                    f"WHERE id <= {more} ORDER BY mailing_id, id"
                )
            )
        held += more
    return mailings[0]


def _quoted(dispatch: Dispatch) -> str:
    return dispatch.database.engine.dialect.identifier_preparer.quote("key")


def _new_key(dispatch: Dispatch) -> str:
    name = dispatch.database.engine.dialect.name
    if name == "sqlite":
        return "lower(hex(randomblob(13)))"
    return "substr(md5(random()::text), 1, 26)" if name == "postgresql" else "left(uuid(), 26)"


def seconds(open_page: Callable[[], object]) -> float:
    """The middle one of several times."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        open_page()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Fill a database, open pages, print ratios."""
    with tempfile.TemporaryDirectory() as folder:
        config = {"SQLALCHEMY_DATABASE_URI": sys.argv[1]} if len(sys.argv) > 1 else {}
        clinic = make_clinic(
            Path(folder), config=config, host=HostAdapter(), plugins=[LetterPlugin()]
        )
        dispatch = clinic.dispatch
        start = time.perf_counter()
        mailing = fill(dispatch)
        print(f"{MESSAGES:,} messages made in {time.perf_counter() - start:.0f} s")
        middle = MESSAGES - 50_000  # page 1,000 of fifty
        cases = [
            Case("all messages", MessageFilter(), None, Cursor(segment=0, id=middle)),
            Case(
                "not delivered",
                MessageFilter(state="undelivered"),
                None,
                Cursor(segment=0, id=middle // 2),
            ),
            Case(
                "one mailing",
                MessageFilter(mailing_id=mailing),
                None,
                Cursor(segment=7, id=middle),
            ),
            Case(
                "one cause",
                MessageFilter(cause="smtp:5.9.9"),
                None,
                Cursor(segment=0, id=middle // 2),
            ),
        ]
        for case in cases:
            first = seconds(partial(_open, dispatch, case.wanted, case.near))
            deep = seconds(partial(_open, dispatch, case.wanted, case.far))
            print(
                f"{case.name:15} first page {first * 1000:6.2f} ms, deep page {deep / first:5.2f} x"
            )


def _open(dispatch: Dispatch, wanted: MessageFilter, cursor: Cursor | None) -> None:
    page = list_messages(dispatch, READER, wanted, cursor=cursor)
    assert len(page.lines) == 50, f"{wanted}: {len(page.lines)} lines"


if __name__ == "__main__":
    main()
