"""What a run makes of the gateway's answers."""

from __future__ import annotations

from datetime import timedelta

from clinic_dispatch_plugin.channels.types import OutgoingMessage
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine import claims
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.testing.fake_channel import (
    accept,
    break_off,
    leave_uncertain,
    refuse,
)
from tests.engine.dispatching import Desk


def test_everything_due_is_handed_over_once(desk: Desk) -> None:
    mailing = desk.mailing(230)
    assert desk.pump() == 230
    assert desk.states() == {"sent": 230}
    assert desk.attempts() == {"accepted": 230}
    assert set(desk.channel.counts.values()) == {1}
    row = desk.state_of_mailing(mailing)
    assert row["state"] == "finished"
    assert row["first_pass_at"] is not None
    assert [run["state"] for run in desk.runs()] == ["ended"]
    assert desk.journals() == []


def test_what_is_handed_over_was_written_down_before(desk: Desk) -> None:
    seen: set[tuple[str, bool]] = set()

    def look(message: OutgoingMessage) -> None:
        mine = Attempt.id == message.attempt_id
        seen.add(("open", bool(desk.count(Attempt, mine, Attempt.state == "open"))))

    desk.channel.before = look
    desk.mailing(60)
    desk.pump()
    assert seen == {("open", True)}


def test_texts_are_finished_for_each_recipient(desk: Desk) -> None:
    desk.mailing(2)
    desk.pump()
    said = {message.address: message.content for message in desk.channel.handed}
    assert said["p1@example.org"].text == "Guten Tag P1"
    assert said["p1@example.org"].subject == "Hallo P1"


def test_nothing_is_sent_before_it_is_due(desk: Desk) -> None:
    desk.mailing(1)
    desk.change(Message, due_at=db_now(3_600))
    assert desk.pump() == 0
    assert desk.states() == {"queued": 1}
    assert desk.runs() == []


def test_a_refusal_for_good_ends_at_once_and_blocks_the_address(desk: Desk) -> None:
    desk.channel.will("p1@example.org", refuse("unknown", "550 no such user"))
    desk.mailing(3)
    desk.settle()
    failed = desk.message("p1@example.org")
    assert (failed["state"], failed["system"], failed["code"]) == ("undelivered", "fake", "unknown")
    assert desk.attempts_of("p1@example.org")[0]["answer_text"] == "550 no such user"
    desk.mailing(["p1@example.org", "P1@EXAMPLE.org"])
    desk.settle()
    assert desk.states() == {"sent": 2, "undelivered": 1, "skipped": 2}
    assert desk.channel.counts["p1@example.org"] == 1


def test_greylisted_is_accepted_at_the_second_try_and_waits_for_it(desk: Desk) -> None:
    desk.channel.will("p0@example.org", refuse("greylisted"))
    mailing = desk.mailing(2)
    desk.pump()
    waiting = desk.message("p0@example.org")
    assert (waiting["state"], waiting["code"], waiting["tries"]) == ("queued", "greylisted", 1)
    # Five minutes at least.
    refused_at = desk.attempts_of("p0@example.org")[0]["closed_at"]
    assert waiting["due_at"] >= refused_at + timedelta(seconds=299)
    row = desk.state_of_mailing(mailing)
    assert row["state"] == "running"
    assert row["first_pass_at"] is not None, "it must not hold anybody for hours"
    desk.settle()
    assert desk.states() == {"sent": 2}
    assert [each["state"] for each in desk.attempts_of("p0@example.org")] == ["refused", "accepted"]
    assert desk.message("p0@example.org")["attempts"] == 2
    assert desk.state_of_mailing(mailing)["state"] == "finished"


def test_the_message_key_stays_and_the_attempt_key_changes(desk: Desk) -> None:
    desk.channel.will("p0@example.org", refuse("greylisted"))
    desk.mailing(1)
    desk.settle()
    first, second = desk.channel.handed
    assert first.message_key == second.message_key
    assert first.attempt_key != second.attempt_key


def test_tries_end_where_the_policy_says(desk: Desk) -> None:
    desk.channel.always("p0@example.org", refuse("busy"))
    desk.mailing(1)
    desk.settle()
    assert desk.channel.counts["p0@example.org"] == 3
    assert desk.message("p0@example.org")["state"] == "undelivered"


