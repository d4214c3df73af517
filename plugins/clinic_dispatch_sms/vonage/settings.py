"""An account at Vonage, as its URL describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from clinic_dispatch_plugin.api import GatewayUrl
from clinic_dispatch_sms.called import callback_url, secret_from, with_secret
from clinic_dispatch_sms.http_gateway import HttpSettings, common_options

HOST = "rest.nexmo.com"
RECORDS = "https://api.nexmo.com"
METHODS = ("md5hash", "md5", "sha1", "sha256", "sha512")
#: Characters of a callback's address.
_LONGEST_CALLBACK = 100
_SENDER = re.compile(r"\+?[0-9]{3,15}|[A-Za-z0-9 ._&-]{1,11}")
_SHORTEST_LIFE, _LONGEST_LIFE = 20, 604_800


@dataclass(frozen=True, slots=True, kw_only=True)
class VonageSettings(HttpSettings):
    """A key with its secret, and how to use it."""

    #: Root of the server that keeps the records.
    records: str = RECORDS
    #: Whether records may be asked for: they cost money.
    asks_records: bool = True
    #: What receipts, and requests where we sign them, are signed with.
    signature_secret: str = field(default="", repr=False)
    #: ``md5hash``, or the hash of an HMAC.
    signature_method: str = "md5hash"
    #: Sign requests, instead of telling the secret in them.
    signs: bool = False
    #: Seconds in which the network may try to deliver; 0: as long as the gateway does by itself.
    validity: int = 0
    #: ISO 4217; the gateway reckons in it and names it nowhere.
    currency: str = "EUR"

    @property
    def report_to(self) -> str:
        """Where receipts go; without a signature the address holds the secret."""
        if self.signature_secret:
            return self.callback_url
        return with_secret(self.callback_url, self.callback_secret)


def read_settings(url: GatewayUrl) -> VonageSettings:
    """The settings in ``vonage://key:secret@rest.nexmo.com/?sender=Clinic``.

    :raises ConfigurationError: something is wrong or missing.
    """
    url.need_login("API key and API secret")
    site = url.site(HOST)
    root = url.base_url(f"https://{site}")
    sender = url.text("sender")
    if _SENDER.fullmatch(sender) is None:
        raise url.wrong("sender has at most 11 Latin letters and digits, or at most 15 digits.")
    validity = url.whole("validity", 0, lowest=0, highest=_LONGEST_LIFE)
    if 0 < validity < _SHORTEST_LIFE:
        raise url.wrong(f"validity is at least {_SHORTEST_LIFE} seconds, or 0 for the usual.")
    settings = VonageSettings(
        label=f"vonage {site}",
        root=root,
        records=RECORDS if root == f"https://{HOST}" else root,
        asks_records=url.switch("records", True),
        user=url.user,
        password=url.password,
        sender=sender.removeprefix("+"),
        callback_url=callback_url(url),
        callback_secret=url.text("callback_secret", secret_from(url.password, f"vonage {site}")),
        signature_secret=url.text("signature_secret"),
        signature_method=url.choice("signature_method", "md5hash", METHODS),
        signs=url.switch("sign", False),
        validity=validity,
        currency=url.text("currency", "EUR", longest=3),
        **common_options(url, connections=10),
    )
    if len(settings.report_to) > _LONGEST_CALLBACK:
        raise url.wrong("callback_url is too long: with its secret it may have 100 characters.")
    if settings.signs and not settings.signature_secret:
        raise url.wrong("sign=on needs signature_secret.")
    return settings
