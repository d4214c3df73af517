"""A gateway's URL in the configuration, read piece by piece, so that a wrong one is named before a message goes."""

from __future__ import annotations

import ipaddress
import math
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from clinic_dispatch_plugin.config import ConfigurationError
from clinic_dispatch_plugin.config_values import ENCODE, PURPOSES

T = TypeVar("T")

#: One URL ends where white space or a comma stands before the next one's scheme.
_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_ON = {"on", "1", "true", "yes"}
_OFF = {"off", "0", "false", "no"}
#: A host's name in any alphabet, or an address of either kind.
_HOST = re.compile(r"[\w.-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[\w.-]+)?")
#: A percent sign that begins no octet.
_LOOSE = re.compile("%(?![0-9A-Fa-f]{2})")
PORTS = "a port is a number from 1 to 65535"


def split_urls(value: object) -> list[str]:
    """The URLs of one setting: several stand one after the other, with white space or commas between them."""
    text = str(value or "").strip().strip(",").strip()
    return _BETWEEN.split(text) if text else []


def is_loopback(host: str) -> bool:
    """Whether this host name or address is this machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


class GatewayUrl:
    """``scheme://login:password@host:port/?option=…``, whose options are taken one by one and then must be used up.

    Every method raises :class:`ConfigurationError` with the setting's name, the URL without its secrets, and what
    to write instead.
    """

    def __init__(
        self,
        setting: str,
        url: str,
        *,
        example: str = "",
        allowed: Sequence[str] | None = None,
    ) -> None:
        """Take the URL apart.

        :param setting: name of the variable it stands in.
        :param example: a right one, for the advice.
        :param allowed: None: it stands in the configuration. Else a person typed it: it may lead to these hosts and
            networks of the clinic's own, to no other private address, and names no file of this machine.
        """
        self.allowed = None if allowed is None else tuple(allowed)
        self.setting = setting
        self._url = url
        self._example = example
        try:
            parts = urlsplit(url)
            self.host, self.port = parts.hostname or "", parts.port
        except ValueError:
            raise self.wrong(f"host or port cannot be read; {ENCODE}") from None
        if self.port == 0:
            raise self.wrong(f"{PORTS}.")
        if _HOST.fullmatch(self.host) is None:
            raise self.wrong(f"{self.host[:100]!r} is no name of a server.")
        self.scheme = parts.scheme
        self.user, self.password = self._part(parts.username), self._part(parts.password)
        if parts.path.strip("/") or parts.fragment:
            raise self.wrong(f"nothing may stand between the host and the options; {ENCODE}")
        self._options: dict[str, str] = {}
        self._known: list[str] = []
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name in self._options:
                raise self.wrong(f"{name} stands there twice; write it once.")
            self._options[name] = value

    def site(self, default: str = "") -> str:
        """Host and port as they stand in an address.

        :param default: the usual host, where none is named.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host or default
        return host if self.port is None else f"{host}:{self.port}"

    def _part(self, text: str | None) -> str:
        """A user name or password without its percent signs; one that cannot be read would never be let in."""
        try:
            if _LOOSE.search(text or ""):
                raise ValueError
            return unquote(text or "", errors="strict")
        except ValueError:
            raise self.wrong(
                f"a % in the user name or password begins no letter; {ENCODE}"
            ) from None

    def given(self, name: str) -> bool:
        """Whether an option stands there."""
        return name in self._options

    def wrong(self, advice: str) -> ConfigurationError:
        """The error to raise."""
        if self._example:
            advice = f"{advice} Such as {self._example}"
        return ConfigurationError.of_url(self.setting, self._url, advice)

    def need_login(self, what: str = "a user name and a password") -> None:
        """Both have to be there."""
        if not (self.user and self.password):
            raise self.wrong(f"{what} stand before the @.")

    def text(self, name: str, default: str = "", *, longest: int = 200) -> str:
        """An option as it is, without line breaks and the like."""

        def read(value: str) -> str:
            if not value.isprintable() or len(value) > longest:
                raise ValueError(f"give at most {longest} printable characters")
            return value

        return self._take(name, default, read)

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        """One of these words."""

        def read(value: str) -> str:
            if value not in choices:
                raise ValueError(f"write one of {', '.join(choices)}")
            return value

        return self._take(name, default, read)

    def switch(self, name: str, default: bool) -> bool:
        """On or off."""

        def read(value: str) -> bool:
            if value.lower() not in _ON | _OFF:
                raise ValueError("write on or off")
            return value.lower() in _ON

        return self._take(name, default, read)

    def whole(self, name: str, default: int, *, lowest: int, highest: int) -> int:
        """A whole number."""

        def read(value: str) -> int:
            # int() alone would also take "1_0", " 5" and other alphabets' digits.
            if not (value.isascii() and value.isdigit() and lowest <= int(value[:9]) <= highest):
                raise ValueError(f"give a whole number from {lowest} to {highest}")
            return int(value)

        return self._take(name, default, read)

    def seconds(self, name: str, default: float) -> float:
        """A time above nought, at most a day."""
        return self._take(
            name, default, _number("give a number of seconds above 0, such as 30", below=86_400)
        )

    def rate(self, name: str = "rate") -> float | None:
        """Messages a second over all workers; None: no limit of ours."""
        read = _number("give messages a second, such as 20", below=1e6)
        return self._take(name, 0.0, read) or None

    def money(self, name: str) -> Decimal | None:
        """An amount above nought, with a point before its decimals; None where it is not set."""

        def read(value: str) -> Decimal | None:
            if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", value) is None or not Decimal(value):
                raise ValueError("give an amount above 0, such as 20.00")
            return Decimal(value)

        return self._take(name, None, read)

    def base_url(self, default: str, *, name: str = "base_url") -> str:
        """The root of the server to ask, without a slash at its end: the option's, else ``default``.

        Without TLS only this machine itself is asked: what we send holds a password.
        """

        def read(value: str) -> str:
            parts = _root(value)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("write the server's root, such as https%3A%2F%2Fsms.example")
            if parts.scheme == "http" and not is_loopback(parts.hostname):
                raise ValueError("the password would travel unprotected; write https")
            if parts.query or parts.fragment or "@" in parts.netloc:
                raise ValueError("write the server's root alone, without user name and options")
            return value.rstrip("/")

        return self._take(name, default.rstrip("/"), read)

    def ca_file(self, name: str = "ca_file") -> str | None:
        """A PEM file of certificates to trust instead of the system's."""

        def read(value: str) -> str:
            if self.allowed is not None:
                raise ValueError("a file of this machine is named in the configuration alone")
            try:
                ssl.create_default_context(cafile=value)
            except OSError as error:
                why = (
                    "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
                )
                raise ValueError(f"give the path of a PEM file with certificates ({why})") from None
            return value

        return self._take(name, "", read) or None

    def purposes(self, name: str = "purposes") -> frozenset[str]:
        """What may go through the account, separated by commas; empty: everything."""

        def read(value: str) -> frozenset[str]:
            found = frozenset(each for each in re.split(r"[\s,]+", value) if each)
            if not found <= set(PURPOSES):
                raise ValueError(f"write some of {', '.join(PURPOSES)}, separated by commas")
            return found

        return self._take(name, frozenset(), read)

    def done(self) -> None:
        """Nothing may be left over."""
        for name in self._options:
            if name not in self._known:
                raise self.wrong(f"{name!r} is no option; there are: {', '.join(self._known)}.")

    def _take(self, name: str, default: T, read: Callable[[str], T]) -> T:
        if name not in self._known:
            self._known.append(name)
        value = self._options.get(name)
        if value is None:
            return default
        try:
            return read(value)
        except ValueError as error:
            shown = "not shown" if _is_secret(name) or "@" in value else repr(value[:100])
            raise self.wrong(f"{name} is {shown}: {error}.") from None


def account_keys(urls: Sequence[GatewayUrl]) -> Mapping[str, GatewayUrl]:
    """Each account's key: what its option ``account`` says, else ``default`` for the first and a number for others."""
    keys: dict[str, GatewayUrl] = {}
    for number, url in enumerate(urls, 1):
        key = url.text("account", "default" if number == 1 else str(number), longest=32)
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", key):
            raise url.wrong("account is a name of small Latin letters and digits, such as main.")
        if key in keys:
            raise url.wrong(f"two accounts are called {key!r}; write another account= into one.")
        keys[key] = url
    return keys


def _number(advice: str, *, below: float) -> Callable[[str], float]:
    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            raise ValueError(advice) from None
        if not (math.isfinite(number) and 0 < number <= below):
            raise ValueError(advice)
        return number

    return read


def _root(value: str) -> SplitResult:
    """Another server's address taken apart."""
    try:
        parts = urlsplit(value)
        fits = parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"its host or port cannot be read; {PORTS}")
    if _HOST.fullmatch(parts.hostname or "") is None:
        raise ValueError("it names no server")
    return parts


def _is_secret(name: str) -> bool:
    return bool(re.search("pass|secret|token|key|psw|callback", name, re.IGNORECASE))
