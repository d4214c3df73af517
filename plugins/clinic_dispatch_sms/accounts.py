"""A channel's one variable: a URL for each account, whose scheme names the gateway."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayAccount:
    """An account's gateway and what it needs."""

    gateway: Gateway
    of_gateway: GatewaySettings


def accounts_of(
    config: Mapping[str, Any], setting: str, channel: str, gateways: Mapping[str, Gateway]
) -> Sequence[Account]:
    """The accounts in their order; empty where none is configured.

    :param setting: the variable's name.
    :param gateways: by scheme; the first one is the example for whoever writes something else.
    :raises ConfigurationError: one of them is wrong.
    """
    urls = [_url(setting, text, gateways) for text in split_urls(config.get(setting))]
    return [
        _account(key, url, channel, gateways[url.scheme]) for key, url in account_keys(urls).items()
    ]


def account_at(
    text: str,
    channel: str,
    gateways: Mapping[str, Gateway],
    *,
    key: str,
    allowed: Sequence[str],
) -> Account:
    """The account a person set up with this URL.

    :param allowed: private networks and hosts it may be in.
    :raises ConfigurationError: something is wrong or missing.
    """
    url = _url("url", text, gateways, allowed=allowed)
    return _account(key, url, channel, gateways[url.scheme])


def _url(
    setting: str,
    text: str,
    gateways: Mapping[str, Gateway],
    *,
    allowed: Sequence[str] | None = None,
) -> GatewayUrl:
    gateway = gateways.get(text.partition("://")[0].lower())
    if gateway is None:
        schemes = ", ".join(f"{scheme}://" for scheme in gateways)
        examples = next(iter(gateways.values())).example
        advice = f"begin with one of {schemes} such as {examples}"
        raise ConfigurationError.of_url(setting, text, advice)
    return GatewayUrl(setting, text, example=gateway.example, allowed=allowed)


def _account(key: str, url: GatewayUrl, channel: str, gateway: Gateway) -> Account:
    settings = gateway.read(url)
    purposes = url.purposes()
    url.done()
    return Account(
        channel=channel,
        key=key,
        label=settings.label,
        settings=GatewayAccount(gateway=gateway, of_gateway=settings),
        rate=settings.rate,
        connections=settings.connections,
        purposes=purposes,
    )
