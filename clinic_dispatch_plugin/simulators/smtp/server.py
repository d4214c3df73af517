"""The relay as programs use it: on a thread of its own, or as a command that stays."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from types import TracebackType
from typing import Any, Self, TextIO
from urllib.parse import quote

from clinic_dispatch_plugin.simulators.smtp.intake import Counters
from clinic_dispatch_plugin.simulators.smtp.modes import Mode
from clinic_dispatch_plugin.simulators.smtp.relay import Relay
from clinic_dispatch_plugin.simulators.smtp.settings import RelaySettings

logger = logging.getLogger(__name__)

#: Seconds that starting, stopping or switching may take before something is badly wrong.
PATIENCE = 10.0


class SmtpSimulator:
    """An SMTP relay on a daemon thread."""

    def __init__(self, settings: RelaySettings | None = None) -> None:
        self.settings = settings or RelaySettings()
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._relay: Relay | None = None
        self._enough: asyncio.Event | None = None

    def start(self) -> Self:
        """Return once the relay listens (or, if the mode file says *down*, once it has its port).

        :raises OSError: the port, the ledger or the mailbox cannot be had.
        :raises RuntimeError: it is running already.
        """
        if self._thread is not None:
            raise RuntimeError("the relay is running already")
        self._ready.clear()
        self._error = None
        self._thread = threading.Thread(target=self._run, name="smtp-simulator", daemon=True)
        self._thread.start()
        if not self._ready.wait(PATIENCE):
            raise RuntimeError(f"the relay did not start within {PATIENCE:g} seconds")
        error = self._failure()
        if error is not None:
            self._thread.join(PATIENCE)
            self._thread = None
            raise error
        return self

    def stop(self) -> None:
        """End all connections and the thread; does nothing when it is not running."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._enough is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._enough.set)
        thread.join(PATIENCE)
        if thread.is_alive():
            raise RuntimeError(f"the relay did not stop within {PATIENCE:g} seconds")

    def switch(self, mode: Mode | str) -> None:
        """Change the mode; it is in force when this returns.

        :raises ValueError: there is no such mode.
        :raises RuntimeError: the relay is not running.
        """
        chosen = Mode(mode)
        if self._loop is None or self._thread is None:
            raise RuntimeError("the relay is not running")
        change = self._running().set_mode(chosen)
        asyncio.run_coroutine_threadsafe(change, self._loop).result(PATIENCE)

    @property
    def port(self) -> int:
        """The port it listens on; it stays the same through *down*."""
        return self._running().port

    @property
    def address(self) -> str:
        """``host:port``."""
        host = self.settings.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as the e-mail channel's setting takes it, with user name and password."""
        settings = self.settings
        unencrypted_first = "smtp+starttls" if settings.tls is not None else "smtp"
        scheme = "smtps" if settings.implicit_tls else unencrypted_first
        if settings.username is None:
            return f"{scheme}://{self.address}"
        user, password = quote(settings.username, safe=""), quote(settings.password or "", safe="")
        return f"{scheme}://{user}:{password}@{self.address}"

    @property
    def counters(self) -> Counters:
        """What has happened since the start; the object goes on counting."""
        return self._running().intake.counters

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _running(self) -> Relay:
        if self._relay is None:
            raise RuntimeError("the relay was not started")
        return self._relay

    def _failure(self) -> BaseException | None:
        return self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to the thread that waits in start()
            if self._ready.is_set():
                logger.exception("The relay has failed")
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_note)
        self._enough = asyncio.Event()
        self._relay = Relay(self.settings)
        try:
            await self._relay.start()
            self._ready.set()
            await self._enough.wait()
        finally:
            await self._relay.stop()


def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # A client that breaks off, or speaks no TLS where TLS is due, is no trouble of the relay's.
    if isinstance(context.get("exception"), OSError):
        logger.debug("A connection failed: %r", context["exception"])
    else:
        loop.default_exception_handler(context)


def run_simulator(settings: RelaySettings, *, out: TextIO) -> int:
    """Run a relay until SIGINT or SIGTERM; call it on the main thread.

    :param out: gets the address when the relay listens, and the counts at the end.
    :returns: the exit status: 0, or 1 when the relay cannot start.
    """
    enough = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: enough.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    simulator = SmtpSimulator(settings)
    try:
        try:
            simulator.start()
        except OSError as error:
            print(
                f"The relay cannot start on {settings.host}:{settings.port}: {error}",
                file=out,
                flush=True,
            )
            return 1
        print(f"SMTP relay listening on {simulator.address}", file=out, flush=True)
        if settings.mode_file is not None:
            print(f"It follows {settings.mode_file}: {', '.join(Mode)}", file=out, flush=True)
        enough.wait()
        counters = simulator.counters
        simulator.stop()
        print(
            f"{counters.messages} messages: {counters.accepted} accepted,"
            f" {counters.refused} refused, {counters.unanswered} left without an answer;"
            f" {counters.recipients_refused} recipients refused",
            file=out,
            flush=True,
        )
        return 0
    finally:
        simulator.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
