"""The relays of the configuration and of the settings page as accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clinic_dispatch_email.settings import (
    FROM,
    OF_ACCOUNT,
    URL,
    EmailSettings,
    load_settings,
    read_settings,
)
from clinic_dispatch_plugin.api import (
    Account,
    FieldKind,
    GatewayForm,
    GatewayUrl,
    SettingField,
    account_keys,
    limit_fields,
    port_field,
    split_urls,
)

CHANNEL = "email"
_LOGIN = (
    SettingField(key="user", label="Login", required=True),
    SettingField(key="password", label="Password", kind=FieldKind.SECRET, required=True),
)
_PLACE = (
    SettingField(key="host", label="Server", hint="Such as mail.clinic.example.", required=True),
    port_field(),
)
_FROM = SettingField(
    key="from",
    label="Sender",
    hint="Whom mails come from, such as Clinic <post@clinic.example>.",
    required=True,
)
#: One for each way to encrypt; the usual one first.
FORMS = (
    GatewayForm(
        scheme="smtp+starttls",
        label="Mail server with log-in (STARTTLS, port 587)",
        fields=(*_PLACE, *_LOGIN, _FROM, *limit_fields()),
    ),
    GatewayForm(
        scheme="smtps",
        label="Mail server with log-in (TLS, port 465)",
        fields=(*_PLACE, *_LOGIN, _FROM, *limit_fields()),
    ),
    GatewayForm(
        scheme="smtp",
        label="Mail server without log-in (port 25)",
        fields=(*_PLACE, _FROM, *limit_fields()),
    ),
)


def load_accounts(config: Mapping[str, Any]) -> Sequence[Account]:
    """The relays in the order of the variable.

    :raises ConfigurationError: something is wrong or missing.
    """
    urls = split_urls(config.get(URL))
    if len(urls) < 2:
        settings = load_settings(config)
        purposes = _purposes(urls[0]) if urls else frozenset()
        key = next(iter(account_keys([GatewayUrl(URL, urls[0])]))) if urls else ""
        return [] if settings is None else [account_of(settings, key=key, purposes=purposes)]
    keys = account_keys([GatewayUrl(URL, each) for each in urls])
    return [
        account_of(read_settings(url, sender=config.get(FROM)), key=key, purposes=_purposes(url))
        for key, url in zip(keys, urls, strict=True)
    ]


def account_of(
    settings: EmailSettings, *, key: str = "default", purposes: frozenset[str] = frozenset()
) -> Account:
    """The account with these settings."""
    return Account(
        channel=CHANNEL,
        key=key,
        label=settings.label,
        settings=settings,
        rate=settings.rate,
        connections=settings.connections,
        connection_limit=settings.connection_limit,
        purposes=purposes,
    )


def _purposes(url: str) -> frozenset[str]:
    assert "purposes" in OF_ACCOUNT
    return GatewayUrl(URL, url).purposes()
