"""Who goes first, who stops, and who slows down: decided by the database, whichever worker looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.channels.errors import ConnectionFailed
from clinic_dispatch_plugin.channels.types import Answer, OutgoingMessage
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.engine import claims, pace, store
from clinic_dispatch_plugin.engine.recorder import Cause
from clinic_dispatch_plugin.engine.spam import KNOWN_SECONDS, Watch
from clinic_dispatch_plugin.engine.tables import Lock
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.messages.mailing_rules import priority
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.tables import Attempt, Audit, Message
from clinic_dispatch_plugin.testing.fake_channel import raising, refuse
from tests.engine.dispatching import Desk, open_desk

SOMEBODY = Actor(ref="1", name="B. Lang")
SPAM = Cause(
    category="spam_content",
    pause_share=0.1,
    pause_least=20,
    answer=Answer(system="fake", code="spam"),
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = Path(tmp_path_factory.mktemp("control"))
    made = open_desk(f"sqlite:///{folder / 'clinic.sqlite'}", folder)
    yield made
    made.dispatch.database.dispose()


@pytest.fixture
def desk(opened: Desk) -> Desk:
    """A desk on which nothing lies."""
    opened.channel.handed.clear()
    opened.channel.before = opened.channel.rate = None

    def clear(connection: object) -> None:
        for table in (Attempt, Message, Mailing, Audit, Lock):
            connection.execute(delete(table))  # type: ignore[attr-defined]

    opened.dispatch.database.run(clear)
    opened.change(AccountRow, state="ready", failures=0, refusals=0, rests=0, rest_until=None)
    return opened


def spammy(desk: Desk, accepted: int, refused: int, name: str) -> int:
    """A mailing of which so many are taken and then so many refused as spam."""
    addresses = [f"{name}{n}@example.org" for n in range(accepted + refused)]
    for address in addresses[accepted:]:
        desk.channel.will(address, refuse("spam"))
    return desk.mailing(addresses)


def test_results_of_earlier_runs_count_too(desk: Desk) -> None:
    mailing_id = spammy(desk, 24, 2, "a")
    desk.pump()
    assert desk.state_of_mailing(mailing_id)["state"] == "finished", "2 of 26 are not too many"
    for number in range(4):
        desk.channel.will(f"a{number}@example.org", refuse("spam"))
    desk.change(Mailing, Mailing.id == mailing_id, state="running")
    addresses = [f"a{number}@example.org" for number in range(4)]
    again = {"state": "queued", "due_at": db_now(-1.0), "final_at": None}
    desk.change(Message, Message.address.in_(addresses), attempts=0, **again)
    desk.pump()
    row = desk.state_of_mailing(mailing_id)
    assert (row["state"], row["pause_reason"]) == ("paused", "spam"), "6 of 30 are"
    with desk.dispatch.database.begin() as connection:
        found = connection.exec_driver_sql("SELECT details FROM dispatch_audit").scalar_one()
    assert '"of": 30' in found and '"bad": 6' in found


def test_what_a_person_looked_at_is_not_counted_again(desk: Desk) -> None:
    mailing_id = spammy(desk, 20, 10, "b")
    desk.pump()
    assert desk.state_of_mailing(mailing_id)["state"] == "paused"
    desk.change(Mailing, Mailing.id == mailing_id, state="running", pause_reason="")
    desk.change(Mailing, Mailing.id == mailing_id, state="paused")
    assert mailings.resume(desk.dispatch, mailing_id, SOMEBODY)
    desk.channel.will("b0@example.org", refuse("spam"))
    again = {"state": "queued", "due_at": db_now(-1.0), "final_at": None}
    desk.change(Message, Message.address == "b0@example.org", **again)
    desk.pump()
    assert desk.state_of_mailing(mailing_id)["state"] != "paused"


def test_three_stopped_mailings_let_the_account_rest_and_say_why(desk: Desk) -> None:
    for name in ("c", "d", "e"):
        assert desk.account()["state"] == "ready"
        mailing_id = spammy(desk, 20, 8, name)
        desk.pump()
        assert desk.state_of_mailing(mailing_id)["state"] == "paused"
    account = desk.account()
    assert account["state"] == "resting"
    with desk.dispatch.database.begin() as connection:
        code = connection.exec_driver_sql(
            f"SELECT code FROM dispatch_answer WHERE id = {account['answer_id']}"
        ).scalar_one()
    assert code == "mailings_stopped"


@pytest.mark.parametrize("how", ["answer", "exception"])
def test_a_gateway_that_says_too_fast_halves_the_rate(desk: Desk, how: str) -> None:
    answer = Answer(system="fake", code="greylisted", text="slow down")
    say = (
        refuse("greylisted")
        if how == "answer"
        else raising(ConnectionFailed(answer, retry_after=0.1))
    )
    desk.channel.will("p0@example.org", say)
    desk.mailing(1)
    desk.pump()
    account_id = desk.account()["id"]
    with desk.dispatch.database.begin() as connection:
        assert store.slowed(connection, account_id)
        until = store.locked_until(connection, f"slow-{account_id}")
        at = now(connection)
    assert until is not None and 500 < (until - at).total_seconds() <= 600


def test_what_is_urgent_goes_before_the_rest_of_a_long_claim(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(pace, "WIDEST_WINDOW", pace.WINDOW)  # a fast machine's are wider
    urgent: list[int] = []

    def look(message: OutgoingMessage) -> None:
        if len(desk.channel.handed) == 60 and not urgent:
            urgent.append(desk.mailing(["urgent@example.org"], priority=priority("service", 1)))

    desk.channel.before = look
    desk.mailing(400)
    desk.settle()
    order = [message.address for message in desk.channel.handed]
    assert len(order) == 401
    assert order.index("urgent@example.org") < 60 + 3 * pace.WINDOW, (
        "the claim was 400 messages long"
    )


def test_results_go_before_promotions_and_equals_take_turns(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(claims, "TURN_SECONDS", 0.0)
    ranks = {name: priority(name, 100) for name in ("promotion", "reminder", "results", "greeting")}
    assert sorted(ranks, key=ranks.__getitem__) == ["promotion", "greeting", "reminder", "results"]
    assert priority("promotion", 1) > ranks["results"]
    desk.mailing([f"o{n}@example.org" for n in range(30)], priority=ranks["promotion"])
    for name in ("x", "y"):
        addresses = [f"{name}{n}@example.org" for n in range(150)]
        desk.mailing(addresses, priority=ranks["results"])
    desk.settle()
    order = [message.address[0] for message in desk.channel.handed]
    assert set(order[-30:]) == {"o"}, "offers come last, although they came first"
    first = order.index("y")
    assert first < 150, "the second does not wait for the end of the first"
    half = order[:150]
    assert min(half.count("x"), half.count("y")) >= 30


def test_results_of_other_workers_are_known_within_a_second_and_ones_own_at_once(
    desk: Desk,
) -> None:
    mailing_id = spammy(desk, 22, 2, "w")
    theirs = Message.address.in_(["w22@example.org", "w23@example.org"])
    desk.change(Message, theirs, due_at=db_now(600.0))
    desk.pump()
    at, where = [0.0], {"mailing_id": mailing_id, "account_id": desk.account()["id"]}
    one, other = (Watch(desk.dispatch, clock=lambda: at[0], **where) for _ in range(2))

    def stops(watch: Watch) -> bool:
        with desk.dispatch.database.begin() as connection:
            return watch.stopped(connection, [SPAM])

    assert not stops(one) and not stops(other), "one beside 22 is not too many"
    one.remember([SPAM, SPAM])
    assert stops(one), "three beside 22 are"
    desk.change(Mailing, Mailing.id == mailing_id, state="running")
    desk.change(Message, theirs, due_at=db_now(-1.0))
    desk.pump()
    assert not stops(other), "nobody told it of these two yet"
    at[0] = KNOWN_SECONDS * 1.1
    assert stops(other)
