"""Calls by SIP against the contract, with the simulated exchange as the gateway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from clinic_dispatch_plugin.api import Channel, ReferencePack
from clinic_dispatch_plugin.simulators.sip import (
    ByNumber,
    ExchangeSettings,
    Mode,
    Plan,
    SipSimulator,
    Way,
)
from clinic_dispatch_plugin.testing import ChannelContract, GatewayUnderTest, How
from clinic_dispatch_sms import clinic_dispatch_reference_packs as packs_of_sms
from clinic_dispatch_voice import clinic_dispatch_reference_packs
from clinic_dispatch_voice.channel import VoiceChannel
from tests.voice.exchange import account_at, recording

PASSWORD = "canary"
CALLS = 6

PLANS = {
    How.REFUSE: Plan(status=404),
    How.REFUSE_FOR_NOW: Plan(status=486),
    How.SILENCE: Plan(way=Way.SILENT),
    How.RUBBISH: Plan(way=Way.RUBBISH),
    How.SLOW: Plan(way=Way.SLOW),
    How.LOST_AFTER: Plan(way=Way.CUT),
}


class ExchangeUnderTest:
    """The simulated exchange."""

    def __init__(self, exchange: SipSimulator, folder: Path) -> None:
        self.exchange = exchange
        self.folder = folder
        self.sound = recording(folder, 0.06)
        self._numbers: dict[str, str] = {}

    def address(self, name: str) -> str:
        return self._numbers.setdefault(name, f"+49151{31_000_000 + len(self._numbers)}")

    def behave(self, address: str, how: How) -> None:
        if how is How.LOST_BEFORE:
            # An INVITE is small: nothing tells a caller that its last octets did not arrive.
            raise NotImplementedError
        behaviour = self.exchange.settings.behaviour
        assert isinstance(behaviour, ByNumber)
        behaviour.will(address, PLANS.get(how, Plan()))

    def refuse_account(self) -> None:
        self.exchange.switch(Mode.WRONG_PASSWORD)

    def taken(self) -> Sequence[str]:
        return [f"+{line.recipient}" for line in self.exchange.ledger.taken]


class TestSipByConnection(ChannelContract):
    in_hand_limit = CALLS
    secrets = (PASSWORD,)
    no_addresses = ("", "anna", "+49")

    transport: ClassVar[str] = "tcp"

    @contextmanager
    def gateway(self) -> Iterator[GatewayUnderTest]:
        settings = ExchangeSettings(
            user="clinic", password=PASSWORD, ring_seconds=0.0, slow_seconds=0.3
        )
        with TemporaryDirectory() as folder, SipSimulator(settings) as exchange:
            yield ExchangeUnderTest(exchange, Path(folder))

    def make_channel(self, gateway: GatewayUnderTest) -> Channel:
        assert isinstance(gateway, ExchangeUnderTest)
        options = {"calls": str(CALLS), "keys": "off", "transport": self.transport, "ring": "1"}
        options["folder"] = str(gateway.folder)
        return VoiceChannel([account_at(gateway.exchange, gateway.sound, **options)])

    def packs(self) -> Sequence[ReferencePack]:
        return [*clinic_dispatch_reference_packs(), *packs_of_sms()]


class TestSipByDatagrams(TestSipByConnection):
    transport = "udp"
