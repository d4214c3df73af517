"""A channel's one variable: a URL for each account, whose scheme names the gateway."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clinic_dispatch_plugin.api import (
    Account,
    ConfigurationError,
    GatewayUrl,
    Money,
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
    cap_day, cap_month, price = url.money("cap_day"), url.money("cap_month"), _price(url, settings)
    if (cap_day or cap_month) and not (price or gateway.capabilities.price):
        raise url.wrong(
            "the gateway does not say beforehand what a message costs, so a cap needs to know: "
            "write what one part costs, such as price=0.05&price_currency=EUR."
        )
    url.done()
    return Account(
        channel=channel,
        key=key,
        label=settings.label,
        settings=GatewayAccount(gateway=gateway, of_gateway=settings),
        rate=settings.rate,
        connections=settings.connections,
        connection_limit=_connection_limit(url),
        purposes=purposes,
        cap_day=cap_day,
        cap_month=cap_month,
        part_price=price,
    )


def _connection_limit(url: GatewayUrl) -> int | None:
    """What the clinic allows over all workers; an exchange has calls instead of connections."""
    given = [name for name in ("connections", "calls") if url.given(name)]
    return url.whole(given[0], 1, lowest=1, highest=500) if given else None


def _price(url: GatewayUrl, settings: GatewaySettings) -> Money | None:
    """What one part costs, where the clinic says so itself."""
    known = getattr(settings, "currency", "")
    amount, currency = url.money("price"), url.text("price_currency", known)
    if amount is None:
        return None
    if re.fullmatch("[A-Z]{3}", currency) is None:
        raise url.wrong("beside price, price_currency has three capital letters, such as EUR.")
    return Money(amount=amount, currency=currency)
