"""Twilio, Infobip and Vonage against the contract, with their simulators as gateways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import quote

from clinic_dispatch_plugin.api import Channel, ReferencePack
from clinic_dispatch_plugin.simulators.gateways.infobip import InfobipGateway
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.twilio import TwilioGateway
from clinic_dispatch_plugin.simulators.gateways.vonage import VonageGateway
from clinic_dispatch_plugin.testing import ChannelContract, GatewayUnderTest, How
from clinic_dispatch_sms import clinic_dispatch_reference_packs
from clinic_dispatch_sms.channel import SmsChannel
from tests.contract.simulated import SimulatedUnderTest, account_at

PASSWORD = "canary/pass word"
CONNECTIONS = 2


class Contract(ChannelContract):
    callbacks_elsewhere = "tests/sms/test_http_callbacks.py"
    in_hand_limit = CONNECTIONS
    secrets = (PASSWORD, quote(PASSWORD, safe=""))
    no_addresses = ("", "anna", "12", "+49")

    kind: ClassVar[Any]
    scheme: ClassVar[str]
    options: ClassVar[Mapping[str, str]] = {}
    refusals: ClassVar[Mapping[How, str]]

    @contextmanager
    def gateway(self) -> Iterator[GatewayUnderTest]:
        settings = GatewaySettings(user="AC1", password=PASSWORD)
        with HttpSimulator(self.kind, settings) as simulator:
            yield SimulatedUnderTest(simulator, self.refusals)

    def make_channel(self, gateway: GatewayUnderTest) -> Channel:
        assert isinstance(gateway, SimulatedUnderTest)
        options = {"connections": str(CONNECTIONS), "timeout": "1.2", "sender": "Klinik"}
        login = f"AC1:{quote(PASSWORD, safe='')}"
        account = account_at(gateway.simulator, self.scheme, login, **options, **self.options)
        return SmsChannel([account])

    def packs(self) -> Sequence[ReferencePack]:
        return clinic_dispatch_reference_packs()


class TestTwilio(Contract):
    kind, scheme = TwilioGateway, "twilio"
    refusals = {How.REFUSE: "refuse:21614", How.REFUSE_FOR_NOW: "refuse:21611"}


class TestVonage(Contract):
    kind, scheme = VonageGateway, "vonage"
    refusals = {How.REFUSE: "refuse:33", How.REFUSE_FOR_NOW: "refuse:5"}


class TestInfobip(Contract):
    in_hand_limit = 3 * CONNECTIONS
    kind, scheme = InfobipGateway, "infobip"
    options = {"list": "3"}
    refusals = {How.REFUSE: "refuse:14", How.REFUSE_FOR_NOW: "refuse:21"}
