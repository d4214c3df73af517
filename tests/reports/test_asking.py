"""Gateways are asked before they forget, not too often, and what they say settles what was open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import update

from clinic_dispatch_plugin.channels.errors import AccountError, ConnectionFailed
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.reports import asking, inbox
from clinic_dispatch_plugin.reports.askable import askables
from clinic_dispatch_plugin.reports.schedule import Turn, first_after, next_ask, turn_of
from clinic_dispatch_plugin.reports.tables import Asking
from tests.clinic.mailbag import LOST
from tests.reports.gateway import WINDOW, Desk, said

OPENED = datetime(2026, 11, 28, 12, tzinfo=UTC)
BUSY = Answer(system="fake", code="busy", text="one question a minute")


@pytest.fixture
def quiet(desk: Desk) -> Desk:
    """Nothing was asked, and nothing of other tests is open."""
    desk.forget_reports()
    desk.forget_messages()
    desk.channel.asked.clear()
    desk.channel.fates.clear()
    desk.channel.trouble = None
    desk.free()
    return desk


def later(desk: Desk, *, counted: bool = True) -> None:
    """So long that everything is due again."""
    desk.free()
    with desk.dispatch.database.begin() as connection:
        past = datetime.now(tz=UTC) - timedelta(seconds=1)
        connection.execute(update(Asking).values(next_at=past))
        if counted:
            long_ago = datetime.now(tz=UTC) - timedelta(hours=1)
            connection.execute(
                update(Asking).where(Asking.counted_at.is_not(None)).values(counted_at=long_ago)
            )


def ask(desk: Desk) -> asking.Asked | None:
    (askable,) = askables(desk.dispatch)
    return asking.ask(desk.dispatch, askable)


@pytest.mark.parametrize("window", [600.0, 86_400.0, 4 * 86_400.0])
def test_it_is_asked_soon_then_rarely_and_always_near_the_end(window: float) -> None:
    times = [OPENED + timedelta(seconds=first_after(window))]
    while (following := next_ask(OPENED, times[-1], window=window)) is not None:
        times.append(following)
    ages = [(each - OPENED).total_seconds() for each in times]
    assert ages == sorted(ages)
    assert len(ages) <= 14
    assert 0.8 * window in ages
    assert 0.95 * window == ages[-1]
    free_ones = [age for age in ages if age < 0.8 * window]
    assert all(after == 2 * before for before, after in pairwise(free_ones))


@pytest.mark.parametrize(
    ("asked", "waited", "turn"),
    [
        (None, 0, Turn.WAITS),
        (-1, 0, Turn.WAITS),  # what it said before the wait was over is no answer
        (-1, 600, Turn.NOT_ASKED),
        (None, 599, Turn.WAITS),
        (None, 600, Turn.NOT_ASKED),
        (0, 1, Turn.ASKED_IN_VAIN),
        (5, 601, Turn.ASKED_IN_VAIN),
    ],
)
def test_silence_waits_for_the_gateways_answer_and_no_longer_than_its_time(
    asked: int | None, waited: int, turn: Turn
) -> None:
    asked_at = None if asked is None else OPENED + timedelta(seconds=asked)
    now = OPENED + timedelta(seconds=waited)
    found = turn_of(over_at=OPENED, asked_at=asked_at, now=now, patience=600.0)
    assert found is turn


def test_each_open_attempt_is_asked_for_and_its_answer_moves_it(quiet: Desk) -> None:
    arrived, failed, silent = quiet.sent(), quiet.sent(), quiet.sent()
    young, final = quiet.sent(ago=10), quiet.sent("undelivered", attempt="refused")
    quiet.channel.fates = {
        quiet.key(arrived): said("delivered", key=quiet.key(arrived)),
        quiet.key(failed): said("failed", key=quiet.key(failed), code="unknown"),
    }
    done = ask(quiet)
    assert done is not None
    assert sorted(quiet.channel.asked[0]) == sorted(map(quiet.key, (arrived, failed, silent)))
    assert dict(done.said) == {"delivered": 1, "failed": 1}
    assert [quiet.state(each)[0] for each in (arrived, failed, silent, young, final)] == [
        "delivered",
        "undelivered",
        "sent",
        "sent",
        "undelivered",
    ]
    # What is decided is not asked for again, and the rest not before its time.
    quiet.free()
    assert ask(quiet) is None
    later(quiet)
    ask(quiet)
    assert quiet.channel.asked[1:] == [[quiet.key(silent)]]


def test_a_gateway_gets_one_question_a_minute_about_a_hundred_at_most(
    quiet: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST", 2)
    for _ in range(3):
        quiet.sent()
    assert ask(quiet) is not None
    assert ask(quiet) is None
    quiet.free()
    assert ask(quiet) is not None
    assert [len(each) for each in quiet.channel.asked] == [2, 1]


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [
        (ConnectionFailed(BUSY, retry_after=900), 900),
        (ConnectionFailed(BUSY, retry_after=1), 60),
        (ConnectionFailed(BUSY), 300),
        (AccountError(BUSY), 300),
    ],
)
def test_a_gateway_that_wants_a_pause_gets_it_and_what_it_said_before_counts(
    quiet: Desk, trouble: Exception, seconds: float
) -> None:
    arrived, open_one = quiet.sent(), quiet.sent()
    quiet.channel.fates = {quiet.key(arrived): said("delivered", key=quiet.key(arrived))}
    quiet.channel.trouble = trouble
    done = ask(quiet)
    assert done is not None and done.trouble is trouble and done.until is not None
    waits = (done.until - datetime.now(tz=UTC)).total_seconds()
    assert seconds - 30 < waits <= seconds + 1
    assert quiet.state(arrived)[0] == "delivered"
    assert ask(quiet) is None
    quiet.channel.trouble = None
    quiet.free()
    ask(quiet)
    assert quiet.channel.asked[-1] == [quiet.key(open_one)]


def test_a_window_that_closed_is_a_word_of_its_own_until_a_report_comes_all_the_same(
    quiet: Desk,
) -> None:
    message_id, uncertain = (
        quiet.sent(ago=WINDOW + 60, provider_id="late"),
        quiet.sent("uncertain", attempt="uncertain", answer=LOST, ago=WINDOW + 60),
    )
    asking.go_round(quiet.dispatch)
    assert quiet.channel.asked == []
    assert quiet.state(message_id) == ("sent", "no_report")
    assert quiet.state(uncertain) == ("uncertain", None)
    report = said("delivered", provider_id="late")
    inbox.hear(quiet.dispatch, "fake", quiet.account(), report)
    inbox.process(quiet.dispatch)
    assert quiet.state(message_id) == ("delivered", "delivered")


def doubtful(desk: Desk, *, ago: float) -> int:
    message_id = desk.sent("uncertain", attempt="uncertain", answer=LOST, ago=ago)
    desk.channel.fates[desk.key(message_id)] = said("not_found", key=desk.key(message_id))
    return message_id


def test_what_the_gateway_never_had_is_due_again_after_quarantine_and_three_answers(
    quiet: Desk,
) -> None:
    message_id = doubtful(quiet, ago=2_000)
    for _ in range(2):
        ask(quiet)
        assert quiet.state(message_id) == ("uncertain", None)
        later(quiet)
    ask(quiet)
    row = quiet.bag.row(message_id)
    assert (row["state"], row["attempts"], row["tries"], row["answer_id"]) == ("queued", 0, 0, None)
    assert quiet.attempt(message_id)["state"] == "withdrawn"


def test_before_the_quarantine_is_over_its_absence_proves_nothing(quiet: Desk) -> None:
    message_id = doubtful(quiet, ago=600)
    for _ in range(5):
        ask(quiet)
        later(quiet)
    assert len(quiet.channel.asked) == 5
    assert quiet.state(message_id) == ("uncertain", None)


def test_asking_again_and_again_is_no_further_proof(quiet: Desk) -> None:
    message_id = doubtful(quiet, ago=2_000)
    for _ in range(5):
        ask(quiet)
        later(quiet, counted=False)
    assert quiet.state(message_id) == ("uncertain", None)


@pytest.mark.parametrize("make", [lambda desk: desk.sent(ago=2_000)])
def test_what_was_accepted_is_not_sent_again_because_it_is_forgotten(
    quiet: Desk, make: Callable[[Desk], int]
) -> None:
    message_id = make(quiet)
    quiet.channel.fates[quiet.key(message_id)] = said("not_found", key=quiet.key(message_id))
    for _ in range(4):
        ask(quiet)
        later(quiet)
    assert quiet.state(message_id) == ("sent", None)


def test_found_after_all_it_was_sent_once(quiet: Desk) -> None:
    message_id = doubtful(quiet, ago=2_000)
    ask(quiet)
    later(quiet)
    key = quiet.key(message_id)
    quiet.channel.fates[key] = said("under_way", key=key, provider_id="g-1")
    ask(quiet)
    assert quiet.state(message_id) == ("sent", None)
    assert quiet.attempt(message_id)["provider_id"] == "g-1"
