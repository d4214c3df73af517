"""Balance and cost of each gateway against its simulator: in decimals, in the gateway's currency, and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    Account,
    ChannelError,
    Money,
    OutgoingMessage,
)
from clinic_dispatch_plugin.simulators.gateways.infobip import InfobipGateway
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.smsc import SmscGateway
from clinic_dispatch_plugin.simulators.gateways.twilio import TwilioGateway
from clinic_dispatch_plugin.simulators.gateways.vonage import VonageGateway
from clinic_dispatch_plugin.testing.batches import ListBatch
from clinic_dispatch_sms.accounts import accounts_of
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_sms.gateways import GATEWAYS as GATEWAYS_OF_TEXTS
from tests.sms.conftest import a_message

GATEWAYS = {
    "smsc": SmscGateway,
    "twilio": TwilioGateway,
    "infobip": InfobipGateway,
    "vonage": VonageGateway,
}


@pytest.fixture(params=sorted(GATEWAYS))
def named(request: pytest.FixtureRequest) -> Iterator[tuple[str, HttpSimulator[Any], SmsChannel]]:
    kind: Any = GATEWAYS[request.param]
    settings = GatewaySettings(user="AC1", password="pw", price=Decimal("0.0731"))
    with HttpSimulator(kind, settings) as simulator:
        account = at(simulator, request.param, "pw")
        yield request.param, simulator, SmsChannel([account])


def at(simulator: HttpSimulator[Any], scheme: str, password: str) -> Account:
    base = quote(simulator.base_url, safe="")
    url = f"{scheme}://AC1:{password}@gateway.example/?sender=Klinik&timeout=3&base_url={base}"
    [found] = accounts_of({"SMS": url}, "SMS", "sms", GATEWAYS_OF_TEXTS)
    return found


def eur(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="EUR")


def texts() -> list[OutgoingMessage]:
    return [a_message(text="kurz"), a_message(text="lang " * 40)]  # one part and two


def test_the_balance_is_exact_and_in_the_gateways_currency(named: Any) -> None:
    _, _, channel = named
    [account] = channel.accounts()
    assert channel.tells_money(account).balance
    with channel.open(account) as sender:
        assert sender.balance() == eur("100.00")


def test_an_empty_account_is_empty_and_not_unknown(named: Any) -> None:
    _, simulator, channel = named
    simulator.gateway.mode = GatewayMode.NO_BALANCE
    with channel.open(channel.accounts()[0]) as sender:
        left = sender.balance()
    assert left is not None
    assert left.amount == 0


def test_the_cost_beforehand_counts_parts_and_sends_nothing(named: Any) -> None:
    name, simulator, channel = named
    [account] = channel.accounts()
    with channel.open(account) as sender:
        cost = sender.price(texts())
    assert simulator.gateway.held == {}
    assert channel.tells_money(account).price == (cost is not None)
    assert cost == (None if name == "infobip" else eur("0.2193"))


def test_the_price_is_said_when_it_is_taken_or_when_it_is_asked_for(named: Any) -> None:
    name, _, channel = named
    messages = texts()
    with channel.open(channel.accounts()[0]) as sender:
        results = {each.attempt_id: each for each in sender.send(ListBatch(messages))}
        taken = [results[each.attempt_id] for each in messages]
        assert all(isinstance(each, Accepted) for each in taken)
        at_once = [each.price for each in taken if isinstance(each, Accepted)]
        if name == "twilio":  # its price comes later
            assert at_once[0] is None
        elif name != "infobip":
            wanted = [eur("0.0731"), eur("0.1462")]
            if name == "smsc":  # the one site of the simulator names no country's currency
                wanted = [each for each in wanted if at_once[0] is not None]
                at_once = [each for each in at_once if each is not None]
            assert at_once == wanted


def test_a_gateway_that_does_not_answer_is_an_error_and_no_price(named: Any) -> None:
    _, simulator, channel = named
    account = at(simulator, named[0], "wrong")
    with channel.open(account) as sender, pytest.raises(ChannelError):
        sender.balance()


def test_numbers_are_told_apart_by_country_and_operator(named: Any) -> None:
    _, _, channel = named
    assert channel.tariff("+77011234567").startswith("KZ")
    assert channel.tariff("+4915112345678").startswith("DE")
    assert channel.tariff("nobody") == ""
