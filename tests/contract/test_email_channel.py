"""The e-mail channel against the contract, with the relay simulator as its gateway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from clinic_dispatch_email import clinic_dispatch_reference_packs
from clinic_dispatch_email.channel import EmailChannel
from clinic_dispatch_email.settings import FROM, URL, load_settings
from clinic_dispatch_plugin.api import Channel, ReferencePack
from clinic_dispatch_plugin.simulators.smtp import (
    Mode,
    RelaySettings,
    Scenario,
    SmtpSimulator,
    Verdict,
    read_ledger,
    verdict_of,
)
from clinic_dispatch_plugin.testing import ChannelContract, GatewayUnderTest, How
from tests.contract.muffler import Muffler

PASSWORD = "canary/pass word"
CONNECTIONS = 2

SCENARIOS = {
    How.REFUSE: Scenario.UNKNOWN,
    How.REFUSE_FOR_NOW: Scenario.FULL_TEMPORARY,
    How.LOST_AFTER: Scenario.LOST,
}


class Table:
    """What the relay answers, by recipient."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Verdict] = {}

    def verdict(self, *, sender: str, recipient: str, now: float) -> Verdict:
        return self.verdicts.get(recipient, Verdict())


class RelayUnderTest:
    """The simulator behind a proxy that can keep its answers back."""

    def __init__(self, relay: SmtpSimulator, table: Table, muffler: Muffler, ledger: Path) -> None:
        self._relay = relay
        self._table = table
        self._muffler = muffler
        self._ledger = ledger

    @property
    def url(self) -> str:
        timeouts = "connect_timeout=5&timeout=1.5&data_timeout=1.5"
        login = f"clinic:{quote(PASSWORD, safe='')}"
        where = f"127.0.0.1:{self._muffler.port}"
        return f"smtp://{login}@{where}?connections={CONNECTIONS}&{timeouts}"

    def address(self, name: str) -> str:
        return f"{name}@patient.example"

    def behave(self, address: str, how: How) -> None:
        if how is How.SILENCE:
            self._muffler.silent.add(address)
        elif how is How.SLOW:
            self._muffler.slow.add(address)
        elif how is How.LOST_BEFORE:
            self._muffler.cut.add(address)
        elif how is How.RUBBISH:
            self._table.verdicts[address] = Verdict(after_data="<html>It works!</html>")
        elif how in SCENARIOS:
            self._table.verdicts[address] = verdict_of(SCENARIOS[how], recipient=address)

    def refuse_account(self) -> None:
        self._relay.switch(Mode.WRONG_PASSWORD)

    def taken(self) -> Sequence[str]:
        return [line.recipient for line in read_ledger(self._ledger)]


class TestEmailChannel(ChannelContract):
    # Each connection may have one message's end and the next one's envelope under way.
    in_hand_limit = 2 * CONNECTIONS
    secrets = (PASSWORD, quote(PASSWORD, safe=""))
    no_addresses = (
        "",
        "anna",
        "anna@",
        "@patient.example",
        "anna@patient..example",
        "a b@c.example",
    )

    @contextmanager
    def gateway(self) -> Iterator[GatewayUnderTest]:
        with TemporaryDirectory() as folder:
            ledger, table = Path(folder) / "ledger", Table()
            settings = RelaySettings(
                ledger=ledger, behaviour=table, username="clinic", password=PASSWORD
            )
            with SmtpSimulator(settings) as relay, Muffler(relay.port) as muffler:
                yield RelayUnderTest(relay, table, muffler, ledger)

    def make_channel(self, gateway: GatewayUnderTest) -> Channel:
        assert isinstance(gateway, RelayUnderTest)
        return EmailChannel(load_settings({URL: gateway.url, FROM: "Klinik <post@klinik.example>"}))

    def packs(self) -> Sequence[ReferencePack]:
        return clinic_dispatch_reference_packs()
