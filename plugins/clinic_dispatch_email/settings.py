"""The channel's two variables, read and checked once, so that a wrong one is found before a mail is."""

from __future__ import annotations

import ipaddress
import math
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from clinic_dispatch_email.addresses import domain_in_ascii, validated
from clinic_dispatch_plugin.api import ConfigurationError, InvalidAddress

URL = "CLINIC_DISPATCH_EMAIL_URL"
FROM = "CLINIC_DISPATCH_EMAIL_FROM"

EXAMPLE = "smtp+starttls://user:password@mail.clinic.example:587"
ENCODE = (
    "write / ? # @ : [ ] and % inside a user name or password as"
    " %2F %3F %23 %40 %3A %5B %5D and %25."
)
#: A percent sign that begins no octet.
_LOOSE = re.compile("%(?![0-9A-Fa-f]{2})")
#: Scheme to the port it means: 25 is for relays, 465 and 587 for submission (RFC 8314 3.3).
PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}

#: Options that are the account's and not the relay's: its name, what may go through it, whom its mails come from.
OF_ACCOUNT = ("account", "purposes", "from")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailSettings:
    """One relay and how to treat it. All times in seconds."""

    host: str
    port: int
    from_address: str
    from_name: str = ""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    #: TLS from the first byte.
    implicit_tls: bool = False
    #: TLS by STARTTLS, never less.
    starttls: bool = False
    #: Certificates to trust instead of the system's.
    ca_file: str | None = None
    #: Messages a second over all workers; None: no limit.
    rate: float | None = None
    #: Connections one sender holds at most.
    connections: int = 10
    #: Connections over all workers; None: nobody said.
    connection_limit: int | None = None
    #: Messages after which a connection is ended in good order; 0: never.
    per_connection: int = 0
    connect_timeout: float = 10.0
    #: For every answer but the last.
    timeout: float = 30.0
    #: For the answer to the final dot: hurrying here makes doubles (RFC 5321 4.5.3.2.6).
    data_timeout: float = 600.0
    pipelining: bool = True
    #: Messages a connection may have in hand: 2 sends the next envelope behind a message's end.
    depth: int = 2
    #: Ask for delivery status notifications where they are offered (RFC 3461).
    dsn: bool = True
    #: Domain of the return addresses that name their message; empty: the sender's own address.
    verp: str = ""
    #: What we call ourselves; empty: this machine's name or address.
    helo: str = ""
    #: A person typed where to: private networks and hosts it may be in; None: it stands in the configuration.
    allowed: tuple[str, ...] | None = None

    @property
    def label(self) -> str:
        """What pages and logs may show."""
        return f"smtp {self.host}:{self.port}"

    @property
    def encrypted(self) -> bool:
        """Whether nothing of a message travels in the clear."""
        return self.implicit_tls or self.starttls


def load_settings(config: Mapping[str, Any]) -> EmailSettings | None:
    """Read both variables; None where no relay is configured.

    :raises ConfigurationError: one of them is wrong or missing.
    """
    url = str(config.get(URL) or "").strip()
    return read_settings(url, sender=config.get(FROM)) if url else None


def read_settings(
    url: str, *, sender: object, allowed: Sequence[str] | None = None
) -> EmailSettings:
    """One relay's settings.

    :param sender: whom mails come from where the URL does not say it.
    :param allowed: None: it stands in the configuration. Else a person typed it: private places it may be in.
    :raises ConfigurationError: something is wrong or missing.
    """
    parts = _split(url)
    typed = dict(parse_qsl(parts.query))
    if allowed is not None and "ca_file" in typed:
        raise _wrong(url, "a file of this machine is named in the configuration alone.")
    from_name, from_address = _sender(typed.get("from", sender))
    user, password = _login(url, parts)
    host = _host(url, parts)
    if user and parts.scheme == "smtp" and not is_loopback(host):
        raise _wrong(
            url,
            "the password would travel unprotected; write smtp+starttls:// or smtps:// instead of"
            " smtp://, which is for a relay on this machine.",
        )
    options = _options(url, parts.query)
    return EmailSettings(
        host=host,
        port=_port(url, parts),
        user=user,
        password=password,
        implicit_tls=parts.scheme == "smtps",
        starttls=parts.scheme == "smtp+starttls",
        from_name=from_name,
        from_address=from_address,
        allowed=None if allowed is None else tuple(allowed),
        connection_limit=options.get("connections"),
        **options,
    )


