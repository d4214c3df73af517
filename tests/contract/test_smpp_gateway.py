"""Text messages over SMPP against the contract, with the simulated message centre as the gateway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from clinic_dispatch_plugin.api import Channel, ReferencePack
from clinic_dispatch_plugin.simulators.smpp import (
    CentreSettings,
    Mode,
    Plan,
    SmppSimulator,
    Way,
    read_ledger,
)
from clinic_dispatch_plugin.testing import ChannelContract, GatewayUnderTest, How
from clinic_dispatch_sms import clinic_dispatch_reference_packs
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_sms.settings import URL, load_accounts

PASSWORD = "canary"
WINDOW = 4

PLANS = {
    How.REFUSE: Plan(status=0x0B),
    How.REFUSE_FOR_NOW: Plan(status=0x14),
    How.SILENCE: Plan(way=Way.SILENT),
    How.RUBBISH: Plan(way=Way.RUBBISH),
    How.SLOW: Plan(way=Way.SLOW),
    How.LOST_AFTER: Plan(way=Way.CUT_AFTER),
}


class Table:
    """What the centre does, by number."""

    def __init__(self) -> None:
        self.plans: dict[str, Plan] = {}

    def plan(self, destination: str) -> Plan:
        return self.plans.get(destination, Plan())


class CentreUnderTest:
    """The simulated centre."""

    def __init__(self, centre: SmppSimulator, table: Table, ledger: Path) -> None:
        self._centre = centre
        self._table = table
        self._ledger = ledger
        self._numbers: dict[str, str] = {}

    @property
    def url(self) -> str:
        options = f"sender=Klinik&connect_timeout=5&timeout=1.5&window={WINDOW}"
        return f"{self._centre.url}/?{options}"

    def address(self, name: str) -> str:
        return self._numbers.setdefault(name, f"+49151{21_000_000 + len(self._numbers)}")

    def behave(self, address: str, how: How) -> None:
        if how is How.LOST_BEFORE:
            # A packet is small: nothing tells a client that its last octets did not arrive.
            raise NotImplementedError
        self._table.plans[address.removeprefix("+")] = PLANS.get(how, Plan())

    def refuse_account(self) -> None:
        self._centre.switch(Mode.WRONG_PASSWORD)

    def taken(self) -> Sequence[str]:
        return [f"+{line.destination}" for line in read_ledger(self._ledger)]


class TestSmppGateway(ChannelContract):
    in_hand_limit = WINDOW
    secrets = (PASSWORD,)
    no_addresses = ("", "anna", "12", "+49 151 x", "+1")

    @contextmanager
    def gateway(self) -> Iterator[GatewayUnderTest]:
        with TemporaryDirectory() as folder:
            table, ledger = Table(), Path(folder) / "ledger"
            settings = CentreSettings(
                system_id="clinic",
                password=PASSWORD,
                ledger=ledger,
                behaviour=table,
                slow_seconds=0.3,
            )
            with SmppSimulator(settings) as centre:
                yield CentreUnderTest(centre, table, ledger)

    def make_channel(self, gateway: GatewayUnderTest) -> Channel:
        assert isinstance(gateway, CentreUnderTest)
        return SmsChannel(load_accounts({URL: gateway.url}))

    def packs(self) -> Sequence[ReferencePack]:
        return clinic_dispatch_reference_packs()
