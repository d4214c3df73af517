"""One mailing by Viber, then by SMS: whom Viber does not reach gets a text, and nobody gets both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import select

from clinic_dispatch_plugin.channels.types import DeliveryReport, ReportStatus
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine.tables import Lock
from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.mailings.sending import send
from clinic_dispatch_plugin.messages.access import CommandLine
from clinic_dispatch_plugin.messages.detail import message_detail
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.messages.timeline import timeline
from clinic_dispatch_plugin.reports import asking, inbox
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.smsc import SmscGateway
from clinic_dispatch_plugin.testing import FakeChannel, FakeHost
from tests.engine.dispatching import Desk, make_dispatch

HAS, HAS_NOT, PHONE = "+77011111111", "+77011111112", "+77011111113"


def person(ref: str, viber: str) -> Recipient:
    addresses = {"viber": viber, "sms": PHONE}
    return Recipient(ref=ref, name=ref, addresses=addresses, consent={}, values={}, locale="de")


@contextmanager
def clinic(folder: Path) -> Iterator[tuple[Desk, HttpSimulator[Any]]]:
    """A clinic that sends both through a gateway that calls nobody back."""
    with HttpSimulator(SmscGateway, GatewaySettings(currency="KZT")) as simulator:
        url = f"smsc://clinic:secret@smsc.kz/?sender=Clinic&base_url={quote(simulator.base_url, safe='')}"
        channel, host = FakeChannel(), FakeHost()
        place = f"sqlite:///{folder / 'clinic.db'}"
        dispatch = make_dispatch(
            place, folder, channel=channel, host=host, SMS_URL=url, VIBER_URL=url
        )
        yield Desk(dispatch=dispatch, channel=channel, host=host), simulator
        dispatch.database.dispose()


def start(desk: Desk, *people: Recipient, **more: Any) -> None:
    desk.host.add(*people)
    both = ["viber", "sms"]
    send(desk.dispatch, to=people, channels=both, text="Hallo {{ name }}", **more)
    desk.pump()


def found(desk: Desk) -> dict[str, tuple[str, str]]:
    """Channel and state by patient."""
    with desk.dispatch.database.begin() as connection:
        rows = connection.execute(select(Message.ref, Message.channel, Message.state)).all()
    return {row.ref: (row.channel, row.state) for row in rows}


def taken(simulator: HttpSimulator[Any]) -> list[tuple[str, str]]:
    return sorted((each.recipient, each.kind) for each in simulator.gateway.ledger.taken)


def test_whoever_viber_refuses_gets_a_text_and_nobody_both(tmp_path: Path) -> None:
    with clinic(tmp_path) as (desk, simulator):
        # From 1000 on a code speaks of this number alone.
        simulator.settings.plans.will(HAS_NOT, "refuse:1011")
        start(desk, person("has", HAS), person("has not", HAS_NOT))
        assert found(desk) == {"has": ("viber", "sent"), "has not": ("sms", "sent")}
        assert taken(simulator) == [(HAS[1:], "viber"), (PHONE[1:], "sms")]


def _passes(desk: Desk, seconds: float) -> None:
    """Time since all was handed over; the gateway takes a question again."""
    desk.change(Message, Message.id > 0, sent_at=db_now(-seconds))
    desk.change(Attempt, Attempt.id > 0, opened_at=db_now(-seconds))
    desk.change(Lock, Lock.name.like("ask-%"), live_until=db_now(-1.0))


def _rounds(desk: Desk) -> None:
    """What workers do again and again, once."""
    inbox.go_round(desk.dispatch)
    asking.go_round(desk.dispatch)
    inbox.go_round(desk.dispatch)


def _history(desk: Desk, ref: str) -> str:
    with desk.dispatch.database.begin() as connection:
        message_id = connection.execute(select(Message.id).where(Message.ref == ref)).scalar_one()
    with desk.dispatch.app_context():
        events = timeline(message_detail(desk.dispatch, CommandLine(), message_id))
    return " | ".join(f"{each.text}, {each.more}" for each in reversed(events))


def _hear_late(desk: Desk, ref: str) -> None:
    """Viber reports the first try of a message at last."""
    query = select(Attempt.key, Attempt.account_id).join(Message, Message.id == Attempt.message_id)
    with desk.dispatch.database.begin() as connection:
        first = connection.execute(query.where(Message.ref == ref).order_by(Attempt.id)).first()
    assert first is not None
    report = DeliveryReport(status=ReportStatus.DELIVERED, attempt_key=first.key)
    inbox.keep(
        desk.dispatch, [report], channel="viber", account_id=first.account_id, source="callback"
    )
    inbox.process(desk.dispatch)


def test_before_a_text_follows_silence_viber_is_asked_what_became_of_the_message(
    tmp_path: Path,
) -> None:
    with clinic(tmp_path) as (desk, simulator):
        simulator.settings.plans.will(HAS_NOT, "reports:never")
        start(desk, person("got it", HAS), person("silent", HAS_NOT), silences={"viber": 60})
        _passes(desk, 3_500)
        inbox.go_round(desk.dispatch)
        _passes(desk, 3_601)
        inbox.go_round(desk.dispatch)
        assert {channel for channel, _ in found(desk).values()} == {"viber"}, "asked first"
        _rounds(desk)
        desk.pump()
        # Nobody heard that it arrived until the gateway was asked: no second message.
        assert found(desk) == {"got it": ("viber", "delivered"), "silent": ("sms", "sent")}
        assert "did not say that it arrived" in _history(desk, "silent")
        assert "The service reports: delivered" in _history(desk, "got it")

        # The end of the first way becomes known when the second was taken: shown, and nothing is undone.
        _hear_late(desk, "silent")
        assert found(desk)["silent"] == ("sms", "sent")
        assert "The service reports: delivered" in _history(desk, "silent")
        assert "by then it had been sent again" in _history(desk, "silent")

        start(desk, person("not asked", "+77011111115"), silences={"viber": 60})
        simulator.gateway.settings = replace(simulator.settings, password="another")
        _passes(desk, 3_700)
        _rounds(desk)
        assert found(desk)["not asked"] == ("viber", "sent"), "asked in vain, and soon again"
        _passes(desk, 4_201)
        _rounds(desk)
        simulator.gateway.settings = simulator.settings
        desk.pump()
        assert found(desk)["not asked"] == ("sms", "sent")
        assert "could not be asked what became of it" in _history(desk, "not asked")
        assert [kind for _, kind in taken(simulator)].count("sms") == 2
