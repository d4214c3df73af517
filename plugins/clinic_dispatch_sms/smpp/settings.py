"""One message centre and how to treat it, read from its URL and checked before a text is sent."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from clinic_dispatch_plugin.api import GatewayUrl
from clinic_dispatch_sms.gateway import GatewaySettings

#: The registered port, and one that providers often use for TLS.
PORT, TLS_PORT = 2775, 3550
#: What to ask for (registered_delivery, 5.2.17).
_REGISTERED = {"all": 1, "failures": 2, "off": 0}


class Source(NamedTuple):
    """Who a text is from, with kind and plan of the number (5.2.5, 5.2.6)."""

    ton: int
    npi: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SmppSettings(GatewaySettings):
    """One account at a centre. All times in seconds."""

    host: str
    port: int
    system_id: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    system_type: str = ""
    source: Source
    dest_ton: int = 1
    dest_npi: int = 1
    #: Whether the recipient's number keeps its plus sign.
    plus: bool = False
    tls: bool = False
    #: Certificates to trust instead of the system's.
    ca_file: str | None = None
    #: Texts (parts of them) that may be under way without an answer.
    window: int = 10
    #: Links one worker holds: providers count them, and one link with a window is fast enough.
    connections: int = 1
    connect_timeout: float = 10.0
    #: For each answer.
    timeout: float = 60.0
    #: Silence after which the centre is asked whether it still lives.
    enquire: float = 30.0
    #: Seconds a text may be asked to wait by the centre before it is given back.
    throttle: float = 20.0
    #: Hours after which the centre gives up; 0: the centre's own time.
    validity: int = 0
    #: Which receipts to ask for.
    receipts: str = "all"
    #: How a long text travels: ``udh``, ``udh16``, ``sar``, ``payload``.
    long: str = "udh"
    #: What data_coding 0 means at this centre: ``gsm`` or ``latin1``.
    alphabet: str = "gsm"
    #: Whose list the receipts' err follows: ``own`` (the provider's), ``common``, ``map``.
    errors: str = "own"
    #: The provider's own optional parameter that carries our key and comes back in receipts; 0: none.
    key_tlv: int = 0
    #: A person typed where to: private networks and hosts it may be in.
    allowed: tuple[str, ...] | None = None

    @property
    def registered_delivery(self) -> int:
        """The field of submit_sm (5.2.17)."""
        return _REGISTERED[self.receipts]

    def destination(self, address: str) -> str:
        """A normalised number as the centre takes it."""
        return address if self.plus else address.removeprefix("+")


def read_settings(url: GatewayUrl) -> SmppSettings:
    """The settings in ``smpp://system_id:password@smpp.provider.example/?sender=Clinic``.

    :raises ConfigurationError: something is wrong or missing.
    """
    tls = url.switch("tls", False)
    host, port, tls = _place(url, tls=tls)
    return SmppSettings(
        label=f"smpp {host}:{port}",
        host=host,
        port=port,
        system_id=_login(url, url.user, "system_id", most=15),
        password=_login(url, url.password, "password", most=64),
        system_type=_short_text(url, "system_type", most=12),
        source=_source(url),
        dest_ton=url.whole("dest_ton", 1, lowest=0, highest=6),
        dest_npi=url.whole("dest_npi", 1, lowest=0, highest=18),
        plus=url.switch("plus", False),
        tls=tls,
        ca_file=url.ca_file(),
        window=url.whole("window", 10, lowest=1, highest=1_000),
        # Each sender has one; the option says how many there may be over all workers.
        connections=min(1, url.whole("connections", 1, lowest=1, highest=100)),
        rate=url.rate(),
        connect_timeout=url.seconds("connect_timeout", 10.0),
        timeout=url.seconds("timeout", 60.0),
        enquire=url.seconds("enquire", 30.0),
        throttle=url.seconds("throttle", 20.0),
        validity=url.whole("validity", 0, lowest=0, highest=24 * 7),
        receipts=url.choice("receipts", "all", tuple(_REGISTERED)),
        long=url.choice("long", "udh", ("udh", "udh16", "sar", "payload")),
        alphabet=url.choice("alphabet", "gsm", ("gsm", "latin1")),
        errors=url.choice("errors", "own", ("own", "common", "map")),
        key_tlv=_provider_tlv(url),
        allowed=url.allowed,
    )


def client_tls(settings: SmppSettings) -> ssl.SSLContext:
    """How the centre is proved: its certificate's chain and name, TLS 1.2 or newer.

    :raises OSError: the file with certificates cannot be read.
    """
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _place(url: GatewayUrl, *, tls: bool) -> tuple[str, int, bool]:
    """Host, port and whether TLS begins at the first byte; the protocol knows no STARTTLS."""
    elsewhere = urlsplit(url.base_url(""))
    if elsewhere.path:
        raise url.wrong("base_url is a message centre's host and port; nothing stands behind them.")
    if elsewhere.hostname:
        tls = tls or elsewhere.scheme == "https"
        return elsewhere.hostname, elsewhere.port or (TLS_PORT if tls else PORT), tls
    if not url.host:
        raise url.wrong("name the message centre behind the @.")
    return url.host, url.port or (TLS_PORT if tls else PORT), tls


def _login(url: GatewayUrl, value: str, name: str, *, most: int) -> str:
    if not value.isascii() or not value.isprintable() or len(value) > most:
        raise url.wrong(f"{name} has at most {most} letters, digits and other ASCII characters.")
    return value


def _short_text(url: GatewayUrl, name: str, *, most: int) -> str:
    text = url.text(name, longest=most)
    if not text.isascii():
        raise url.wrong(f"{name} has at most {most} ASCII characters.")
    return text


def _source(url: GatewayUrl) -> Source:
    """Who the texts are from: a name, a number, or a short number, told apart by their looks."""
    text = url.text("sender").strip()
    digits = text.removeprefix("+")
    if not text:
        raise url.wrong("say who the texts are from, such as sender=Clinic.")
    if not (digits.isascii() and digits.isdigit()):
        if len(text) > 11 or not text.isascii():
            raise url.wrong("sender is a name of at most 11 ASCII characters, or a number.")
        ton, npi = 5, 0
    else:
        if len(digits) > 20:
            raise url.wrong("sender is a number of at most 20 digits.")
        text, (ton, npi) = digits, (3, 0) if len(digits) <= 6 else (1, 1)
    return Source(
        ton=url.whole("source_ton", ton, lowest=0, highest=6),
        npi=url.whole("source_npi", npi, lowest=0, highest=18),
        text=text,
    )


def _provider_tlv(url: GatewayUrl) -> int:
    text = url.text("key_tlv", longest=6)
    try:
        tag = int(text, 16) if text else 0
    except ValueError:
        tag = -1
    if tag and not 0x1400 <= tag <= 0x3FFF:
        raise url.wrong("key_tlv is a parameter of the provider's own, 0x1400 to 0x3FFF.")
    return tag
