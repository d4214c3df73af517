"""An account at Twilio, as its URL describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from clinic_dispatch_plugin.api import GatewayUrl
from clinic_dispatch_sms.called import callback_url
from clinic_dispatch_sms.http_gateway import HttpSettings, common_options

HOST = "api.twilio.com"
PRICES = "https://pricing.twilio.com"
_SENDER = re.compile(r"\+?[0-9]{3,15}|MG[0-9a-f]{32}|(?=.*[A-Za-z])[A-Za-z0-9 +&_-]{1,11}")
_ACCOUNT = re.compile(r"[A-Za-z0-9]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioSettings(HttpSettings):
    """An account or one of its API keys, and how to use it."""

    #: The account's SID: the user name, unless that is an API key's.
    account_sid: str
    #: What reports are signed with: the account's own token, never an API key's secret.
    auth_token: str = field(default="", repr=False)
    #: Root of the server that knows the prices.
    prices: str = PRICES
    #: Seconds in which the network may try to deliver; 0: as long as the gateway does by itself.
    validity: int = 0
    #: Let the gateway replace look-alike letters that would make a message dearer.
    smart_encoding: bool = False

    @property
    def address(self) -> str:
        """Where everything of the account is."""
        return f"{self.root}/2010-04-01/Accounts/{self.account_sid}"


def read_settings(url: GatewayUrl) -> TwilioSettings:
    """The settings in ``twilio://AC…:token@api.twilio.com/?sender=+15005550006``.

    :raises ConfigurationError: something is wrong or missing.
    """
    sender = url.text("sender")
    if _SENDER.fullmatch(sender) is None:
        advice = "a number, at most 11 Latin letters and digits, or a messaging service (MG…)"
        raise url.wrong(f"sender is {advice}; write + as %2B.")
    return TwilioSettings(
        sender=sender,
        validity=url.whole("validity", 0, lowest=0, highest=36_000),
        smart_encoding=url.switch("smart_encoding", False),
        **account_of(url),
    )


def account_of(url: GatewayUrl) -> dict[str, Any]:
    """What is the account's, whatever it sends.

    :raises ConfigurationError: something is wrong or missing.
    """
    url.need_login("account SID (or API key) and its token")
    site = url.site(HOST)
    root = url.base_url(f"https://{site}")
    account = url.text("account_sid", "" if url.user.startswith("SK") else url.user)
    if _ACCOUNT.fullmatch(account) is None:
        raise url.wrong("with an API key, account_sid names the account (AC…).")
    is_key = account != url.user
    return {
        "label": f"twilio {site}",
        "root": root,
        "prices": PRICES if root == f"https://{HOST}" else root,
        "user": url.user,
        "password": url.password,
        "account_sid": account,
        "auth_token": url.text("auth_token", "" if is_key else url.password),
        "callback_url": callback_url(url),
        **common_options(url, connections=10),
    }
