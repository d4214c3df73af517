"""A mailing through the whole engine to a message centre: what the pages say is what the centre's ledger says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from clinic_dispatch_plugin.engine import stream
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.reports import asking
from clinic_dispatch_plugin.reports.checking import check_now
from clinic_dispatch_plugin.simulators.smpp import (
    CentreSettings,
    Plan,
    SmppSimulator,
    Way,
    number_for,
    read_ledger,
)
from clinic_dispatch_plugin.testing import FakeHost
from tests.engine.dispatching import Desk, make_dispatch
from tests.smpp.making import channel_for

ODD = {
    "undelivered": [Plan(status=0x0B)],
    "uncertain": [Plan(way=Way.CUT_AFTER), Plan(way=Way.RUBBISH), Plan(way=Way.NOISE)],
    "sent": [Plan(way=Way.THROTTLED), Plan(way=Way.NO_ID), Plan(way=Way.SLOW)],
}


def test_the_ledger_and_the_messages_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PAUSE_AFTER_FAILURE", 0.0)
    ledger = tmp_path / "ledger"
    settings = CentreSettings(ledger=ledger, slow_seconds=0.2, throttle_times=1)
    expected = {number_for(plan): state for state, plans in ODD.items() for plan in plans}
    with SmppSimulator(settings) as centre:
        channel, _ = channel_for(centre.url, "timeout=10&window=1")
        host = FakeHost()
        dispatch = make_dispatch(
            f"sqlite:///{tmp_path / 'clinic.db'}",
            tmp_path,
            channel=channel,  # type: ignore[arg-type]
            host=host,
        )
        desk = Desk(dispatch=dispatch, channel=channel, host=host)  # type: ignore[arg-type]
        ordinary = [f"+49151{22_000_000 + number}" for number in range(60)]
        people = [*ordinary[:30], *expected, *ordinary[30:]]
        desk.mailing(people, body="Guten Tag {{ name }}, bis Montag! 😀" + " Ihre Praxis." * 8)
        desk.settle()
    states = {number: desk.message(number)["state"] for number in people}
    assert {number: states[number] for number in expected} == expected
    taken = {f"+{line.destination}" for line in read_ledger(ledger)}
    assert taken == {number for number, state in states.items() if state != "undelivered"}
    parts = [line.message_id for line in read_ledger(ledger) if f"+{line.destination}" == people[0]]
    (attempt,) = desk.attempts_of(people[0])
    assert len(parts) > 1 and attempt["provider_id"] == "..".join(parts)
    assert desk.message(next(iter(expected)))["code"] == "0x0000000B"
    assert desk.count(Attempt) >= desk.count(Message)
    dispatch.database.dispose()


def test_receipts_deliver_what_was_sent_and_settle_what_was_uncertain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The centre is asked until it said everything; several parts, and a link cut before its answer, among them."""
    monkeypatch.setattr(stream, "PAUSE_AFTER_FAILURE", 0.0)
    monkeypatch.setattr(asking, "PAUSE_SECONDS", 0.0)
    with SmppSimulator(CentreSettings(receipt_after=0.05, receipt_again=0.2)) as centre:
        channel, _ = channel_for(centre.url, "timeout=10&window=1")
        host = FakeHost()
        url = f"sqlite:///{tmp_path / 'clinic.db'}"
        dispatch = make_dispatch(url, tmp_path, channel=channel, host=host)  # type: ignore[arg-type]
        desk = Desk(dispatch=dispatch, channel=channel, host=host)  # type: ignore[arg-type]
        cut, failed = number_for(Plan(way=Way.CUT_AFTER)), number_for(Plan(state=5, error="011"))
        people = [*(f"+49151{22_000_000 + number}" for number in range(8)), cut, failed]
        desk.mailing(people, body="Guten Tag {{ name }}, bis Montag! 😀" + " Ihre Praxis." * 8)
        desk.settle()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            list(check_now(dispatch, Actor(ref="admin", name="A. Kern")))
            states = {number: desk.message(number)["state"] for number in people}
            if not {"sent", "uncertain"} & set(states.values()):
                break
            time.sleep(0.1)
    assert states.pop(failed) == "undelivered"
    assert set(states.values()) == {"delivered"}
    dispatch.database.dispose()
