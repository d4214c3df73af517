"""Settings, messages and senders for a message centre."""

from __future__ import annotations

from typing import Any

from clinic_dispatch_plugin.api import Account, Content, GatewayUrl, OutgoingMessage
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_sms.settings import URL, load_accounts
from clinic_dispatch_sms.smpp.settings import SmppSettings, read_settings

PASSWORD = "canary"


def settings_of(options: str = "", *, login: str = f"clinic:{PASSWORD}@") -> SmppSettings:
    """The settings of such a URL."""
    url = GatewayUrl(URL, f"smpp://{login}smpp.example/?sender=Klinik&{options}")
    settings = read_settings(url)
    url.done()
    return settings


def a_message(number: int = 1, **changed: Any) -> OutgoingMessage:
    """A message; by default an ordinary one to a number that ends with ``number``."""
    values: dict[str, Any] = {
        "attempt_id": number,
        "attempt_key": f"attempt{number:019d}",
        "message_key": f"message{number:019d}",
        "address": f"+49151{20_000_000 + number}",
        "name": "Anna Berger",
        "content": Content(text="Bis Montag!"),
    }
    return OutgoingMessage(**{**values, **changed})


def messages(count: int) -> list[OutgoingMessage]:
    """That many, numbered from 1."""
    return [a_message(number) for number in range(1, count + 1)]


def channel_for(url: str, options: str = "") -> tuple[SmsChannel, Account]:
    """The channel as a clinic with this centre has it, and its account."""
    accounts = load_accounts({URL: f"{url}/?sender=Klinik&connect_timeout=5&{options}"})
    return SmsChannel(accounts), accounts[0]
