"""One message centre and how to treat it, read from its URL and checked before a text is sent."""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

EXAMPLE = "smpp://system_id:password@smpp.provider.example:2775?sender=Clinic"
PORTS = {"smpp": 2775, "smpps": 3550}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmppSettings:
    """One account at a centre. All times in seconds."""

    host: str
    port: int
    system_id: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    system_type: str = ""
    #: Who the text is from: a name of up to 11 characters, or a number.
    sender: str = ""
    #: Kind and plan of the sender and of the recipient's number; None: chosen by what the sender looks like.
    source_ton: int | None = None
    source_npi: int | None = None
    dest_ton: int = 1
    dest_npi: int = 1
    #: Whether the recipient's number keeps its plus sign.
    plus: bool = False
    tls: bool = False
    #: Certificates to trust instead of the system's.
    ca_file: str | None = None
    #: Texts (parts of them) that may be under way without an answer.
    window: int = 10
    #: Texts (parts) a second; None: no limit.
    rate: float | None = None
    connect_timeout: float = 10.0
    #: For each answer.
    timeout: float = 60.0
    #: Silence after which the centre is asked whether it still lives.
    enquire: float = 30.0
    #: Seconds a text may be asked to wait by the centre before it is given back.
    throttle: float = 20.0
    #: Hours after which the centre gives up; 0: the centre's own time.
    validity: float = 0.0
    #: Which receipts to ask for.
    receipts: str = "all"
    #: How a long text travels: ``udh``, ``udh16``, ``sar``, ``payload``.
    long: str = "udh"
    #: What data_coding 0 means at this centre: ``gsm`` or ``latin1``.
    alphabet: str = "gsm"
    #: Whose list the receipts' err follows (``common``, ``map``); empty: the provider's own.
    errors: str = ""
    #: The provider's own optional parameter that carries our key and comes back in receipts; 0: none.
    key_tlv: int = 0

    @property
    def label(self) -> str:
        """What pages and logs may show."""
        return f"smpp {self.host}:{self.port}"

    @property
    def registered_delivery(self) -> int:
        """The field of submit_sm (5.2.17)."""
        return {"all": 1, "failures": 2, "off": 0}[self.receipts]

    @property
    def source(self) -> tuple[int, int, str]:
        """Kind, plan and text of the sender (5.2.5, 5.2.6)."""
        digits = self.sender.removeprefix("+")
        if not digits.isdigit():
            ton, npi, text = 5, 0, self.sender
        elif len(digits) <= 6:
            ton, npi, text = 3, 0, digits
        else:
            ton, npi, text = 1, 1, digits
        return (
            ton if self.source_ton is None else self.source_ton,
            npi if self.source_npi is None else self.source_npi,
            text,
        )

    def destination(self, address: str) -> str:
        """A normalised number as the centre takes it."""
        return address if self.plus else address.removeprefix("+")


