"""The channel for text messages against the contract, with a simulated SMSC as its gateway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import quote

from clinic_dispatch_plugin.api import Channel, ReferencePack
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.smsc import SmscGateway
from clinic_dispatch_plugin.testing import ChannelContract, GatewayUnderTest, How
from clinic_dispatch_sms import clinic_dispatch_reference_packs
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_sms.settings import URL, load_accounts

PASSWORD = "canary/pass word"
CONNECTIONS, LIST = 2, 5

#: From 1000 on a code speaks of this one number in a request of several.
WORDS = {
    How.ACCEPT: "accept",
    How.REFUSE: "refuse:1001",
    How.REFUSE_FOR_NOW: "refuse:1006",
    How.SILENCE: "trouble:silence",
    How.RUBBISH: "trouble:html",
    How.SLOW: "slow:300",
    How.LOST_AFTER: "trouble:cut",
}


class SmscUnderTest:
    """The simulator, commanded by number."""

    def __init__(self, simulator: HttpSimulator[SmscGateway]) -> None:
        self.simulator = simulator
        self._numbers: dict[str, str] = {}

    def address(self, name: str) -> str:
        """Numbers that exist in Kazakhstan's plan and ask the simulator for nothing by themselves."""
        return self._numbers.setdefault(name, f"+77011{111111 + len(self._numbers)}")

    def behave(self, address: str, how: How) -> None:
        if how not in WORDS:
            raise NotImplementedError  # a request is small: it leaves as a whole or not at all
        self.simulator.settings.plans.will(address, WORDS[how])

    def refuse_account(self) -> None:
        self.simulator.switch(GatewayMode.WRONG_PASSWORD)

    def taken(self) -> Sequence[str]:
        return [f"+{each.recipient}" for each in self.simulator.gateway.ledger.taken]


class TestSmscChannel(ChannelContract):
    callbacks_elsewhere = "tests/sms/test_smsc_callbacks.py"
    in_hand_limit = CONNECTIONS * LIST
    secrets = (PASSWORD, quote(PASSWORD, safe=""))
    no_addresses = ("", "keine", "0170", "+49 170 12", "0170 123 4567 89012", "00000000")

    @contextmanager
    def gateway(self) -> Iterator[GatewayUnderTest]:
        settings = GatewaySettings(user="clinic", password=PASSWORD)
        with HttpSimulator(SmscGateway, settings) as simulator:
            yield SmscUnderTest(simulator)

    def make_channel(self, gateway: GatewayUnderTest) -> Channel:
        assert isinstance(gateway, SmscUnderTest)
        root = quote(gateway.simulator.base_url, safe="")
        login = f"clinic:{quote(PASSWORD, safe='')}"
        options = f"base_url={root}&connections={CONNECTIONS}&list={LIST}&timeout=1.5"
        return SmsChannel(load_accounts({URL: f"smsc://{login}@smsc.kz/?{options}"}))

    def packs(self) -> Sequence[ReferencePack]:
        return clinic_dispatch_reference_packs()
