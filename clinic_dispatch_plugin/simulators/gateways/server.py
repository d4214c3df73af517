"""A gateway as programs use it: on a thread of its own, or as a command that stays."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Generic, TextIO, TypeVar

from aiohttp import web

from clinic_dispatch_plugin.simulators.gateways.answers import Asked, say
from clinic_dispatch_plugin.simulators.gateways.gateway import SimulatedGateway
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings
from clinic_dispatch_plugin.simulators.threaded import ThreadedServer, stay

#: Where a person or a program switches the mode: ``POST`` with its name as the body.
MODE_PATH = "/simulator/mode"

Kind = TypeVar("Kind", bound=SimulatedGateway)


class HttpSimulator(ThreadedServer, Generic[Kind]):
    """A gateway on a daemon thread."""

    what = "gateway"

    def __init__(
        self, kind: Callable[[GatewaySettings], Kind], settings: GatewaySettings | None = None
    ) -> None:
        """Be a gateway of this kind.

        :param kind: the gateway's class.
        """
        super().__init__()
        self.settings = settings or GatewaySettings()
        self._kind = kind
        self._gateway: Kind | None = None
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None
        self._port = self.settings.port

    def switch(self, mode: GatewayMode | str) -> None:
        """Change the mode; it is in force when this returns.

        :raises ValueError: there is no such mode.
        """
        self.on_loop(self._switch(GatewayMode(mode)))

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

    async def serve(self, ready: Callable[[], None], enough: asyncio.Event) -> None:
        """Be the gateway until there was enough."""
        gateway = self._gateway = self._kind(self.settings)
        try:
            await self._open_door()
            ready()
            await enough.wait()
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
    simulator = HttpSimulator(kind, settings)

    def opened() -> str:
        return f"{simulator.gateway.name} listening on {simulator.base_url}"

    def ended() -> str:
        return f"{len(simulator.gateway.ledger.taken)} messages taken"

    where = f"{settings.host}:{settings.port}"
    return stay(simulator, where=where, opened=opened, ended=ended, out=out)
