"""Reports to whoever sent a message: at once, twice, in the wrong order, or before the answer."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from clinic_dispatch_plugin.simulators.gateways.plans import Reports

logger = logging.getLogger(__name__)

#: Seconds between the tries of a report nobody takes, and of one call.
_PAUSES = (0.2, 1.0, 5.0)
_TIMEOUT = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One call to the sender's address."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    #: Whether it tells of the end, or of a step on the way.
    final: bool = True
    #: Tells the contrary of the end; sent only where a plan wants reports that contradict each other.
    contrary: bool = False


class Callbacks:
    """Calls addresses on this machine, and no others."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        #: Reports that were taken with a good answer.
        self.taken = 0

    async def plan(self, url: str, steps: Sequence[Report], *, how: Reports, delay: float) -> None:
        """Make the calls a plan wants; returns before they are made, unless they come early."""
        several = _ordered(steps, how)
        if not several:
            return
        if not _is_here(url):
            logger.warning("A report is not sent: its address is not on this machine")
            return
        if how is Reports.EARLY:
            await self._make(url, several, 0.0)
            return
        task = asyncio.get_running_loop().create_task(self._make(url, several, delay))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def fetch(self, url: str) -> None:
        """Ask for an address that a message itself names."""
        if not _is_here(url):
            logger.warning("An address is not asked for: it is not on this machine")
            return
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._opened().get(url, allow_redirects=False):
                pass

    async def close(self) -> None:
        """Make no more calls."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _make(self, url: str, several: Sequence[Report], delay: float) -> None:
        for report in several:
            if report.final:
                await asyncio.sleep(delay)
            await self._insist(url, report)

    async def _insist(self, url: str, report: Report) -> None:
        for pause in (*_PAUSES, None):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                if await self._call(url, report):
                    self.taken += 1
                    return
            if pause is not None:
                await asyncio.sleep(pause)

    async def _call(self, url: str, report: Report) -> bool:
        async with self._opened().post(
            url, data=report.body, headers=report.headers, allow_redirects=False
        ) as response:
            return response.status < 300

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT),
                connector=aiohttp.TCPConnector(limit=8),
            )
        return self._session


def _ordered(steps: Sequence[Report], how: Reports) -> list[Report]:
    plain = [each for each in steps if not each.contrary]
    match how:
        case Reports.NEVER:
            return [each for each in plain if not each.final]
        case Reports.TWICE:
            return [each for step in plain for each in (step, step)]
        case Reports.REVERSED:
            return plain[::-1]
        case Reports.CONTRADICTING:
            return list(steps)
        case _:
            return plain


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
