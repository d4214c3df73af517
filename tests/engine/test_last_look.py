"""What may change between a plan and the moment of sending, and what a person may say meanwhile."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from sqlalchemy import select

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine.run import WINDOW
from clinic_dispatch_plugin.host.types import Actor, Consent, Recipient
from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.messages.rules import address_digest
from clinic_dispatch_plugin.messages.store import block, unblock
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from tests.engine.dispatching import Desk

SOMEBODY = Actor(ref="1", name="B. Lang")


def patient(number: int, said: Consent = Consent.YES, *, active: bool = True) -> Recipient:
    return Recipient(ref=f"r{number}", consent={"promotion": said}, active=active)


def test_the_host_is_asked_once_more_just_before(desk: Desk) -> None:
    desk.host.add(
        patient(0), patient(1, Consent.NO), patient(2, active=False), patient(4, Consent.UNKNOWN)
    )
    desk.mailing(5, purpose="promotion", refs=["r0", "r1", "r2", "r3", "r4"])
    desk.settle()
    assert [message.address for message in desk.channel.handed] == ["p0@example.org"]
    codes = [desk.message(f"p{number}@example.org")["code"] for number in range(1, 5)]
    assert codes == ["not_agreed", "inactive", "unknown_ref", "not_agreed"]
    assert desk.states() == {"sent": 1, "skipped": 4}


def test_a_service_message_asks_for_no_consent(desk: Desk) -> None:
    desk.host.add(patient(0, Consent.NO))
    desk.mailing(1, refs=["r0"])
    desk.settle()
    assert desk.states() == {"sent": 1}


def test_who_withdraws_while_others_are_sent_gets_nothing(desk: Desk) -> None:
    number = 4 * WINDOW
    desk.host.add(*(patient(each) for each in range(number)))

    def withdraw(message: object) -> None:
        desk.host.add(patient(number - 1, Consent.NO))

    desk.channel.before = withdraw
    desk.mailing(number, purpose="promotion", refs=[f"r{each}" for each in range(number)])
    desk.settle()
    assert desk.states() == {"sent": number - 1, "skipped": 1}


def test_a_block_set_after_the_plan_holds(desk: Desk) -> None:
    desk.mailing(["a@example.org", "b@example.org"])
    digest = address_digest("fake", "A@example.org")
    desk.dispatch.database.run(
        lambda connection: block(connection, channel="fake", digest=digest, answer_id=None)
    )
    desk.settle()
    assert desk.message("a@example.org")["code"] == "blocked"
    assert desk.states() == {"sent": 1, "skipped": 1}
    desk.dispatch.database.run(lambda connection: unblock(connection, "fake", [digest]))
    desk.mailing(["A@example.org"])
    desk.settle()
    assert desk.states() == {"sent": 2, "skipped": 1}


def test_a_block_for_one_purpose_holds_for_no_other(desk: Desk) -> None:
    digest = address_digest("fake", "a@example.org")
    desk.host.add(patient(0))
    desk.dispatch.database.run(
        lambda connection: block(
            connection, channel="fake", digest=digest, answer_id=None, scope="promotion"
        )
    )
    desk.mailing(["a@example.org"], purpose="promotion", refs=["r0"])
    desk.mailing(["a@example.org"])
    desk.settle()
    assert desk.states() == {"sent": 1, "skipped": 1}


def test_an_empty_placeholder_stops_this_message_alone(desk: Desk) -> None:
    people = ["a@example.org", "b@example.org"]
    desk.mailing(people, body="Um {{ time }}", data={"b@example.org": {"time": "9:00"}})
    desk.settle()
    assert desk.message("a@example.org")["code"] == "empty_placeholder"
    assert desk.message("b@example.org")["state"] == "sent"


def test_a_host_that_does_not_answer_costs_nobody_a_try(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.host.add(*(patient(number) for number in range(3)))
    desk.host.broken = RuntimeError("the clinic's database is away")
    desk.mailing(3, refs=["r0", "r1", "r2"])
    desk.pump()
    assert desk.channel.handed == []
    assert desk.states() == {"queued": 3}
    assert desk.count(Attempt) == 0
    message = desk.message("p0@example.org")
    assert (message["tries"], message["lost_runs"], message["run_id"]) == (0, 0, None)
    assert "could not be asked" in caplog.text
    desk.host.broken = None
    desk.settle()
    assert desk.states() == {"sent": 3}


def test_a_mailing_without_refs_goes_out_though_the_host_is_away(desk: Desk) -> None:
    desk.host.broken = RuntimeError("the clinic's database is away")
    desk.mailing(3)
    desk.settle()
    assert desk.states() == {"sent": 3}


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_after_pause_or_cancel_is_confirmed_no_window_opens(desk: Desk, verb: str) -> None:
    confirmed: list[datetime] = []
    mailing = desk.mailing(500)

    def say_stop(message: object) -> None:
        if len(desk.channel.handed) == 60:
            assert getattr(mailings, verb)(desk.dispatch, mailing, SOMEBODY)
            time.sleep(0.2)  # the recording thread meets it while messages are open and untaken
            with desk.dispatch.database.begin() as connection:
                confirmed.append(connection.execute(select(db_now())).scalar_one())

    desk.channel.before = say_stop
    desk.pump()
    assert len(confirmed) == 1
    assert desk.count(Attempt, Attempt.opened_at > confirmed[0]) == 0
    assert 61 <= len(desk.channel.handed) <= 60 + 2 * WINDOW
    rest = "queued" if verb == "pause" else "skipped"
    handed = {message.address for message in desk.channel.handed}
    with desk.dispatch.database.begin() as connection:
        unsent = set(connection.scalars(select(Message.address).where(Message.state == rest)))
    assert handed & unsent == set(), "nothing that went out is called unsent"
    assert len(handed | unsent) == 500
    desk.settle(rounds=2)
    assert len(desk.channel.handed) == len(handed)
    if verb == "pause":
        assert mailings.resume(desk.dispatch, mailing, SOMEBODY)
        desk.settle()
        assert desk.states() == {"sent": 500}
        assert set(desk.channel.counts.values()) == {1}


def test_a_message_cancelled_behind_the_windows_back_is_not_handed_over(desk: Desk) -> None:
    """The rows of a claim may be taken away before their window opens."""
    desk.host.add(*(patient(number) for number in range(100)))
    desk.mailing(100, refs=[f"r{number}" for number in range(100)])
    asked = desk.host.recipients_now

    def meanwhile(refs: list[str]) -> object:
        if len(desk.host.questions) == 1:
            desk.change(
                Message,
                Message.address == "p99@example.org",
                state="skipped",
                run_id=None,
                due_at=None,
            )
        return asked(refs)

    desk.host.recipients_now = meanwhile  # type: ignore[method-assign, assignment]
    desk.settle()
    assert "p99@example.org" not in desk.channel.counts
    assert desk.states() == {"sent": 99, "skipped": 1}
