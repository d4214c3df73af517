"""A policy changed in the reference acts on messages that wait, on every database, through the one table of moves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.api import Answer
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine import following as engine_following
from clinic_dispatch_plugin.error_reference import editing, following, orders, service
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.following import Consequences, Follower, PolicyChange
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import store
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import new_key
from clinic_dispatch_plugin.messages.tables import Attempt, Audit, Block, Message
from clinic_dispatch_plugin.testing.fake_channel import refuse
from tests.conftest import DATABASES
from tests.engine.dispatching import Desk

#: One kind of database is enough where a rule is tried and no new statement.
on_one_database = pytest.mark.parametrize("database_url", DATABASES[:1], indirect=True)
KERN = Actor(ref="admin", name="A. Kern")


def entry_id(desk: Desk, code: str = "greylisted") -> int:
    with desk.dispatch.database.begin() as connection:
        found = service.reference(desk.dispatch, connection).find("fake", code)
    assert found is not None
    return found.id


def follower(desk: Desk) -> Follower:
    found = following.follower(desk.dispatch)
    assert found is not None
    return found


def changes(desk: Desk, content: Mapping[str, Any], code: str = "greylisted") -> list[PolicyChange]:
    return following.policy_changes(desk.dispatch, entry_id(desk, code), content)


def change(desk: Desk, content: Mapping[str, Any]) -> tuple[Consequences, Consequences]:
    """What is foreseen and what was done, as the page does it."""
    found = changes(desk, content)
    foreseen = follower(desk).foresee(KERN, found)
    return foreseen, carry_out(desk, found, content)


def carry_out(desk: Desk, found: list[PolicyChange], content: Mapping[str, Any]) -> Consequences:
    deed = partial(
        editing.change_entry, desk.dispatch, entry_id(desk), content=content, by=KERN.name
    )
    return following.carry_out(desk.dispatch, KERN, found, deed)[1]


def waiting(desk: Desk, people: int = 3, code: str = "greylisted") -> int:
    for number in range(people):
        desk.channel.will(f"p{number}@example.org", refuse(code))
    mailing = desk.mailing(people)
    desk.pump()
    assert desk.states(mailing) == {"queued": people}
    return mailing


def deeds(desk: Desk) -> list[str]:
    with desk.dispatch.database.begin() as connection:
        return list(connection.scalars(select(Audit.action).order_by(Audit.id)))


def test_giving_up_ends_blocks_is_written_down_and_lets_the_mailing_finish(desk: Desk) -> None:
    mailing = waiting(desk)
    foreseen, done = change(desk, {"policy.action": "fail", "policy.block": True})
    for counted in (foreseen, done):
        assert (counted.given_up, len(counted.blocked), counted.moved) == (3, 3, 0)
    row = desk.message("p0@example.org")
    assert (row["state"], row["code"], row["due_at"]) == ("undelivered", "greylisted", None)
    assert row["final_at"] is not None
    assert deeds(desk) == ["policy_given_up"] * 3
    digest = fingerprint(desk.dispatch, "fake", "p0@example.org")
    with desk.dispatch.database.begin() as connection:
        assert digest in store.blocked(connection, "fake", [digest], "service")
    desk.settle()
    assert desk.state_of_mailing(mailing)["state"] == "finished"


def test_other_times_move_the_next_try(desk: Desk) -> None:
    waiting(desk, 2)
    refused_at = desk.attempts_of("p0@example.org")[0]["closed_at"]
    foreseen, done = change(
        desk, {"policy.floor": 7_200.0, "policy.base": 600.0, "policy.cap": 600.0}
    )
    assert (foreseen.moved, done.moved, done.given_up) == (2, 2, 0)
    due = desk.message("p0@example.org")["due_at"]
    least, most = timedelta(seconds=7_195), timedelta(seconds=7_805)
    assert refused_at + least <= due <= refused_at + most
    assert foreseen.first_at is not None and abs(foreseen.first_at - refused_at) < timedelta(
        seconds=7_210
    )
    assert deeds(desk) == ["policy_moved"] * 2
    desk.settle()
    assert desk.states() == {"sent": 2}


def test_a_policy_that_stops_the_account_stops_it_and_costs_no_message(desk: Desk) -> None:
    waiting(desk, 2)
    foreseen, done = change(desk, {"policy.action": "stop_account"})
    assert len(foreseen.accounts) == len(done.accounts) == 1
    assert (done.held, done.given_up) == (2, 0)
    assert desk.account()["state"] == "stopped"
    assert sorted(deeds(desk)) == ["policy_stopped"] * 2 + ["stop_account"]
    assert desk.states() == {"queued": 2}
    standing = following.standing_of(desk.dispatch, [entry_id(desk)])
    assert [account for account, _ in standing.accounts] == [desk.account()["id"]]


@on_one_database
def test_a_milder_policy_starts_no_account_and_no_mailing(desk: Desk) -> None:
    mailing = waiting(desk, 1)
    with desk.dispatch.database.begin() as connection:
        answer = connection.scalars(select(Message.answer_id)).one()
    desk.change(AccountRow, state="stopped", answer_id=answer)
    desk.change(Mailing, state="paused", pause_reason="spam", pause_text="fake:greylisted")
    change(desk, {"policy.tries": 9, "policy.base": 60.0})
    assert desk.account()["state"] == "stopped"
    assert desk.state_of_mailing(mailing)["state"] == "paused"
    standing = following.standing_of(desk.dispatch, [entry_id(desk)])
    assert [found for found, _ in standing.mailings] == [mailing]
    assert len(standing.accounts) == 1


@on_one_database
def test_more_tries_alone_change_nothing_for_what_waits(desk: Desk) -> None:
    waiting(desk, 1)
    due = desk.message("p0@example.org")["due_at"]
    found = changes(desk, {"policy.tries": 20})
    assert len(found) == 1
    foreseen = follower(desk).foresee(KERN, found)
    assert foreseen.kept == 1 and not foreseen.act
    carry_out(desk, found, {"policy.tries": 20})
    assert desk.message("p0@example.org")["due_at"] == due and deeds(desk) == []


@on_one_database
def test_other_words_change_no_policy(desk: Desk) -> None:
    waiting(desk, 1)
    assert changes(desk, {"short.de": "Bitte warten"}) == []
    assert changes(desk, {"policy.action": "fail"}, code="busy") == [], "another entry"


@on_one_database
def test_what_a_worker_took_meanwhile_is_left_to_it(desk: Desk) -> None:
    waiting(desk, 2)
    found = changes(desk, {"policy.action": "fail"})
    desk.change(Message, Message.address == "p0@example.org", state="leased", run_id=1)
    done = carry_out(desk, found, {"policy.action": "fail"})
    assert done.given_up == 1
    assert desk.message("p0@example.org")["state"] == "leased"
    desk.change(Message, Message.address == "p0@example.org", state="queued", run_id=None)


@on_one_database
def test_a_mailing_that_is_over_by_then_says_so_and_blocks_nobody(desk: Desk) -> None:
    waiting(desk, 1)
    desk.change(Mailing, not_after=db_now(3_600))
    _, done = change(desk, {"policy.floor": 7_200.0, "policy.block": True})
    assert (done.given_up, len(done.blocked)) == (1, 0)
    row = desk.message("p0@example.org")
    assert (row["state"], row["code"]) == ("undelivered", "expired")
    assert desk.count(Block) == 0


@on_one_database
def test_a_channel_that_knew_better_is_believed_here_too(desk: Desk) -> None:
    """The entry says "for good", the channel said "it passes": a change of words about that keeps it waiting."""
    desk.channel.will("p0@example.org", refuse("unknown", retryable=True))
    desk.mailing(1)
    desk.pump()
    content = {"policy.base": 1_800.0, "policy.cap": 7_200.0}
    found = changes(desk, content, code="unknown")
    foreseen = follower(desk).foresee(KERN, found)
    assert (foreseen.given_up, foreseen.moved + foreseen.kept) == (0, 1)


@on_one_database
def test_entries_that_share_its_words_follow(desk: Desk) -> None:
    twin = editing.add_same_as(
        desk.dispatch, system="fake", code="odd", same_as=entry_id(desk), by="A. Kern"
    )
    waiting(desk, 1, code="odd")
    found = changes(desk, {"policy.action": "fail"})
    assert [each.answer.code for each in found] == ["odd"] and twin.same_as == entry_id(desk)
    assert carry_out(desk, found, {"policy.action": "fail"}).given_up == 1


def many_wait(desk: Desk, number: int) -> None:
    desk.mailing(number)
    answer = Answer(system="fake", code="greylisted", text="later")
    answer_id, _ = desk.dispatch.database.run(
        lambda connection: service.note_answer(desk.dispatch, connection, answer)
    )

    def work(connection: Connection) -> None:
        rows = connection.execute(select(Message.id, Message.account_id)).all()
        tries = [
            {
                "id": row.id,
                "message_id": row.id,
                "number": 1,
                "key": new_key(),
                "channel": "fake",
                "account_id": row.account_id,
                "run_id": 1,
                "state": "refused",
                "answer_id": answer_id,
            }
            for row in rows
        ]
        connection.execute(insert(Attempt).values(opened_at=db_now(), closed_at=db_now()), tries)
        connection.execute(update(Message).values(attempt_id=Message.id))

    desk.dispatch.database.run(work)
    desk.change(Message, answer_id=answer_id, tries=1, attempts=1, due_at=db_now(900))


def test_very_many_are_left_to_workers_and_a_crash_in_the_middle_repeats_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_following, "AT_ONCE", 2)
    monkeypatch.setattr(engine_following, "BATCH", 2)
    many_wait(desk, 5)
    foreseen, done = change(desk, {"policy.action": "fail", "policy.block": True})
    assert (foreseen.given_up, done.left, done.given_up) == (5, 5, 0)
    assert desk.states() == {"queued": 5}
    assert follower(desk).go_on()
    assert desk.states() == {"queued": 3, "undelivered": 2}
    going = orders.progress(desk.dispatch)
    assert going is not None and (going.done, going.total) == (2, 5)

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("the worker was killed")

    with monkeypatch.context() as broken:
        broken.setattr(orders, "went_on", die)
        with pytest.raises(RuntimeError):
            follower(desk).go_on()
    assert desk.states() == {"queued": 3, "undelivered": 2}, "the portion is taken back as a whole"
    while follower(desk).go_on():
        pass
    assert desk.states() == {"undelivered": 5}
    assert orders.progress(desk.dispatch) is None
    assert deeds(desk) == ["policy_given_up"] * 5
    assert desk.count(Block) == 5


@on_one_database
def test_a_crash_right_after_saving_leaves_the_order_to_a_worker(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_wait(desk, 3)

    def die(*_: object) -> None:
        raise SystemExit("the machine went down")

    with monkeypatch.context() as broken, pytest.raises(SystemExit):
        broken.setattr(orders, "take", die)
        change(desk, {"policy.action": "fail"})
    assert desk.states() == {"queued": 3}
    going = orders.progress(desk.dispatch)
    assert going is not None and going.total == 3
    while follower(desk).go_on():
        pass
    assert desk.states() == {"undelivered": 3}


@on_one_database
def test_what_is_refused_to_the_reference_is_ordered_of_nobody(desk: Desk) -> None:
    many_wait(desk, 1)
    found = changes(desk, {"policy.action": "fail"})
    with pytest.raises(ReferenceProblem):
        carry_out(desk, found, {"policy.tries": "many"})
    assert orders.progress(desk.dispatch) is None


@on_one_database
def test_an_order_a_worker_has_begun_is_left_to_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_following, "BATCH", 1)
    many_wait(desk, 3)
    take = orders.take

    def begun(connection: Connection, mark: str) -> bool:
        orders.went_on(connection, after=1, more=1)
        return take(connection, mark)

    monkeypatch.setattr(orders, "take", begun)
    _, done = change(desk, {"policy.action": "fail"})
    assert (done.left, done.given_up) == (3, 0)
    assert orders.progress(desk.dispatch) is not None


@on_one_database
def test_what_is_refused_after_the_order_is_not_decided_by_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_following, "AT_ONCE", 0)
    many_wait(desk, 3)
    change(desk, {"policy.action": "fail"})
    desk.change(Attempt, Attempt.id == 2, closed_at=db_now(60))
    late = desk.count(Message, Message.attempt_id == 2)
    while follower(desk).go_on():
        pass
    assert desk.states() == {"undelivered": 3 - late, "queued": late} and late == 1


@on_one_database
@pytest.mark.parametrize("days", [0, 30])
def test_a_block_ends_when_the_policy_says(desk: Desk, days: int) -> None:
    waiting(desk, 1)
    change(desk, {"policy.action": "fail", "policy.block": True, "policy.block_days": days})
    with desk.dispatch.database.begin() as connection:
        until = connection.scalars(select(Block.until)).one()
        now = connection.execute(select(db_now())).scalar_one()
    assert (until is not None and until - now > timedelta(days=29)) if days else until is None
