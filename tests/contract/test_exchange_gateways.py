"""Calls through a clinic's own exchange against the contract: by SIP, and through Asterisk's interface."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from clinic_dispatch_plugin.api import Channel, ReferencePack
from clinic_dispatch_plugin.simulators.ari import AriSimulator, AsteriskSettings
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
from tests.voice.exchange import account_at, account_at_asterisk, recording

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

    def __init__(self, exchange: SipSimulator | AriSimulator, folder: Path) -> None:
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
        if isinstance(self.exchange, AriSimulator):
            self.exchange.is_closed = True
        else:
            self.exchange.switch(Mode.WRONG_PASSWORD)

    def taken(self) -> Sequence[str]:
        return [f"+{line.recipient}" for line in self.exchange.ledger.taken]


class TestSip(ChannelContract):
    in_hand_limit = CALLS
    secrets = (PASSWORD,)
    no_addresses = ("", "anna", "+49")

    @contextmanager
    def gateway(self) -> Iterator[GatewayUnderTest]:
        settings = ExchangeSettings(
            user="clinic", password=PASSWORD, ring_seconds=0.0, slow_seconds=0.15
        )
        with TemporaryDirectory() as folder, SipSimulator(settings) as exchange:
            yield ExchangeUnderTest(exchange, Path(folder))

    def make_channel(self, gateway: GatewayUnderTest) -> Channel:
        assert isinstance(gateway, ExchangeUnderTest)
        assert isinstance(gateway.exchange, SipSimulator)
        options = {"calls": str(CALLS), "keys": "off", "ring": "0.8", "timeout": "0.5"}
        options["folder"] = str(gateway.folder)
        return VoiceChannel([account_at(gateway.exchange, gateway.sound, **options)])

    def packs(self) -> Sequence[ReferencePack]:
        return [*clinic_dispatch_reference_packs(), *packs_of_sms()]


class TestAri(TestSip):
    @contextmanager
    def gateway(self) -> Iterator[GatewayUnderTest]:
        settings = AsteriskSettings(password=PASSWORD, ring_seconds=0.0, slow_seconds=0.15)
        with TemporaryDirectory() as folder, AriSimulator(settings) as asterisk:
            yield ExchangeUnderTest(asterisk, Path(folder))

    def make_channel(self, gateway: GatewayUnderTest) -> Channel:
        assert isinstance(gateway, ExchangeUnderTest)
        assert isinstance(gateway.exchange, AriSimulator)
        options = {
            "calls": str(CALLS),
            "keys": "off",
            "ring": "1",
            "timeout": "0.8",
            "folder": str(gateway.folder),
        }
        account = account_at_asterisk(gateway.exchange, gateway.sound, **options)
        return VoiceChannel([account])
