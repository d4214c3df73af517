"""The channel's one variable: a URL for each account, the first one first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clinic_dispatch_plugin.api import (
    Account,
    ConfigurationError,
    GatewayUrl,
    account_keys,
    split_urls,
)
from clinic_dispatch_sms.gateway import Gateway, GatewaySettings
from clinic_dispatch_sms.gateways import GATEWAYS

URL = "CLINIC_DISPATCH_SMS_URL"
CHANNEL = "sms"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsSettings:
    """An account's gateway and what it needs."""

    gateway: Gateway
    of_gateway: GatewaySettings


def load_accounts(config: Mapping[str, Any]) -> Sequence[Account]:
    """The accounts in their order; empty where none is configured.

    :raises ConfigurationError: one of them is wrong.
    """
    urls = [_url(text) for text in split_urls(config.get(URL))]
    return [_account(key, url) for key, url in account_keys(urls).items()]


def _url(text: str) -> GatewayUrl:
    gateway = GATEWAYS.get(text.partition("://")[0].lower())
    if gateway is None:
        schemes = ", ".join(f"{scheme}://" for scheme in GATEWAYS)
        examples = next(iter(GATEWAYS.values())).example
        advice = f"begin with one of {schemes} such as {examples}"
        raise ConfigurationError.of_url(URL, text, advice)
    return GatewayUrl(URL, text, example=gateway.example)


def _account(key: str, url: GatewayUrl) -> Account:
    gateway = GATEWAYS[url.scheme]
    settings = gateway.read(url)
    url.done()
    return Account(
        channel=CHANNEL,
        key=key,
        label=settings.label,
        settings=SmsSettings(gateway=gateway, of_gateway=settings),
        rate=settings.rate,
        connections=settings.connections,
    )
