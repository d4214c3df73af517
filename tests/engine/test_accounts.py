"""When an account stops, rests, and goes on; the messages only wait."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from sqlalchemy import func, select

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.api import AccountError, Answer, ConnectionFailed
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine.pace import WINDOW
from clinic_dispatch_plugin.engine.tender import tend
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.queue.logs import JsonLines
from clinic_dispatch_plugin.testing.fake_channel import (
    Say,
    accept,
    break_off,
    leave_uncertain,
    raising,
    refuse,
)
from tests.engine.dispatching import Desk

LOGIN = Answer(system="fake", code="login", text="535 wrong password")
DOWN = Answer(system="dispatch", code="connect_failed", text="connection refused")


def check_again(desk: Desk) -> None:
    """A person mended it."""
    account_id = desk.account()["id"]
    assert desk.dispatch.database.run(lambda c: accounts.check_again(c, account_id))


def test_a_wrong_login_stops_the_account_at_once(desk: Desk) -> None:
    desk.channel.will("p0@example.org", raising(AccountError(LOGIN)))
    mailing = desk.mailing(300)
    desk.pump()
    assert len(desk.channel.handed) == 1
    account = desk.account()
    assert account["state"] == "stopped"
    assert account["answer_text"] == "535 wrong password"
    assert desk.states() == {"queued": 300}
    message = desk.message("p0@example.org")
    assert (message["tries"], message["attempts"]) == (0, 0)
    assert desk.state_of_mailing(mailing)["state"] == "running"
    assert desk.pump() == 0, "nobody but a person starts it again"
    check_again(desk)
    desk.settle()
    assert desk.states() == {"sent": 300}


def test_a_refusal_that_means_the_login_stops_the_account_and_costs_no_try(desk: Desk) -> None:
    desk.channel.will("p0@example.org", refuse("login"))
    desk.mailing(300)
    desk.pump()
    assert desk.account()["state"] == "stopped"
    assert len(desk.channel.handed) <= 2 * WINDOW, "what was open goes out, and no more"
    message = desk.message("p0@example.org")
    assert (message["state"], message["tries"]) == ("queued", 0)
    check_again(desk)
    desk.settle()
    assert desk.states() == {"sent": 300}


def test_three_suspicious_refusals_in_a_row_stop_the_account(desk: Desk) -> None:
    for number in (4, 5, 6):
        desk.channel.will(f"p{number}@example.org", refuse("denied"))
    desk.mailing(["p4@example.org", "p5@example.org", "p6@example.org"])
    desk.pump()
    assert desk.account()["state"] == "stopped"
    assert desk.states() == {"queued": 3}
    assert tries(desk, 4, 5, 6) == [0, 0, 0], "it was the account's fault, not theirs"
    assert desk.count(Message, Message.due_at <= db_now()) == 3


def tries(desk: Desk, *numbers: int) -> list[int]:
    return [desk.message(f"p{number}@example.org")["tries"] for number in numbers]


def test_refusals_before_an_acceptance_use_up_a_try_those_that_stop_the_account_none(
    desk: Desk,
) -> None:
    for number in (0, 1, 3, 4, 5):
        desk.channel.will(f"p{number}@example.org", refuse("denied"))
    desk.mailing(6)
    desk.pump()
    assert desk.account()["state"] == "stopped"
    assert tries(desk, 0, 1, 3, 4, 5) == [1, 1, 0, 0, 0]


def test_a_last_try_is_given_back_when_it_stops_the_account(desk: Desk) -> None:
    for number in range(3):
        desk.channel.will(f"p{number}@example.org", refuse("denied"))
    desk.mailing(3)
    desk.change(Message, tries=3)
    desk.pump()
    assert desk.states() == {"queued": 3}
    assert tries(desk, 0, 1, 2) == [3, 3, 3]


def test_one_refused_so_alone_while_others_are_accepted_is_given_up_in_the_end(desk: Desk) -> None:
    desk.channel.always("bad@example.org", refuse("denied"))
    desk.mailing(["bad@example.org"])
    for number in range(6):
        desk.pump()
        assert desk.account()["state"] == "ready"
        desk.mailing([f"good{number}@example.org"])
        desk.pump()
        desk.make_due()
    assert desk.channel.counts["bad@example.org"] == 4
    message = desk.message("bad@example.org")
    assert (message["state"], message["code"], message["tries"]) == ("undelivered", "denied", 4)


def test_an_acceptance_between_them_clears_the_account(desk: Desk) -> None:
    for number in (0, 1, 3, 4, 6, 7):
        desk.channel.will(f"p{number}@example.org", refuse("denied"))
    desk.mailing(9)
    desk.pump()
    assert desk.account()["state"] == "ready"
    desk.settle()
    assert desk.states() == {"sent": 9}


def test_suspicion_is_counted_over_windows_and_runs(desk: Desk) -> None:
    for number in range(3):
        desk.channel.will(f"p{number}@example.org", refuse("denied", retry_after=7_200))
        desk.mailing([f"p{number}@example.org"])
        assert desk.account()["state"] == "ready"
        desk.pump()
    assert desk.account()["state"] == "stopped"
    assert tries(desk, 0, 1, 2) == [0, 0, 0]
    assert desk.count(Message, Message.due_at <= db_now()) == 3, "the next check tries them at once"


def test_an_account_rests_after_five_failed_connections_and_no_try_is_used(desk: Desk) -> None:
    desk.channel.always("p0@example.org", raising(ConnectionFailed(DOWN)))
    desk.mailing(3)
    desk.pump()
    account = desk.account()
    assert (account["state"], account["failures"], account["rests"]) == ("resting", 5, 1)
    assert account["rest_until"] is not None
    assert len(desk.channel.handed) == 5
    assert desk.states() == {"queued": 3}
    assert [desk.message(f"p{n}@example.org")["tries"] for n in range(3)] == [0, 0, 0]


def test_an_account_rests_as_long_as_its_gateway_asks(desk: Desk) -> None:
    desk.channel.will("p0@example.org", raising(ConnectionFailed(DOWN, retry_after=600)))
    desk.mailing(3)
    desk.pump()
    account = desk.account()
    assert (account["state"], account["failures"]) == ("resting", 1)
    assert len(desk.channel.handed) == 1, "one request too many is enough"
    scale = desk.dispatch.settings.retry_scale
    with desk.dispatch.database.begin() as connection:
        rests_on = select(AccountRow.rest_until > db_now(500 * scale))
        assert connection.execute(rests_on).scalar()
    assert desk.states() == {"queued": 3}


def test_a_rested_account_that_still_fails_rests_again_at_once(desk: Desk) -> None:
    desk.channel.always("p0@example.org", raising(ConnectionFailed(DOWN)))
    desk.mailing(1)
    for _ in range(8):
        desk.settle(rounds=1)
    account = desk.account()
    assert account["rests"] > 1
    assert desk.message("p0@example.org")["tries"] == 0
    desk.channel.always("p0@example.org", accept)
    desk.settle()
    assert desk.states() == {"sent": 1}
    account = desk.account()
    assert (account["state"], account["failures"], account["rests"]) == ("ready", 0, 0)


def rest(desk: Desk) -> None:
    """The account cannot be reached; then its rest is over, and it is to be checked."""

    def unreachable(message: object) -> None:
        raise ConnectionFailed(DOWN)

    desk.channel.before = unreachable
    desk.mailing(120)
    desk.pump()
    assert desk.account()["state"] == "resting"
    desk.channel.before = None
    desk.make_due()
    with desk.dispatch.database.begin() as connection:
        due = connection.execute(select(db_now(-5.0))).scalar_one()
    desk.change(Message, due_at=due)  # all at once, so that the first is the first again
    tend(desk.dispatch)
    assert (desk.account()["state"], desk.account()["rest_until"]) == ("probing", None)
    desk.channel.handed.clear()


def test_one_message_checks_a_rested_account_and_the_same_run_goes_on(desk: Desk) -> None:
    rest(desk)
    states: list[str] = []
    desk.channel.before = lambda message: states.append(desk.account()["state"])
    desk.pump()
    assert states == ["probing"] + ["ready"] * 119
    account = desk.account()
    assert (account["failures"], account["rests"], account["rest_until"]) == (0, 0, None)
    assert desk.states() == {"sent": 120}


def test_while_one_message_is_under_way_no_other_window_opens(desk: Desk) -> None:
    rest(desk)
    seen: list[dict[str, int]] = []

    def look(message: object) -> None:
        seen.append(desk.states())
        desk.pump()  # another worker
        time.sleep(0.2)
        assert len(desk.channel.handed) <= 1

    desk.channel.before = look
    desk.channel.will("p0@example.org", raising(ConnectionFailed(DOWN)))
    desk.pump()
    assert seen == [{"sending": 1, "queued": 119}]
    account = desk.account()
    assert (account["state"], account["rests"]) == ("resting", 2)
    assert desk.states() == {"queued": 120}
    assert tries(desk, 0) == [0]


def test_a_run_that_died_while_it_checked_holds_nobody_up_for_long(desk: Desk) -> None:
    rest(desk)
    row = desk.account()["id"]
    assert desk.dispatch.database.run(lambda c: accounts.take_probe(c, row, seconds=60))
    assert not desk.dispatch.database.run(lambda c: accounts.take_probe(c, row, seconds=60))
    assert desk.pump() == 0
    desk.change(AccountRow, rest_until=db_now(-1.0))
    assert desk.pump() == 120


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (refuse("unknown"), "ready"),
        (refuse("login"), "stopped"),
        (raising(AccountError(LOGIN)), "stopped"),
        (leave_uncertain, "resting"),
        (break_off, "resting"),
    ],
    ids=["recipient refused", "login refused", "account error", "no answer", "broken off"],
)
def test_what_the_one_message_says_of_the_account(desk: Desk, said: Say, state: str) -> None:
    rest(desk)
    noted: list[str] = []
    desk.channel.will("p0@example.org", said)
    desk.channel.before = lambda message: noted.append(desk.account()["state"])
    desk.pump()
    assert desk.account()["state"] == state
    assert (len(desk.channel.handed) > 1) is (state == "ready")
    assert noted[0] == "probing"


def test_three_account_level_refusals_stop_an_account_that_is_checked(desk: Desk) -> None:
    rest(desk)
    for number in range(3):
        desk.channel.always(f"p{number}@example.org", refuse("denied", retry_after=7_200))
    desk.pump()
    assert desk.account()["state"] == "stopped"
    assert len(desk.channel.handed) == 3, "one after the other"
    assert tries(desk, 0, 1, 2) == [0, 0, 0]


def test_a_probe_that_meets_a_skipped_message_takes_the_next(desk: Desk) -> None:
    rest(desk)
    desk.change(Message, Message.address == "p0@example.org", data={})
    desk.pump()
    assert desk.account()["state"] == "ready"
    assert desk.states() == {"sent": 119, "skipped": 1}


def test_messages_open_when_the_connection_failed_are_provably_unsent(desk: Desk) -> None:
    desk.channel.will("p5@example.org", raising(ConnectionFailed(DOWN)))
    desk.mailing(20)
    desk.settle()
    assert desk.states() == {"sent": 20}
    assert set(desk.attempts()) == {"accepted", "withdrawn"}
    assert desk.count(Attempt, Attempt.state == "accepted") == 20


def test_a_channel_that_breaks_leaves_what_it_took_uncertain(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.channel.will("p5@example.org", raising(ZeroDivisionError("oops")))
    desk.mailing(20)
    desk.settle()
    assert desk.states() == {"sent": 19, "uncertain": 1}
    message = desk.message("p5@example.org")
    assert message["state"] == "uncertain"
    assert "channel fake failed while sending" in caplog.text
    [line] = [
        json.loads(JsonLines().format(each)) for each in caplog.records if "in doubt" in each.msg
    ]
    assert (line["message"], line["attempt"]) == (message["id"], message["attempt_id"])
    assert "p5@" not in str(line)


def test_a_channel_without_an_account_leaves_its_messages_waiting(desk: Desk) -> None:
    desk.mailing(2)
    desk.channel.configured = False
    assert desk.pump() == 0
    assert desk.states() == {"queued": 2}


def test_a_rate_is_taken_in_small_portions(desk: Desk) -> None:
    desk.channel.rate = 50.0
    desk.mailing(40)
    desk.settle()
    assert desk.states() == {"sent": 40}
    with desk.dispatch.database.begin() as connection:
        sizes = connection.scalars(select(func.count(Attempt.id)).group_by(Attempt.opened_at)).all()
    assert max(sizes) <= 10


def test_a_rate_that_is_used_up_is_not_asked_for_again_and_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    take = accounts.take_rate

    def noted(*args: Any, **more: Any) -> float:
        wait = take(*args, **more)
        asked.append(wait)
        return wait

    monkeypatch.setattr(accounts, "take_rate", noted)
    desk.channel.rate = 2.0
    desk.mailing(4)
    desk.pump()
    assert desk.states() == {"sent": 4}
    refusals = [wait for wait in asked if wait]
    assert len(refusals) <= 2 * 4, "a look every 50 ms would be ten for each message"
    assert all(0 < wait <= 0.5 for wait in refusals)
