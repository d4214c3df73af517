"""The centre as programs use it: on a thread of its own, or as a command that stays."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from types import TracebackType
from typing import Any, Self, TextIO
from urllib.parse import quote

from clinic_dispatch_plugin.simulators.smpp.centre import Centre, Counters, Mode
from clinic_dispatch_plugin.simulators.smpp.session import Session
from clinic_dispatch_plugin.simulators.smpp.settings import CentreSettings

logger = logging.getLogger(__name__)

#: Seconds that starting, stopping or switching may take before something is badly wrong.
PATIENCE = 10.0
_WATCH = 1.0


class SmppSimulator:
    """A message centre on a daemon thread."""

    def __init__(self, settings: CentreSettings | None = None) -> None:
        self.settings = settings or CentreSettings()
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._centre: Centre | None = None
        self._enough: asyncio.Event | None = None
        self._sessions: set[Session] = set()
        self._port = 0

    def start(self) -> Self:
        """Return once the centre listens.

        :raises OSError: the port or the ledger cannot be had.
        """
        self._thread = threading.Thread(target=self._run, name="smpp-simulator", daemon=True)
        self._thread.start()
        if not self._ready.wait(PATIENCE):
            raise RuntimeError(f"the centre did not start within {PATIENCE:g} seconds")
        if self._error is not None:
            raise self._error
        return self

    def stop(self) -> None:
        """End all links and the thread; does nothing when it is not running."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._enough is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._enough.set)
        thread.join(PATIENCE)

    def switch(self, mode: Mode | str) -> None:
        """Change the mode; it is in force when this returns.

        :raises ValueError: there is no such mode.
        """
        chosen = Mode(mode)
        self._on_loop(lambda: self._change(chosen))

    def cut_links(self) -> None:
        """End every link at once, as a broken network does."""
        self._on_loop(self._cut)

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

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _on_loop(self, action: Any) -> None:
        if self._loop is None or self._thread is None:
            raise RuntimeError("the centre is not running")

        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result(PATIENCE)

    def _change(self, mode: Mode) -> None:
        assert self._centre is not None
        self._centre.mode = mode
        if mode is Mode.WRONG_PASSWORD:
            self._cut()

    def _cut(self) -> None:
        for session in list(self._sessions):
            session.cut()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to the thread that waits in start()
            if self._ready.is_set():
                logger.exception("The centre has failed")
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_note)
        self._enough = asyncio.Event()
        centre = self._centre = Centre(self.settings)
        try:
            server = await self._loop.create_server(
                lambda: Session(centre, joined=self._sessions.add),
                self.settings.host,
                self.settings.port,
                ssl=self.settings.tls,
            )
            self._port = server.sockets[0].getsockname()[1]
            self._ready.set()
            while not self._enough.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._enough.wait(), _WATCH)
                self._bury()
            server.close()
            self._cut()
            await asyncio.sleep(0)
        finally:
            centre.close()

    def _bury(self) -> None:
        assert self._loop is not None
        silent_since = self._loop.time() - self.settings.idle_seconds
        for session in list(self._sessions):
            if session.gone:
                self._sessions.discard(session)
            elif session.last_heard < silent_since:
                session.cut()


def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # A client that breaks off, or speaks no TLS where TLS is due, is no trouble of the centre's.
    if isinstance(context.get("exception"), OSError):
        logger.debug("A connection failed: %r", context["exception"])
    else:
        loop.default_exception_handler(context)


def run_simulator(settings: CentreSettings, *, out: TextIO) -> int:
    """Run a centre until SIGINT or SIGTERM; call it on the main thread.

    :param out: gets the address when the centre listens, and the counts at the end.
    :returns: the exit status: 0, or 1 when the centre cannot start.
    """
    enough = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: enough.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    simulator = SmppSimulator(settings)
    try:
        try:
            simulator.start()
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            print(f"The centre cannot start on {where}: {error}", file=out, flush=True)
            return 1
        where = f"{settings.host}:{simulator.port}"
        print(f"SMPP message centre listening on {where}", file=out, flush=True)
        enough.wait()
        counters = simulator.counters
        simulator.stop()
        print(
            f"{counters.taken} texts taken, {counters.refused} refused, {counters.throttled} too fast;"
            f" {counters.receipts_kept} of {counters.receipts} receipts kept",
            file=out,
            flush=True,
        )
        return 0
    finally:
        simulator.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
