"""One mailing by Viber, then by SMS: whoever Viber refuses is reached by a text, and nobody twice."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from sqlalchemy import select

from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.mailings.sending import send
from clinic_dispatch_plugin.messages.tables import Message
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.smsc import SmscGateway
from clinic_dispatch_plugin.testing import FakeChannel, FakeHost
from tests.engine.dispatching import Desk, make_dispatch

HAS, HAS_NOT, PHONE = "+77011111111", "+77011111112", "+77011111113"


def person(ref: str, viber: str) -> Recipient:
    addresses = {"viber": viber, "sms": PHONE}
    return Recipient(ref=ref, name=ref, addresses=addresses, consent={}, values={}, locale="de")


def test_whoever_viber_refuses_gets_a_text_and_nobody_both(tmp_path: Path) -> None:
    with HttpSimulator(SmscGateway, GatewaySettings(currency="KZT")) as simulator:
        url = f"smsc://clinic:secret@smsc.kz/?sender=Clinic&base_url={quote(simulator.base_url, safe='')}"
        host = FakeHost()
        dispatch = make_dispatch(
            f"sqlite:///{tmp_path / 'clinic.db'}",
            tmp_path,
            channel=FakeChannel(),
            host=host,
            SMS_URL=url,
            VIBER_URL=url,
        )
        people = [person("has", HAS), person("has not", HAS_NOT)]
        host.add(*people)
        # From 1000 on a code speaks of this number alone.
        simulator.settings.plans.will(HAS_NOT, "refuse:1011")
        send(dispatch, to=people, channels=["viber", "sms"], text="Hallo {{ name }}")
        Desk(dispatch=dispatch, channel=FakeChannel(), host=host).pump()
        with dispatch.database.begin() as connection:
            rows = connection.execute(select(Message.ref, Message.channel, Message.state)).all()
        dispatch.database.dispose()
        taken = [(each.recipient, each.kind) for each in simulator.gateway.ledger.taken]
    assert sorted(map(tuple, rows)) == [("has", "viber", "sent"), ("has not", "sms", "sent")]
    assert sorted(taken) == [(HAS[1:], "viber"), (PHONE[1:], "sms")]
