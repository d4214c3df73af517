"""One mailing by SMS, then by call: whoever has no mobile number is called."""

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

WIRED, MOBILE = "+493012345678", "+4915112345678"


def person(ref: str, number: str) -> Recipient:
    addresses = dict.fromkeys(("sms", "voice"), number)
    return Recipient(ref=ref, name=ref, addresses=addresses, consent={}, values={}, locale="de")


def test_a_landline_is_called_where_a_text_was_to_go(tmp_path: Path) -> None:
    with HttpSimulator(SmscGateway, GatewaySettings(currency="EUR")) as simulator:
        url = f"smsc://clinic:secret@smsc.ru/?base_url={quote(simulator.base_url, safe='')}"
        host = FakeHost()
        dispatch = make_dispatch(
            f"sqlite:///{tmp_path / 'clinic.db'}",
            tmp_path,
            channel=FakeChannel(),
            host=host,
            SMS_URL=url,
            VOICE_URL=url,
        )
        people = [person("wired", WIRED), person("mobile", MOBILE)]
        host.add(*people)
        send(dispatch, to=people, channels=["sms", "voice"], text="Hallo {{ name }}")
        Desk(dispatch=dispatch, channel=FakeChannel(), host=host).pump()
        with dispatch.database.begin() as connection:
            rows = connection.execute(select(Message.ref, Message.channel, Message.state)).all()
        dispatch.database.dispose()
        taken = [(each.recipient, each.kind) for each in simulator.gateway.ledger.taken]
    assert sorted(map(tuple, rows)) == [("mobile", "sms", "sent"), ("wired", "voice", "sent")]
    assert sorted(taken) == [(MOBILE[1:], "sms"), (WIRED[1:], "call")]
