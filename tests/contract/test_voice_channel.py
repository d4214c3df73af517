"""The channel for calls against the contract, with simulated gateways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import quote

from clinic_dispatch_plugin.api import Channel, ReferencePack
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.smsc import SmscGateway
from clinic_dispatch_plugin.simulators.gateways.twilio import TwilioGateway
from clinic_dispatch_plugin.testing import ChannelContract, GatewayUnderTest, How
from clinic_dispatch_sms import clinic_dispatch_reference_packs as packs_of_sms
from clinic_dispatch_voice import clinic_dispatch_reference_packs
from clinic_dispatch_voice.channel import VoiceChannel
from clinic_dispatch_voice.settings import URL, load_accounts
from tests.contract.simulated import SimulatedUnderTest

PASSWORD = "canary/pass word"
CONNECTIONS, LIST = 2, 3


class Contract(ChannelContract):
    callbacks_elsewhere = "tests/voice/test_voice.py"
    in_hand_limit = CONNECTIONS * LIST
    secrets = (PASSWORD, quote(PASSWORD, safe=""))
    no_addresses = ("", "anna", "+49")

    kind: ClassVar[Any]
    scheme: ClassVar[str]
    more: ClassVar[str] = ""
    refusals: ClassVar[Mapping[How, str]]

    @contextmanager
    def gateway(self) -> Iterator[GatewayUnderTest]:
        settings = GatewaySettings(user="clinic", password=PASSWORD)
        with HttpSimulator(self.kind, settings) as simulator:
            yield SimulatedUnderTest(simulator, self.refusals)

    def make_channel(self, gateway: GatewayUnderTest) -> Channel:
        assert isinstance(gateway, SimulatedUnderTest)
        root = quote(gateway.simulator.base_url, safe="")
        options = f"sender=%2B493012345678&connections={CONNECTIONS}&timeout=1.2{self.more}"
        login = f"clinic:{quote(PASSWORD, safe='')}"
        url = f"{self.scheme}://{login}@gateway.example/?base_url={root}&{options}"
        return VoiceChannel(load_accounts({URL: url}))

    def packs(self) -> Sequence[ReferencePack]:
        return [*clinic_dispatch_reference_packs(), *packs_of_sms()]


class TestSmsc(Contract):
    kind, scheme, more = SmscGateway, "smsc", f"&list={LIST}"
    refusals = {How.REFUSE: "refuse:1013", How.REFUSE_FOR_NOW: "refuse:1247"}


class TestTwilio(Contract):
    in_hand_limit = CONNECTIONS
    kind, scheme = TwilioGateway, "twilio"
    refusals = {How.REFUSE: "refuse:13224", How.REFUSE_FOR_NOW: "refuse:10004"}
