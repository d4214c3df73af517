"""The centre as programs use it: on a thread of its own, or as a command that stays."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TextIO
from urllib.parse import quote

from clinic_dispatch_plugin.simulators.smpp.centre import Centre, Counters, Mode
from clinic_dispatch_plugin.simulators.smpp.session import Session
from clinic_dispatch_plugin.simulators.smpp.settings import CentreSettings
from clinic_dispatch_plugin.simulators.threaded import ThreadedServer, stay

#: Seconds between two looks for links that are gone or silent.
_WATCH = 1.0


class SmppSimulator(ThreadedServer):
    """A message centre on a daemon thread."""

    what = "centre"

    def __init__(self, settings: CentreSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or CentreSettings()
        self._centre: Centre | None = None
        self._sessions: set[Session] = set()
        self._port = 0

    def switch(self, mode: Mode | str) -> None:
        """Change the mode; it is in force when this returns.

        :raises ValueError: there is no such mode.
        """
        chosen = Mode(mode)
        self.on_loop(self._change(chosen))

    def cut_links(self) -> None:
        """End every link at once, as a broken network does."""
        self.on_loop(self._cut_on_loop())

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """The address as the channel's setting takes it; with TLS the option ``tls=on`` belongs to it."""
        user = quote(self.settings.system_id or "clinic", safe="")
        password = quote(self.settings.password or "", safe="")
        return f"smpp://{user}:{password}@{self.settings.host}:{self.port}"

    @property
    def counters(self) -> Counters:
        """What has happened since the start; the object goes on counting."""
        if self._centre is None:
            raise RuntimeError("the centre was not started")
        return self._centre.counters

    async def _change(self, mode: Mode) -> None:
        assert self._centre is not None
        self._centre.mode = mode
        if mode is Mode.WRONG_PASSWORD:
            self._cut()

    async def _cut_on_loop(self) -> None:
        self._cut()

    def _cut(self) -> None:
        for session in list(self._sessions):
            session.cut()

    async def serve(self, ready: Callable[[], None], enough: asyncio.Event) -> None:
        """Be the centre until there was enough."""
        loop = asyncio.get_running_loop()
        centre = self._centre = Centre(self.settings)
        try:
            server = await loop.create_server(
                lambda: Session(centre, joined=self._sessions.add),
                self.settings.host,
                self.settings.port,
                ssl=self.settings.tls,
            )
            self._port = server.sockets[0].getsockname()[1]
            ready()
            while not enough.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(enough.wait(), _WATCH)
                self._bury(loop.time())
            server.close()
            self._cut()
            await asyncio.sleep(0)
        finally:
            centre.close()

    def _bury(self, now: float) -> None:
        silent_since = now - self.settings.idle_seconds
        for session in list(self._sessions):
            if session.gone:
                self._sessions.discard(session)
            elif session.last_heard < silent_since:
                session.cut()


def run_simulator(settings: CentreSettings, *, out: TextIO) -> int:
    """Run a centre until SIGINT or SIGTERM; call it on the main thread.

    :param out: gets the address when the centre listens, and the counts at the end.
    :returns: the exit status: 0, or 1 when the centre cannot start.
    """
    simulator = SmppSimulator(settings)

    def opened() -> str:
        return f"SMPP message centre listening on {settings.host}:{simulator.port}"

    def ended() -> str:
        counters = simulator.counters
        return (
            f"{counters.taken} texts taken, {counters.refused} refused, {counters.throttled} too fast;"
            f" {counters.receipts_kept} of {counters.receipts} receipts kept"
        )

    where = f"{settings.host}:{settings.port}"
    return stay(simulator, where=where, opened=opened, ended=ended, out=out)
