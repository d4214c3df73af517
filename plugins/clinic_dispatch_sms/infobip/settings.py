"""An account at Infobip, as its URL describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_dispatch_plugin.api import GatewayUrl
from clinic_dispatch_sms.called import callback_url, secret_from
from clinic_dispatch_sms.http_gateway import HttpSettings, common_options

HOST = "api.infobip.com"
#: Messages in one request; the gateway names no limit, so lists stay small.
MOST = 100
TRANSLITERATIONS = (
    "NONE",
    "TURKISH",
    "GREEK",
    "CYRILLIC",
    "SERBIAN_CYRILLIC",
    "BULGARIAN_CYRILLIC",
    "CENTRAL_EUROPEAN",
    "BALTIC",
    "NON_UNICODE",
    "PORTUGUESE",
    "COLOMBIAN",
    "ALL",
)
LANGUAGES = ("NONE", "TR", "ES", "PT", "AUTODETECT")
_SENDER = re.compile(r"\+?[0-9]{3,14}|[A-Za-z0-9 ._&-]{3,11}")


@dataclass(frozen=True, slots=True, kw_only=True)
class InfobipSettings(HttpSettings):
    """An API key, or a user with a password, and how to use it."""

    #: Messages in one request at most.
    most: int = MOST
    #: Minutes in which the network may try to deliver; 0: as long as the gateway does by itself.
    validity: int = 0
    transliteration: str = "NONE"
    #: Which national alphabet saves parts.
    language: str = "NONE"

    @property
    def authorization(self) -> Mapping[str, str]:
        """The header that says who asks."""
        return self.basic if self.user else {"Authorization": f"App {self.password}"}


def read_settings(url: GatewayUrl) -> InfobipSettings:
    """The settings in ``infobip://key@id.api.infobip.com/?sender=Clinic``.

    :raises ConfigurationError: something is wrong or missing.
    """
    sender = url.text("sender")
    if _SENDER.fullmatch(sender) is None:
        raise url.wrong("sender has 3 to 11 Latin letters and digits, or 3 to 14 digits.")
    return InfobipSettings(
        sender=sender.removeprefix("+"),
        validity=url.whole("validity", 0, lowest=0, highest=48 * 60),
        transliteration=url.choice("transliteration", "NONE", TRANSLITERATIONS),
        language=url.choice("language", "NONE", LANGUAGES),
        **account_of(url),
    )


def account_of(url: GatewayUrl) -> dict[str, Any]:
    """What is the account's, whatever it sends.

    :raises ConfigurationError: something is wrong or missing.
    """
    # A key alone may stand on either side of the colon.
    user, password = (url.user, url.password) if url.user and url.password else ("", "")
    key = password or url.user or url.password
    if not key:
        raise url.wrong("an API key stands before the @, or user:password.")
    site = url.site(HOST)
    return {
        "label": f"infobip {site}",
        "root": url.base_url(f"https://{site}"),
        "user": user,
        "password": key,
        "callback_url": callback_url(url),
        "callback_secret": url.text("callback_secret", secret_from(key, f"infobip {site}")),
        "most": url.whole("list", MOST, lowest=1, highest=500),
        **common_options(url, connections=4),
    }
