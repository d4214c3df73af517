"""A simulated gateway as the contract commands it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from clinic_dispatch_plugin.api import Account
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode
from clinic_dispatch_plugin.testing import How
from clinic_dispatch_sms.settings import URL, load_accounts

#: What a gateway does in each way where all do it alike; refusals have each gateway's own codes.
WAYS = {
    How.SILENCE: "trouble:silence",
    How.RUBBISH: "trouble:html",
    How.SLOW: "slow:400",
    How.LOST_AFTER: "trouble:cut",
}


class SimulatedUnderTest:
    """Numbers for names, and words of the simulator for what the contract asks."""

    def __init__(self, simulator: HttpSimulator[Any], refusals: Mapping[How, str]) -> None:
        self.simulator = simulator
        self._words = {**WAYS, **refusals}
        self._numbers: dict[str, str] = {}

    def address(self, name: str) -> str:
        return self._numbers.setdefault(name, f"+49151123450{len(self._numbers):02}")

    def behave(self, address: str, how: How) -> None:
        if how not in self._words:  # a request is written in one piece: it is there, or nothing is
            raise NotImplementedError
        self.simulator.settings.plans.will(address, self._words[how])

    def refuse_account(self) -> None:
        self.simulator.switch(GatewayMode.WRONG_PASSWORD)

    def taken(self) -> Sequence[str]:
        return [f"+{line.recipient}" for line in self.simulator.gateway.ledger.taken]


def account_at(simulator: HttpSimulator[Any], scheme: str, login: str, **options: str) -> Account:
    """The account as the configuration would have it."""
    base = quote(simulator.base_url, safe="")
    more = "".join(f"&{name}={quote(value, safe='')}" for name, value in options.items())
    (account,) = load_accounts({URL: f"{scheme}://{login}@/?base_url={base}{more}"})
    return account
