"""An account at SMSC, as its URL describes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from clinic_dispatch_plugin.api import GatewayUrl
from clinic_dispatch_sms.gateway import GatewaySettings
from clinic_dispatch_sms.smsc.kinds import SmscKind, SmscTexts

#: Most numbers in one request; the gateway names no limit, so lists stay small.
MOST = 100
#: What the national sites reckon in; elsewhere the balance says it.
CURRENCIES = {"kz": "KZT", "ru": "RUB", "ua": "UAH", "by": "BYN"}
_SENDER = re.compile(r"[A-Za-z0-9 ._&!+-]{1,11}|[0-9]{1,15}|\.|")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmscSettings(GatewaySettings):
    """One login and how to use it. All times in seconds."""

    #: The site's root, without a slash at its end.
    root: str
    login: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    #: Instead of both.
    api_key: str = field(default="", repr=False)
    sender: str = ""
    #: What is sent, and how.
    kind: SmscKind = field(default_factory=SmscTexts)
    #: Numbers in one request at most.
    most: int = MOST
    #: ISO 4217; empty: the balance says it.
    currency: str = ""
    #: The secret by which the gateway signs what it calls back.
    callback_key: str = field(default="", repr=False)
    connect_timeout: float = 10.0
    timeout: float = 30.0
    ca_file: str | None = None
    #: A person typed where to: private networks it may be in.
    allowed: tuple[str, ...] | None = None

    @property
    def credentials(self) -> dict[str, str]:
        """The fields that say who asks."""
        if self.api_key:
            return {"apikey": self.api_key}
        return {"login": self.login, "psw": self.password}


def read_texts(url: GatewayUrl) -> SmscTexts:
    """The options that only texts have.

    :raises ConfigurationError: one of them is wrong.
    """
    sender_of(url, _SENDER, "at most 11 Latin letters and digits, or at most 15 digits")
    return SmscTexts(
        valid=url.whole("valid", 0, lowest=0, highest=24),
        transliteration=url.whole("translit", 0, lowest=0, highest=2),
    )


def sender_of(url: GatewayUrl, pattern: re.Pattern[str], words: str) -> str:
    """The option with the name or number that recipients see.

    :raises ConfigurationError: it does not fit the pattern.
    """
    sender = url.text("sender")
    if pattern.fullmatch(sender) is None:
        raise url.wrong(f"sender has {words}.")
    return sender


def read_settings(
    url: GatewayUrl, read_kind: Callable[[GatewayUrl], SmscKind] = read_texts
) -> SmscSettings:
    """The settings in ``smsc://login:password@smsc.kz/?sender=Clinic``.

    :param read_kind: takes the options of what is sent.
    :raises ConfigurationError: something is wrong or missing.
    """
    api_key = url.text("api_key")
    if not (api_key or (url.user and url.password)):
        raise url.wrong("login and password stand before the @, or api_key among the options.")
    if not url.host:
        raise url.wrong("name the site behind the @, such as smsc.kz.")
    root = url.base_url(f"https://{url.site()}")
    return SmscSettings(
        label=f"smsc {root.partition('://')[2]}",
        root=root,
        login=url.user,
        password=url.password,
        api_key=api_key,
        sender=url.text("sender"),
        kind=read_kind(url),
        most=url.whole("list", MOST, lowest=1, highest=500),
        currency=_currency(url),
        callback_key=url.text("callback_key"),
        rate=url.rate(),
        connections=url.whole("connections", 4, lowest=1, highest=14),
        connect_timeout=url.seconds("connect_timeout", 10.0),
        timeout=url.seconds("timeout", 30.0),
        ca_file=url.ca_file(),
        allowed=url.allowed,
    )


def _currency(url: GatewayUrl) -> str:
    known = CURRENCIES.get(url.host.rpartition(".")[2], "")
    currency = url.text("currency", known)
    if currency and re.fullmatch("[A-Z]{3}", currency) is None:
        raise url.wrong("currency has three capital letters, such as KZT.")
    return currency
