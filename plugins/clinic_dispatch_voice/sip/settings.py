"""An account at an exchange that speaks SIP, as its URL describes it."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field

from clinic_dispatch_plugin.api import GatewayUrl
from clinic_dispatch_voice.exchange.settings import CallSettings, read_calls

PORT, TLS_PORT = 5060, 5061
_NAME = re.compile(r"[\w.+-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SipSettings(CallSettings):
    """The account, and how it is reached."""

    host: str
    port: int
    #: ``udp``, ``tcp`` or ``tls``.
    transport: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    #: What stands behind the @ of numbers.
    domain: str
    #: Whether that number is the From, or a P-Asserted-Identity (RFC 3325) beside the user.
    identity: str = "from"
    ca_file: str | None = None
    #: The first retransmission over UDP (T1, RFC 3261 section 17.1.1.1).
    first_repeat: float = 0.5

    @property
    def scheme(self) -> str:
        """How addresses begin."""
        return "sips" if self.transport == "tls" else "sip"

    def target(self, address: str) -> str:
        """Who is called, as a URI."""
        return f"{self.scheme}:{self.dialled(address)}@{self.domain}"


def read_settings(url: GatewayUrl) -> SipSettings:
    """The settings in ``sip://user:password@exchange.example/?sender=%2B493012345678``.

    :raises ConfigurationError: something is wrong or missing.
    """
    if not url.host:
        raise url.wrong("name the exchange behind the @.")
    if (url.user or url.password) and not _NAME.fullmatch(url.user):
        raise url.wrong("the user name has at most 64 letters, digits and . + - _.")
    tls = url.scheme == "sips"
    port = url.port or (TLS_PORT if tls else PORT)
    return SipSettings(
        label=f"{url.scheme} {url.host}:{port}",
        host=url.host,
        port=port,
        transport="tls" if tls else url.choice("transport", "udp", ("udp", "tcp")),
        user=url.user,
        password=url.password,
        domain=_word(url, "domain") or (f"[{url.host}]" if ":" in url.host else url.host),
        identity=url.choice("identity", "from", ("from", "pai")),
        ca_file=url.ca_file() if tls else None,
        **read_calls(url),
    )


def client_tls(settings: SipSettings) -> ssl.SSLContext:
    """How the exchange is proved: its certificate's chain and name, TLS 1.2 or newer.

    :raises OSError: the file with certificates cannot be read.
    """
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _word(url: GatewayUrl, name: str) -> str:
    text = url.text(name, longest=100)
    if text and not re.fullmatch(r"[\w.-]+", text):
        raise url.wrong(f"{name} is a host's name, such as klinik.example.")
    return text