def read_url(url: str) -> SmppSettings:
    """Read an account's URL.

    :raises ValueError: what is wrong with it and what to write instead; it holds no secret.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"host or port cannot be read; write something like {EXAMPLE}.") from None
    if parts.scheme not in PORTS or not host or port == 0:
        raise ValueError(f"name the message centre; write something like {EXAMPLE}.")
    if parts.path.strip("/") or parts.fragment:
        raise ValueError(
            "write / ? # @ : and % inside system_id or password as %2F %3F %23 %40 %3A and %25."
        )
    found = _options(parts.query)
    # base_url points elsewhere, for trials; what it names is a host and a port.
    base = urlsplit(found.pop("base_url", ""))
    if base.hostname:
        host, port = base.hostname, base.port or port
    if parts.scheme == "smpps":
        found["tls"] = True
    settings = SmppSettings(
        host=host,
        port=port or PORTS["smpps" if found.get("tls") else "smpp"],
        system_id=_login(parts.username, "system_id", most=15),
        password=_login(parts.password, "password", most=64),
        **found,
    )
    _check_sender(settings)
    return settings


def client_tls(settings: SmppSettings) -> ssl.SSLContext:
    """How the centre is proved: its certificate's chain and name, TLS 1.2 or newer.

    :raises OSError: the file with certificates cannot be read.
    """
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _login(value: str | None, name: str, *, most: int) -> str:
    text = unquote(value or "")
    if not text.isprintable() or not text.isascii():
        raise ValueError(f"the {name} holds characters that SMPP cannot carry.")
    if len(text) > most:
        raise ValueError(f"the {name} has at most {most} characters.")
    return text


def _check_sender(settings: SmppSettings) -> None:
    ton, _, text = settings.source
    if not text:
        raise ValueError("say who the texts are from: sender=Clinic or sender=%2B491511234567.")
    if ton == 5 and (len(text) > 11 or not text.isascii() or not text.isprintable()):
        raise ValueError("sender is a name of up to 11 letters and digits, or a number.")
    if len(text) > 20:
        raise ValueError("sender is a number of up to 20 digits.")


def _options(query: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        read = _OPTIONS.get(key)
        if read is None:
            raise ValueError(f"{key[:40]!r} is no option; there are: {', '.join(_OPTIONS)}.")
        if key in found:
            raise ValueError(f"{key} stands there twice; write it once.")
        try:
            found[key] = read(value)
        except ValueError as error:
            raise ValueError(f"{key} is {value[:100]!r}: {error}.") from None
    return found


def _number(lowest: float, highest: float) -> Callable[[str], float]:
    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not lowest <= number <= highest:
            raise ValueError(f"give a number from {lowest:g} to {highest:g}")
        return number

    return read


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not (value.isascii() and value.isdigit() and lowest <= int(value[:9]) <= highest):
            raise ValueError(f"give a whole number from {lowest} to {highest}")
        return int(value)

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in words:
            raise ValueError(f"write one of {', '.join(words)}")
        return value

    return read


def _switch(value: str) -> bool:
    if value.lower() in {"on", "1", "true", "yes"}:
        return True
    if value.lower() in {"off", "0", "false", "no"}:
        return False
    raise ValueError("write on or off")


def _ca_file(value: str) -> str:
    try:
        ssl.create_default_context(cafile=value)
    except OSError as error:
        why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ValueError(f"give the path of a PEM file with certificates ({why})") from None
    return value


def _provider_tlv(value: str) -> int:
    try:
        tag = int(value, 16)
    except ValueError:
        tag = 0
    if not 0x1400 <= tag <= 0x3FFF:
        raise ValueError("give the provider's own parameter, 0x1400 to 0x3FFF")
    return tag


def _elsewhere(value: str) -> str:
    parts = urlsplit(value)
    if parts.hostname is None or parts.port == 0:
        raise ValueError("give host and port of another server, such as http://127.0.0.1:2775")
    return value


def _sender(value: str) -> str:
    return value.strip()


def _system_type(value: str) -> str:
    if len(value) > 12 or not value.isascii() or not value.isprintable():
        raise ValueError("give at most 12 letters and digits")
    return value


_OPTIONS: dict[str, Callable[[str], Any]] = {
    "sender": _sender,
    "base_url": _elsewhere,
    "system_type": _system_type,
    "source_ton": _whole(0, 6),
    "source_npi": _whole(0, 18),
    "dest_ton": _whole(0, 6),
    "dest_npi": _whole(0, 18),
    "plus": _switch,
    "tls": _switch,
    "ca_file": _ca_file,
    "window": _whole(1, 1_000),
    "rate": _number(0.01, 1e6),
    "connect_timeout": _number(0.1, 600),
    "timeout": _number(0.1, 600),
    "enquire": _number(0.1, 3_600),
    "throttle": _number(0, 600),
    "validity": _number(0, 24 * 7),
    "receipts": _one_of("all", "failures", "off"),
    "long": _one_of("udh", "udh16", "sar", "payload"),
    "alphabet": _one_of("gsm", "latin1"),
    "errors": _one_of("", "common", "map"),
    "key_tlv": _provider_tlv,
}
