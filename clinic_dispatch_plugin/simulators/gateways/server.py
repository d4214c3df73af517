"""A gateway as programs use it: on a thread of its own, or as a command that stays."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, Self, TextIO, TypeVar

from aiohttp import web

from clinic_dispatch_plugin.simulators.gateways.answers import Asked, say
from clinic_dispatch_plugin.simulators.gateways.gateway import SimulatedGateway
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings

#: Seconds that starting, stopping or switching may take before something is badly wrong.
PATIENCE = 10.0
#: Where a person or a program switches the mode: ``POST`` with its name as the body.
MODE_PATH = "/simulator/mode"

Kind = TypeVar("Kind", bound=SimulatedGateway)


class HttpSimulator(Generic[Kind]):
    """A gateway on a daemon thread."""

    def __init__(
        self, kind: Callable[[GatewaySettings], Kind], settings: GatewaySettings | None = None
    ) -> None:
        """Be a gateway of this kind.

        :param kind: the gateway's class.
        """
        self.settings = settings or GatewaySettings()
        self._kind = kind
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._enough: asyncio.Event | None = None
        self._gateway: Kind | None = None
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None
        self._port = self.settings.port

    def start(self) -> Self:
        """Return once the gateway listens.

        :raises OSError: the port or the ledger cannot be had.
        """
        self._ready.clear()
        self._error = None
        self._thread = threading.Thread(target=self._run, name="gateway-simulator", daemon=True)
        self._thread.start()
        if not self._ready.wait(PATIENCE):
            raise RuntimeError(f"the gateway did not start within {PATIENCE:g} seconds")
        if self._error is not None:
            raise self._error
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

    def switch(self, mode: GatewayMode | str) -> None:
        """Change the mode; it is in force when this returns.

        :raises ValueError: there is no such mode.
        """
        self._do(self._switch(GatewayMode(mode)))

    @property
    def gateway(self) -> Kind:
        """What it took, and what it was asked."""
        if self._gateway is None:
            raise RuntimeError("the gateway was not started")
        return self._gateway

    @property
    def port(self) -> int:
        """The port it listens on; it stays the same through *down*."""
        return self._port

    @property
    def base_url(self) -> str:
        """What takes the place of the provider's own address."""
        scheme = "http" if self.settings.tls is None else "https"
        return f"{scheme}://{self.settings.host}:{self.port}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # On the loop

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        if self._loop is None or self._thread is None:
            work.close()
            raise RuntimeError("the gateway is not running")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to the thread that waits in start()
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._enough = asyncio.Event()
        gateway = self._gateway = self._kind(self.settings)
        try:
            await self._open_door()
            self._ready.set()
            await self._enough.wait()
        finally:
            await self._close_door()
            await gateway.callbacks.close()
            gateway.ledger.close()

    async def _open_door(self) -> None:
        # A client that breaks off ends what it waits for.
        self._web = web.Server(
            self._answer,
            handler_cancellation=True,
            access_log=None,
            # An answer begun and cut off is what some plans want, and nothing to tell anybody.
            logger=logging.Logger("gateway-simulator", level=logging.CRITICAL),
        )
        listening = socket.create_server((self.settings.host, self._port), backlog=512)
        self._port = listening.getsockname()[1]
        self._server = await asyncio.get_running_loop().create_server(
            self._web, sock=listening, ssl=self.settings.tls
        )

    async def _close_door(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        if self._web is not None:
            for connection in self._web.connections:
                if connection.transport is not None:
                    connection.transport.abort()
            await self._web.shutdown(0.1)

    async def _switch(self, mode: GatewayMode) -> None:
        self.gateway.mode = mode
        if mode is GatewayMode.DOWN:
            await self._close_door()
        elif self._server is None:
            await self._open_door()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if request.path == MODE_PATH and request.method == "POST":
            return await self._switched_by(body)
        asked = Asked(
            method=request.method,
            path=request.path,
            url=f"{self.base_url}{request.raw_path}",
            headers=request.headers,
            query=list(request.query.items()),
            body=body,
        )
        return await say(await self.gateway.answer(asked), request)

    async def _switched_by(self, body: bytes) -> web.Response:
        try:
            mode = GatewayMode(body.decode().strip())
        except ValueError:
            return web.Response(status=400, text=", ".join(GatewayMode) + "\n")
        if mode is GatewayMode.DOWN:
            return web.Response(status=400, text="end the program instead\n")
        await self._switch(mode)
        return web.Response(text=f"{mode}\n")


def run_gateway(
    kind: Callable[[GatewaySettings], SimulatedGateway], settings: GatewaySettings, *, out: TextIO
) -> int:
    """Run a gateway until SIGINT or SIGTERM; call it on the main thread.

    :param out: gets the address when the gateway listens, and the count at the end.
    :returns: the exit status: 0, or 1 when the gateway cannot start.
    """
    enough = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: enough.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    simulator = HttpSimulator(kind, settings)
    try:
        try:
            simulator.start()
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            print(f"The gateway cannot start on {where}: {error}", file=out, flush=True)
            return 1
        name = simulator.gateway.name
        print(f"{name} listening on {simulator.base_url}", file=out, flush=True)
        enough.wait()
        taken = len(simulator.gateway.ledger.taken)
        simulator.stop()
        print(f"{taken} messages taken", file=out, flush=True)
        return 0
    finally:
        simulator.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
