"""Messages that wait in vain: overdue, harmful, or of a cancelled mailing; each gets the answer that says so."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.registry import Dispatch

#: Portions decided in one go.
ROUNDS = 200
#: Finds waiting messages, ``(id, attempts)``, so many at a time.
Find = Callable[[Connection], list[tuple[int, int]]]


def decide_leftovers(dispatch: Dispatch) -> None:
    """Decide some hundreds of each kind."""
    _decide(dispatch, messages.overdue, "expired")
    _decide(dispatch, messages.harmful, "harmful")
    decide_cancelled(dispatch)


def decide_cancelled(dispatch: Dispatch) -> None:
    """What came back unsent after its mailing was cancelled waits no longer."""
    _decide(dispatch, messages.left_in_cancelled, "cancelled")


def _decide(dispatch: Dispatch, find: Find, code: str) -> None:
    def work(connection: Connection) -> int:
        found = find(connection)
        if found:
            answer_id, _ = note_answer(dispatch, connection, Answer(system="dispatch", code=code))
            messages.decide_queued(connection, found, answer_id)
        return len(found)

    for _ in range(ROUNDS):
        if not dispatch.database.run(work):
            return
