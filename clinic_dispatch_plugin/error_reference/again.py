"""Looking answers up again after a change: the latest at once, the rest of very many by a worker in portions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import store
from clinic_dispatch_plugin.error_reference.rules import Explanation, Matched, Reference
from clinic_dispatch_plugin.error_reference.service import read, reference
from clinic_dispatch_plugin.registry import Dispatch

#: Distinct answers that are looked up again while a person waits for the page.
AT_ONCE = 1_000
#: Answers of one transaction of a worker.
PORTION = 250
#: Seconds between two looks of a worker whether anything is left.
EVERY_SECONDS = 2.0
#: Seconds one such look works at most, so that other rounds have their turn.
_LONGEST = 60.0


#: Whether a change is only tried, to see what would follow from it.
_REHEARSAL: ContextVar[bool] = ContextVar("rehearsal", default=False)


#: What is written down in the transaction of the next change.
_TOGETHER: ContextVar[Callable[[Connection], None] | None] = ContextVar("together", default=None)


class Rehearsed(Exception):
    """A change was only tried: it is taken back with its transaction."""

    def __init__(self, reference: Reference) -> None:
        super().__init__("only tried")
        self.reference = reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a worker is."""

    done: int
    total: int


def explain_again(
    connection: Connection, systems: Sequence[str] | None = None, *, entry_id: int | None = None
) -> Reference:
    """After a change answers are looked up again: what was described once explains itself everywhere.

    Messages point to answers, so a hundred thousand messages with one answer follow by one row. Of very many
    distinct answers what the entry explains, the drafts and the latest follow in this transaction; all others
    are left to :func:`go_on`.

    :param systems: only answers of these can have changed; None: of all.
    :param entry_id: the entry that changed.
    """
    now = read(connection)
    if _REHEARSAL.get():
        raise Rehearsed(now)
    rows = store.latest_answers(
        connection, systems=systems, limit=AT_ONCE + 1, entry_id=entry_id, drafts_first=True
    )
    _look_up(connection, now, rows[:AT_ONCE])
    if len(rows) > AT_ONCE:
        _leave_all(connection, systems)
    if (more := _TOGETHER.get()) is not None:
        more(connection)
    return now


@contextmanager
def together(more: Callable[[Connection], None]) -> Iterator[None]:
    """What is written down along with a change that ends with :func:`explain_again`: both are there, or neither is."""
    token = _TOGETHER.set(more)
    try:
        yield
    finally:
        _TOGETHER.reset(token)


def rehearse(deed: Callable[[], object]) -> Reference | None:
    """The reference as it would be after a change, which is made and taken back at once; None: it changes nothing.

    :param deed: makes one change that ends with :func:`explain_again`; what it raises is raised.
    """
    token = _REHEARSAL.set(True)
    try:
        deed()
    except Rehearsed as tried:
        return tried.reference
    finally:
        _REHEARSAL.reset(token)
    return None


def _leave_all(connection: Connection, systems: Sequence[str] | None) -> None:
    """Let a worker begin anew, with what an earlier change left as well."""
    before = store.left_over(connection)
    wanted: Sequence[str] | None = systems
    if before is not None:
        both = before["systems"] is None or systems is None
        wanted = None if both else sorted({*before["systems"], *(systems or ())})
    total = store.answer_count(connection, systems=wanted)
    several = None if wanted is None else list(wanted)
    store.leave(connection, {"systems": several, "after": 0, "done": 0, "total": total})


def _look_up(connection: Connection, now: Reference, rows: Iterable[RowMapping]) -> None:
    for row in rows:
        answer = Answer(system=row["system"], code=row["code"], text=row["sample"])
        found = now.explain(answer)
        if found.matched is Matched.NONE:
            found = Explanation(entry=found.entry, matched=Matched.DRAFT)
        draft = not found.described and not row["settled"]
        entry_id = found.entry.id if found.entry else None
        if (entry_id, found.matched.value, draft) != (
            row["entry_id"],
            row["matched"],
            row["draft"],
        ):
            store.explain_answer(connection, row["id"], found, draft=draft)


def go_on(dispatch: Dispatch) -> bool:
    """Look the next portion up again; False: nothing is left. Any number of workers may do so at once."""

    def work(connection: Connection) -> bool:
        store.hold(connection)
        left = store.left_over_alone(connection)
        if left is None:
            return False
        rows = store.answers_after(
            connection, left["after"], systems=left["systems"], limit=PORTION
        )
        _look_up(connection, reference(dispatch, connection), rows)
        if len(rows) < PORTION:
            store.leave(connection, None)
            return False
        done = {"after": rows[-1]["id"], "done": left["done"] + len(rows)}
        store.leave(connection, {**left, **done})
        return True

    return dispatch.database.run(work)


def go_on_a_while(dispatch: Dispatch) -> None:
    """What a worker does now and then."""
    if progress(dispatch) is None:
        return
    end = time.monotonic() + _LONGEST
    while go_on(dispatch) and time.monotonic() < end:
        pass


def finish(dispatch: Dispatch) -> None:
    """Look everything up that is left; for commands, which nobody waits for in a browser."""
    while go_on(dispatch):
        pass


def progress(dispatch: Dispatch) -> Progress | None:
    """How far a worker is; None: nothing is left to look up again."""
    with dispatch.database.begin() as connection:
        left = store.left_over(connection)
    return None if left is None else Progress(done=left["done"], total=left["total"])
