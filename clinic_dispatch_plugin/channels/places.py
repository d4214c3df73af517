"""Where a program may connect to when a person typed the address: never into the clinic's own network by itself."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

#: Options of an account's URL that are told to the gateway and never opened by us.
_TOLD = frozenset({"callback_url"})
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class RefusedPlace(Exception):
    """Nobody may be sent there: the host, and whether its name could not be found at all."""

    def __init__(self, host: str, *, unknown: bool = False) -> None:
        super().__init__(host)
        self.host = host
        self.unknown = unknown


def places_in(url: str) -> list[tuple[str, int | None]]:
    """Every host with its port that an account's URL leads to: its own, and those of addresses among its options.

    :raises ValueError: it is no URL.
    """
    parts = urlsplit(url)
    found = [(parts.hostname, parts.port)] if parts.hostname else []
    for name, value in parse_qsl(parts.query):
        if "://" in value and name not in _TOLD:
            inner = urlsplit(value)
            if inner.hostname:
                found.append((inner.hostname, inner.port))
    return found


def check_places(url: str, allowed: Sequence[str]) -> None:
    """Look every host up once.

    :param allowed: hosts, addresses and networks of the clinic's own that the configuration permits.
    :raises RefusedPlace: one of them is private, or has no address.
    :raises ValueError: it is no URL.
    """
    for host, port in places_in(url):
        if host.lower() in {each.lower() for each in allowed}:
            continue
        addresses = addresses_of(host, port)
        if not addresses:
            raise RefusedPlace(host, unknown=True)
        if not all(may_connect(each, allowed) for each in addresses):
            raise RefusedPlace(host)


def addresses_of(host: str, port: int | None) -> list[str]:
    """What a name resolves to; empty: nothing."""
    try:
        found = socket.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(each[4][0]) for each in found]


def may_connect(address: str, allowed: Iterable[str]) -> bool:
    """Whether an address is public, or in one of the networks the configuration permits."""
    try:
        ip: _Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if mapped is not None:
        ip = mapped
    if ip.is_global and not ip.is_multicast:
        return True
    for each in allowed:
        with suppress(ValueError):
            if ip in ipaddress.ip_network(each, strict=False):
                return True
    return False