def test_a_channel_that_knows_better_is_believed(desk: Desk) -> None:
    desk.channel.will("p0@example.org", refuse("unknown", retryable=True, retry_after=60))
    desk.channel.will("p1@example.org", refuse("greylisted", retryable=False))
    desk.mailing(2)
    desk.pump()
    assert desk.message("p0@example.org")["state"] == "queued"
    assert desk.message("p1@example.org")["state"] == "undelivered"


def test_a_gateway_that_names_a_time_is_not_asked_earlier(desk: Desk) -> None:
    desk.channel.will("p0@example.org", refuse("greylisted", retry_after=7_200))
    desk.mailing(1)
    desk.pump()
    waiting = desk.message("p0@example.org")
    refused_at = desk.attempts_of("p0@example.org")[0]["closed_at"]
    assert waiting["due_at"] >= refused_at + timedelta(seconds=7_199)


def test_a_deadline_beats_every_retry(desk: Desk) -> None:
    desk.channel.will("p0@example.org", refuse("greylisted", retry_after=7_200))
    desk.mailing(1, not_after=3_600)
    desk.pump()
    failed = desk.message("p0@example.org")
    assert (failed["state"], failed["code"]) == ("undelivered", "expired")
    assert desk.attempts_of("p0@example.org")[0]["state"] == "refused"


def test_what_is_overdue_is_not_sent_at_all(desk: Desk) -> None:
    desk.mailing(2, not_after=-5)
    desk.settle()
    assert desk.states() == {"skipped": 2}
    assert desk.message("p0@example.org")["code"] == "expired"
    assert desk.channel.handed == []


def test_an_uncertain_message_is_never_sent_again_by_itself(desk: Desk) -> None:
    desk.channel.will("p0@example.org", leave_uncertain)
    desk.mailing(3)
    desk.settle()
    desk.settle()
    assert desk.states() == {"sent": 2, "uncertain": 1}
    assert desk.channel.counts["p0@example.org"] == 1
    assert desk.attempts_of("p0@example.org")[0]["state"] == "uncertain"


def test_a_connection_that_broke_before_costs_no_try(desk: Desk) -> None:
    desk.channel.will("p0@example.org", break_off, break_off, break_off, accept)
    desk.mailing(1)
    desk.settle()
    states = [each["state"] for each in desk.attempts_of("p0@example.org")]
    assert states == ["withdrawn", "withdrawn", "withdrawn", "accepted"]
    message = desk.message("p0@example.org")
    assert (message["state"], message["attempts"], message["tries"]) == ("sent", 1, 1)


def test_an_answer_with_what_no_database_takes_is_kept_without_it(desk: Desk) -> None:
    desk.channel.will("p0@example.org", refuse("full", "552 full\0\ud800 up"))
    desk.mailing(1)
    desk.settle()
    assert desk.attempts_of("p0@example.org")[0]["answer_text"] == "552 full? up"


def test_an_urgent_mailing_goes_first(desk: Desk) -> None:
    desk.mailing([f"slow{n}@example.org" for n in range(20)])
    desk.mailing(["urgent@example.org"], priority=10)
    desk.pump()
    assert desk.channel.handed[0].address == "urgent@example.org"


def test_mailings_of_equal_rank_take_turns(desk: Desk) -> None:
    size = claims.CLAIM * claims.TURN + 10
    desk.mailing([f"a{n}@example.org" for n in range(size)])
    desk.mailing([f"b{n}@example.org" for n in range(10)])
    desk.pump()
    order = [message.address[0] for message in desk.channel.handed]
    assert order.index("b") < size, "the small one does not wait for the end of the large one"
    assert len(order) == size + 10


def test_a_mailing_that_is_not_running_is_left_alone(desk: Desk) -> None:
    for state in ("draft", "scheduled", "planning", "paused", "cancelled"):
        desk.mailing([f"{state}@example.org"], state=state)
    desk.settle(rounds=2)
    assert desk.channel.handed == []


def test_two_spam_refusals_of_many_do_not_pause_but_a_wave_does(desk: Desk) -> None:
    for number in range(30):
        if number in (3, 9) or number >= 22:
            desk.channel.will(f"p{number}@example.org", refuse("spam"))
    mailing = desk.mailing(400)
    desk.pump()
    row = desk.state_of_mailing(mailing)
    assert (row["state"], row["pause_reason"], row["pause_text"]) == ("paused", "spam", "fake:spam")
    states = desk.states()
    assert states["queued"] > 200, "it stopped soon after the wave began"
    assert states["undelivered"] >= 4
    assert desk.count(Mailing, Mailing.state == "paused") == 1
