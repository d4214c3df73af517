"""States the database itself refuses, whoever writes them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine.tables import Run
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import MOVES, MessageState
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.testing.fake_channel import break_off, leave_uncertain, refuse
from tests.engine.conftest import moves_seen
from tests.engine.dispatching import Desk
from tests.engine.test_runs import expire

IMPOSSIBLE: list[tuple[Any, dict[str, Any]]] = [
    (Message, {"state": "lost_in_space"}),
    (Message, {"state": "sending", "attempt_id": None}),
    (Message, {"state": "leased", "run_id": None}),
    (Message, {"state": "sending", "run_id": None}),
    (Message, {"state": "queued", "due_at": None, "final_at": None}),
    (Message, {"run_id": 1}),
    (Message, {"attempt_id": None}),
    (Message, {"final_at": None}),
    (Message, {"state": "queued", "due_at": db_now()}),
    (Message, {"state": "undelivered", "answer_id": None}),
    (Message, {"state": "uncertain", "answer_id": None}),
    (Message, {"state": "skipped", "answer_id": None}),
    (Attempt, {"state": "open"}),
    (Attempt, {"closed_at": None}),
    (Message, {"mailing_id": 4_711}),
    (Message, {"account_id": 4_711}),
    (Attempt, {"state": "maybe"}),
    (Attempt, {"message_id": 4_711}),
    (Mailing, {"state": "stuck"}),
    (AccountRow, {"state": "sleepy"}),
    (Run, {"state": "undead"}),
]


def test_states_that_must_not_be_are_refused(desk: Desk) -> None:
    desk.mailing(1)
    desk.pump()
    for table, values in IMPOSSIBLE:
        with pytest.raises(DBAPIError):
            desk.change(table, **values)
            pytest.fail(f"{table.__name__} took {values}")


def test_two_attempts_of_a_message_have_two_numbers(desk: Desk) -> None:
    desk.channel.will("p0@example.org", refuse("greylisted"))
    desk.mailing(1)
    desk.settle()
    assert desk.attempts() == {"refused": 1, "accepted": 1}
    with pytest.raises(DBAPIError):
        desk.change(Attempt, number=1)


def test_the_engine_makes_the_moves_of_the_table(desk: Desk) -> None:
    """Most of the table is walked here; the fixture of every engine test sees that nothing else is."""
    desk.channel.will("refused@example.org", refuse("unknown"))
    desk.channel.will("grey@example.org", refuse("greylisted"))
    desk.channel.will("doubt@example.org", leave_uncertain)
    desk.channel.will("broken@example.org", break_off)
    desk.mailing(
        ["refused@example.org", "grey@example.org", "doubt@example.org", "broken@example.org"]
    )
    desk.mailing(["late@example.org"], not_after=-5)
    desk.mailing([f"many{number}@example.org" for number in range(80)])
    done: list[bool] = []

    def freeze(message: object) -> None:
        if len(desk.channel.handed) > 10 and not done:
            done.append(True)
            expire(desk)

    desk.channel.before = freeze
    desk.settle()
    state = MessageState
    walked = {
        (state.QUEUED, state.LEASED),
        (state.LEASED, state.QUEUED),
        (state.LEASED, state.SENDING),
        (state.SENDING, state.SENT),
        (state.SENDING, state.UNDELIVERED),
        (state.SENDING, state.QUEUED),
        (state.SENDING, state.UNCERTAIN),
        (state.UNCERTAIN, state.SENT),
        (state.QUEUED, state.SKIPPED),
    }
    assert walked <= moves_seen(desk) <= set(MOVES)
