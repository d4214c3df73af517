"""Looks up hosts whose names a person typed: what is looked up is what is connected to, and nothing private is."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from clinic_dispatch_plugin.channels.places import may_connect

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver, ResolveResult


def public_resolver(allowed: Sequence[str]) -> AbstractResolver:
    """A resolver that finds no private address but those allowed."""
    import aiohttp

    class Public(aiohttp.ThreadedResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await super().resolve(host, port, family)
            if host not in allowed and not all(
                may_connect(each["host"], allowed) for each in found
            ):
                raise OSError(errno.EACCES, "a private address")
            return found

    return Public()
