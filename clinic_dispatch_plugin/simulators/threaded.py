"""What every simulator is to the program that uses it: a server on a thread of its own, or a command that stays."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, ClassVar, Self, TextIO

logger = logging.getLogger(__name__)

#: Seconds that starting, stopping or switching may take before something is badly wrong.
PATIENCE = 10.0


class ThreadedServer(abc.ABC):
    """A server with an event loop on a daemon thread."""

    #: What messages call it: ``relay``.
    what: ClassVar[str]

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._enough: asyncio.Event | None = None

    @abc.abstractmethod
    async def serve(self, ready: Callable[[], None], enough: asyncio.Event) -> None:
        """Listen, say that it is ``ready``, and end everything when there was ``enough``."""

    def start(self) -> Self:
        """Return once it listens.

        :raises OSError: a port or a file cannot be had.
        :raises RuntimeError: it is running already.
        """
        if self._thread is not None:
            raise RuntimeError(f"the {self.what} is running already")
        self._ready.clear()
        self._error = None
        self._thread = threading.Thread(
            target=self._run, name=f"simulated-{self.what}", daemon=True
        )
        self._thread.start()
        if not self._ready.wait(PATIENCE):
            raise RuntimeError(f"the {self.what} did not start within {PATIENCE:g} seconds")
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
            raise RuntimeError(f"the {self.what} did not stop within {PATIENCE:g} seconds")

    def on_loop(self, work: Coroutine[Any, Any, None]) -> None:
        """Let the server's own thread do this; it is done when this returns.

        :raises RuntimeError: it is not running.
        """
        if self._loop is None or self._thread is None:
            work.close()
            raise RuntimeError(f"the {self.what} is not running")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _failure(self) -> BaseException | None:
        return self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to the thread that waits in start()
            if self._ready.is_set():
                logger.exception("The %s has failed", self.what)
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_note)
        self._enough = asyncio.Event()
        await self.serve(self._ready.set, self._enough)


def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # A client that breaks off, or speaks no TLS where TLS is due, is no trouble of the server's.
    if isinstance(context.get("exception"), OSError):
        logger.debug("A connection failed: %r", context["exception"])
    else:
        loop.default_exception_handler(context)


def stay(
    simulator: ThreadedServer,
    *,
    where: str,
    opened: Callable[[], str],
    ended: Callable[[], str],
    out: TextIO,
) -> int:
    """Run a simulator until SIGINT or SIGTERM; call it on the main thread.

    :param where: the address it was told to listen on.
    :param opened: what is written to ``out`` once it listens.
    :param ended: what is written once it has stopped.
    :returns: the exit status: 0, or 1 when it cannot start.
    """
    enough = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: enough.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        try:
            simulator.start()
        except OSError as error:
            print(f"The {simulator.what} cannot start on {where}: {error}", file=out, flush=True)
            return 1
        print(opened(), file=out, flush=True)
        enough.wait()
        simulator.stop()
        print(ended(), file=out, flush=True)
        return 0
    finally:
        simulator.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
