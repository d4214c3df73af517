"""When an account stops, rests, and goes on; the messages only wait."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.api import AccountError, Answer, ConnectionFailed
from clinic_dispatch_plugin.engine.run import WINDOW
from clinic_dispatch_plugin.messages.tables import Attempt
from clinic_dispatch_plugin.testing.fake_channel import accept, raising, refuse
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
    assert desk.message("p5@example.org")["state"] == "uncertain"
    assert "channel fake failed while sending" in caplog.text


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
