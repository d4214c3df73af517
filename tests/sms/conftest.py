"""Messages for a gateway, and a simulated SMSC that answers by their numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from clinic_dispatch_plugin.api import OutgoingMessage
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.smsc import SmscGateway
from clinic_dispatch_plugin.testing.messages import make_message
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_sms.settings import URL, load_accounts

Smsc = HttpSimulator[SmscGateway]
SECRET = "signed-with-this"

_numbers = itertools.count(1_000_000)


def a_number(words: str = "", *, at: Smsc | None = None) -> str:
    """A number nobody had before, and what the simulator is to do with it."""
    number = f"+7701{next(_numbers)}"
    if at is not None:
        at.settings.plans.will(number, words)
    return number


def a_message(
    words: str = "", *, at: Smsc | None = None, text: str = "Bis Montag!"
) -> OutgoingMessage:
    """A message to such a number."""
    return make_message(a_number(words, at=at), text=text)


def channel_at(root: str, *options: str) -> SmsChannel:
    """The channel with one account at this server."""
    several = "&".join([f"base_url={quote(root, safe='')}", "timeout=1", *options])
    url = f"smsc://clinic:secret@smsc.kz/?sender=Clinic&callback_key={SECRET}&{several}"
    return SmsChannel(load_accounts({URL: url}))


@pytest.fixture(scope="module")
def smsc_of_the_module() -> Iterator[Smsc]:
    with HttpSimulator(SmscGateway, GatewaySettings(currency="KZT")) as simulator:
        yield simulator


@pytest.fixture
def smsc(smsc_of_the_module: Smsc) -> Smsc:
    """Well again, whatever the test before did to it."""
    smsc_of_the_module.switch(GatewayMode.NORMAL)
    return smsc_of_the_module