def is_loopback(host: str) -> bool:
    """Whether this host name or address is this machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def client_tls(settings: EmailSettings) -> ssl.SSLContext:
    """How we prove the relay: its certificate's chain and its name, TLS 1.2 or newer.

    :raises OSError: the file with certificates cannot be read.
    """
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _wrong(url: str, advice: str) -> ConfigurationError:
    return ConfigurationError.of_url(URL, url, advice)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # Reading these is what finds brackets and ports that are wrong.
        _ = parts.hostname, parts.port
    except ValueError:
        if _cut_off(url):
            raise _wrong(url, ENCODE) from None
        raise _wrong(url, f"host or port cannot be read; write something like {EXAMPLE}.") from None
    if parts.scheme not in PORTS:
        raise _wrong(url, f"begin with smtp://, smtps:// or smtp+starttls://, such as {EXAMPLE}.")
    if parts.path.strip("/") or parts.fragment:
        raise _wrong(url, f"nothing may stand between the port and the options; {ENCODE}")
    return parts


def _cut_off(url: str) -> bool:
    """Whether a user name or password holds a character that ends the part before the ``@`` too early."""
    login, at, _ = url.partition("://")[2].rpartition("@")
    return bool(at) and any(character in login for character in "/?#[]")


def _host(url: str, parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        # An address in brackets keeps its colons; names are checked by their A-label.
        name = host if ":" in host else domain_in_ascii(host)
    except ValueError:
        name = ""
    if not name:
        raise _wrong(url, f"name the mail server; write something like {EXAMPLE}.")
    return name


def _port(url: str, parts: SplitResult) -> int:
    port = PORTS[parts.scheme] if parts.port is None else parts.port
    if port == 0:
        raise _wrong(url, "the port is a number from 1 to 65535, such as 587.")
    return port


def _login(url: str, parts: SplitResult) -> tuple[str, str]:
    try:
        user, password = _read(parts.username), _read(parts.password)
    except ValueError:
        advice = f"a % in the user name or password begins no letter; {ENCODE}"
        raise _wrong(url, advice) from None
    if bool(user) != bool(password):
        raise _wrong(url, f"a user name and a password belong together, as in {EXAMPLE}.")
    if "\0" in user + password:  # it separates the two in AUTH PLAIN (RFC 4616 2)
        raise _wrong(url, "user name and password cannot hold NUL (%00).")
    return user, password


def _read(text: str | None) -> str:
    """A user name or password without its percent signs.

    :raises ValueError: one of them begins no letter.
    """
    if _LOOSE.search(text or ""):
        raise ValueError
    return unquote(text or "", errors="strict")


def _sender(value: Any) -> tuple[str, str]:
    text = str(value or "").strip()
    advice = 'write the address mails come from, such as "Clinic <post@clinic.example>".'
    name, address = parseaddr(text)
    try:
        if not text.isprintable():
            raise ValueError("it holds line breaks or other control characters")
        address = validated(address)
        if not address.isascii():
            raise ValueError("before the @ only ASCII letters reach every recipient")
    except InvalidAddress as error:
        raise ConfigurationError(FROM, text, f"{advice} ({error.answer.text})") from None
    except ValueError as error:
        raise ConfigurationError(FROM, text, f"{advice} ({error})") from None
    return name, address


def _options(url: str, query: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in OF_ACCOUNT:
            continue
        read = _OPTIONS.get(key)
        if read is None and "@" in query:
            raise _wrong(url, "a ? in user name or password is written %3F.")
        if read is None:
            raise _wrong(url, f"{key!r} is no option; there are: {', '.join(_OPTIONS)}.")
        if key in found:
            raise _wrong(url, f"{key} stands there twice; write it once.")
        try:
            found[key] = read(value)
        except ValueError as error:
            raise _wrong(url, f"{key} is {value[:100]!r}: {error}.") from None
    return found


def _seconds(value: str) -> float:
    return _number(value, below=86_400, advice="give a number of seconds above 0, such as 30")


def _rate(value: str) -> float:
    return _number(value, below=1e6, advice="give messages a second, such as 20")


def _number(value: str, *, below: float, advice: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError(advice) from None
    if not (math.isfinite(number) and 0 < number <= below):
        raise ValueError(advice)
    return number


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        # int() alone would also take "1_0", " 5" and other alphabets' digits.
        if not (value.isascii() and value.isdigit() and lowest <= int(value[:9]) <= highest):
            raise ValueError(f"give a whole number from {lowest} to {highest}")
        return int(value)

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


def _domain(value: str) -> str:
    if not value:
        return ""
    domain = domain_in_ascii(value)
    if "." not in domain:
        raise ValueError("give a domain, such as bounces.clinic.example")
    return domain


def _helo(value: str) -> str:
    if not value.startswith("["):
        return domain_in_ascii(value)
    inside = value.removeprefix("[").removesuffix("]").removeprefix("IPv6:")
    ipaddress.ip_address(inside)
    return value


_OPTIONS: dict[str, Callable[[str], Any]] = {
    "rate": _rate,
    "connections": _whole(1, 500),
    "per_connection": _whole(0, 1_000_000),
    "connect_timeout": _seconds,
    "timeout": _seconds,
    "data_timeout": _seconds,
    "pipelining": _switch,
    "depth": _whole(1, 2),
    "dsn": _switch,
    "verp": _domain,
    "ca_file": _ca_file,
    "helo": _helo,
}
