"""A refusal after which the gateway may have the message all the same: it is asked before anything else happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.engine.tables import Lock
from clinic_dispatch_plugin.error_reference import editing
from clinic_dispatch_plugin.messages.tables import Attempt, Block, Message
from clinic_dispatch_plugin.reports import asking, asking_first, inbox
from clinic_dispatch_plugin.reports.tables import Asking, Report
from clinic_dispatch_plugin.testing import FakeHost
from clinic_dispatch_plugin.testing.fake_channel import refuse
from tests.engine.dispatching import Desk, make_dispatch
from tests.reports.gateway import Reporting, said

#: Codes of answers whose entries ask first, and what follows otherwise.
TWICE: Mapping[str, Mapping[str, Any]] = {
    "twice": {"category": "duplicate"},
    "perhaps": {"category": "network_fault", "permanence": "temporary", "policy.base": 60.0},
    "barred": {"category": "unknown_recipient", "policy.block": True},
    "broke": {"category": "balance"},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("asks")
    channel = Reporting()
    dispatch = make_dispatch(f"sqlite:///{folder / 'clinic.db'}", folder, channel=channel)
    for code, content in TWICE.items():
        whole = {"permanence": "permanent", "short.de": code, "policy.ask_first": True, **content}
        editing.add_entry(dispatch, system="fake", code=code, content=whole, by="A. Kern")
    yield Desk(dispatch=dispatch, channel=channel, host=FakeHost())
    dispatch.database.dispose()


@pytest.fixture
def desk(shared: Desk) -> Desk:
    channel_of(shared).fates.clear()
    channel_of(shared).asked.clear()
    return shared


def channel_of(desk: Desk) -> Reporting:
    assert isinstance(desk.channel, Reporting)
    return desk.channel


def refused(desk: Desk, code: str, request: pytest.FixtureRequest) -> str:
    """A message that the gateway refused with this code; returns its address."""
    address = f"{abs(hash(request.node.name))}@example.org"
    desk.channel.will(address, refuse(code))
    desk.mailing([address])
    desk.pump()
    return address


def state(desk: Desk, address: str) -> tuple[str, str | None]:
    row = desk.message(address)
    return row["state"], row["code"]


def asked_for(desk: Desk, key: str) -> bool:
    return any(key in keys for keys in channel_of(desk).asked)


def later(desk: Desk, address: str) -> None:
    """A quarter of an hour has passed, and the gateway takes a question again."""
    ago = datetime.now(tz=UTC) - timedelta(minutes=20)
    key = desk.attempts_of(address)[-1]["id"]
    desk.change(Attempt, Attempt.id == key, opened_at=ago, closed_at=ago)
    desk.change(Asking, Asking.attempt_id == key, next_at=ago)
    free(desk)


def free(desk: Desk) -> None:
    with desk.dispatch.database.begin() as connection:
        past = datetime.now(tz=UTC) - timedelta(seconds=5)
        connection.execute(update(Lock).values(live_until=past))


def round_of(desk: Desk) -> None:
    free(desk)
    asking.go_round(desk.dispatch)


def test_a_gateway_that_has_it_is_believed_and_nothing_is_sent_twice(
    desk: Desk, request: pytest.FixtureRequest
) -> None:
    address = refused(desk, "twice", request)
    assert state(desk, address) == ("uncertain", "asking")
    assert desk.account()["state"] == "ready" and not desk.account()["failures"]
    attempt = desk.attempts_of(address)[0]
    assert attempt["state"] == "uncertain"
    channel_of(desk).fates[attempt["key"]] = said("delivered", key=attempt["key"])
    round_of(desk)
    assert asked_for(desk, attempt["key"]), "asked at once"
    assert state(desk, address) == ("delivered", None)
    assert desk.channel.counts[address] == 1


def test_a_gateway_that_does_not_know_it_lets_the_usual_way_follow(
    desk: Desk, request: pytest.FixtureRequest
) -> None:
    address = refused(desk, "twice", request)
    key = desk.attempts_of(address)[0]["key"]
    channel_of(desk).fates[key] = said("not_found", key=key)
    round_of(desk)
    assert state(desk, address) == ("uncertain", "asking"), "it may know it in a moment"
    for _ in range(4):
        later(desk, address)
        round_of(desk)
    assert state(desk, address) == ("undelivered", "twice")
    row = desk.message(address)
    assert (row["tries"], row["attempts"]) == (1, 1)
    assert [each["state"] for each in desk.attempts_of(address)] == ["refused"]
    assert desk.channel.counts[address] == 1


def test_what_is_tried_again_waits_as_its_entry_says(
    desk: Desk, request: pytest.FixtureRequest
) -> None:
    address = refused(desk, "perhaps", request)
    later(desk, address)
    round_of(desk)
    row = desk.message(address)
    assert (row["state"], row["code"], row["tries"]) == ("queued", "perhaps", 1)
    desk.settle()
    assert state(desk, address) == ("sent", None)


def test_a_service_that_cannot_be_asked_has_its_quarter_of_an_hour(
    desk: Desk, request: pytest.FixtureRequest
) -> None:
    address = refused(desk, "barred", request)
    assert asking_first.go_on(desk.dispatch, {}) == 0
    assert desk.count(Block) == 0, "nothing follows yet"
    later(desk, address)
    assert asking_first.go_on(desk.dispatch, {}) == 1
    assert state(desk, address) == ("undelivered", "barred")
    assert desk.count(Block) == 1
    assert asking_first.go_on(desk.dispatch, {}) == 0


def test_a_gateway_that_does_not_answer_is_waited_for_until_it_forgets(
    desk: Desk, request: pytest.FixtureRequest
) -> None:
    address = refused(desk, "twice", request)
    later(desk, address)
    account = desk.account()["id"]
    assert asking_first.go_on(desk.dispatch, {account: 86_400.0}) == 0, "it was never asked"
    assert asking_first.go_on(desk.dispatch, {account: 600.0}) == 1
    assert state(desk, address) == ("undelivered", "twice")


def test_a_person_who_decides_first_is_left_alone(
    desk: Desk, request: pytest.FixtureRequest
) -> None:
    address = refused(desk, "twice", request)
    later(desk, address)
    desk.change(Message, Message.address == address, state="delivered", answer_id=None)
    assert asking_first.go_on(desk.dispatch, {}) == 0
    assert state(desk, address)[0] == "delivered"


def test_an_account_at_fault_stops_without_a_question(
    desk: Desk, request: pytest.FixtureRequest
) -> None:
    address = refused(desk, "broke", request)
    assert state(desk, address)[0] == "queued"
    assert desk.account()["state"] == "stopped"
    now = datetime.now(tz=UTC)
    desk.change(Message, Message.address == address, state="skipped", due_at=None, final_at=now)
    desk.change(AccountRow, state="ready", answer_id=None)


@pytest.mark.parametrize("word", ["delivered", ""])
def test_a_report_that_says_no_waits_for_the_gateways_own_word(
    desk: Desk, request: pytest.FixtureRequest, word: str
) -> None:
    address = f"{abs(hash(request.node.name))}@example.org"
    desk.mailing([address])
    desk.pump()
    attempt = desk.attempts_of(address)[0]
    account: Any = desk.account()["id"]
    inbox.hear(desk.dispatch, "fake", account, said("failed", key=attempt["key"], code="twice"))
    inbox.process(desk.dispatch)
    assert state(desk, address) == ("sent", None)
    if word:
        channel_of(desk).fates[attempt["key"]] = said(word, key=attempt["key"])
    round_of(desk)
    assert asked_for(desk, attempt["key"])
    past = datetime.now(tz=UTC) - timedelta(hours=1)
    desk.change(Report, Report.state == "waiting", look_at=past, received_at=past)
    inbox.process(desk.dispatch)
    assert state(desk, address) == (("delivered", None) if word else ("undelivered", "twice"))
