"""The exchange as programs use it: on a thread of its own, or as a command that stays."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO, cast
from urllib.parse import quote

from clinic_dispatch_plugin.simulators.gateways.ledger import GatewayLedger, TakenMessage
from clinic_dispatch_plugin.simulators.sip.call import Call, CallRecord, response
from clinic_dispatch_plugin.simulators.sip.packets import (
    Packet,
    UnreadableError,
    cut,
    fields_of,
    proves,
    read,
)
from clinic_dispatch_plugin.simulators.sip.plans import Plan, Way
from clinic_dispatch_plugin.simulators.sip.settings import ExchangeSettings
from clinic_dispatch_plugin.simulators.threaded import ThreadedServer, stay


class Mode(StrEnum):
    """Troubles of the whole exchange that are switched on by hand."""

    NORMAL = "normal"
    #: No password is good enough.
    WRONG_PASSWORD = "wrong_password"
    #: Everything is read, nothing is said.
    MUTE = "mute"
    #: Whatever is asked is answered with 503.
    BROKEN = "broken"


class SipSimulator(ThreadedServer):
    """An exchange on a daemon thread."""

    what = "exchange"

    def __init__(self, settings: ExchangeSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or ExchangeSettings()
        self.mode = Mode.NORMAL
        #: Every call that was not refused at the door, oldest first.
        self.calls: list[CallRecord] = []
        #: What was asked, by method, and packets that were no SIP.
        self.requests: list[str] = []
        self.unreadable = 0
        #: Those who are connected.
        self.connections: set[asyncio.Transport] = set()
        self._ledger: GatewayLedger | None = None
        self._open: dict[str, Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._nonces: set[str] = set()
        self._aged: set[str] = set()
        self._port = 0

    def switch(self, mode: Mode | str) -> None:
        """Change the mode.

        :raises ValueError: there is no such mode.
        """
        self.mode = Mode(mode)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def ledger(self) -> GatewayLedger:
        """What it took."""
        if self._ledger is None:
            raise RuntimeError("the exchange was not started")
        return self._ledger

    @property
    def url(self) -> str:
        """The address as the channel's setting takes it."""
        settings = self.settings
        scheme = "sips" if settings.tls is not None else "sip"
        login = f"{quote(settings.user or 'clinic', safe='')}:{quote(settings.password, safe='')}@"
        return f"{scheme}://{login}{settings.host}:{self.port}"

    async def serve(self, ready: Callable[[], None], enough: asyncio.Event) -> None:
        """Be the exchange until there was enough."""
        settings, loop = self.settings, asyncio.get_running_loop()
        self._ledger = GatewayLedger(settings.ledger)
        server = await loop.create_server(
            lambda: _Connection(self), settings.host, settings.port, ssl=settings.tls
        )
        self._port = int(server.sockets[0].getsockname()[1])
        datagrams = None
        try:
            if settings.tls is None:
                place = (settings.host, self._port)
                datagrams, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=place
                )
            ready()
            await enough.wait()
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if datagrams is not None:
                datagrams.abort()
            server.close()
            for connection in list(self.connections):
                connection.abort()
            await asyncio.sleep(0)
            self._ledger.close()

    # What comes

    def take(self, data: bytes, send: Callable[[bytes], None], cut_off: Callable[[], None]) -> None:
        """One packet of a caller's."""
        try:
            packet = read(data)
        except UnreadableError:
            self.unreadable += 1
            return
        if not packet.method or self.mode is Mode.MUTE:
            return
        self.requests.append(packet.method)
        call = self._open.get(packet.one("call-id"))
        if call is not None and packet.method == "INVITE":
            call.again()
        elif call is not None:
            call.on(packet)
        elif self.mode is Mode.BROKEN and packet.method != "ACK":
            send(response(packet, 503, [], tag="broken"))
        elif packet.method == "INVITE":
            self._on_invite(packet, send, cut_off)
        elif packet.method == "OPTIONS":
            if self._let_in(packet, send):
                send(response(packet, 200, [("Allow", "INVITE, ACK, CANCEL, BYE, INFO")], tag="o"))
        elif packet.method != "ACK":
            send(response(packet, 481, [], tag="none"))

    def _on_invite(
        self, packet: Packet, send: Callable[[bytes], None], cut_off: Callable[[], None]
    ) -> None:
        number = _number_in(packet.uri)
        plan = self.settings.behaviour.plan(number)
        if plan.way is not Way.SILENT and not self._let_in(packet, send, plan, number):
            return
        full = self.settings.lines and len(self._open) >= self.settings.lines
        if full:
            plan = Plan(status=503)
        if not plan.status:
            self._write_down(number, packet)
        call = Call(
            packet,
            plan,
            self.settings,
            number=number,
            place=(self.settings.host, self._port),
            send=send,
            cut=cut_off,
        )
        self.calls.append(call.record)
        self._open[call.record.call_id] = call
        task = asyncio.ensure_future(self._play(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, call: Call) -> None:
        try:
            await call.play()
        finally:
            call.close()
            # A caller who repeats himself is still known for a moment.
            asyncio.get_running_loop().call_later(5.0, self._open.pop, call.record.call_id, None)

    def _write_down(self, number: str, packet: Packet) -> None:
        line = TakenMessage(
            at=datetime.now(UTC).isoformat(),
            kind="call",
            recipient="".join(filter(str.isdigit, number)),
            message_id=packet.one("call-id"),
        )
        self.ledger.append([line])

    # Who may call

    def _let_in(
        self,
        packet: Packet,
        send: Callable[[bytes], None],
        plan: Plan | None = None,
        number: str = "",
    ) -> bool:
        settings = self.settings
        if settings.user is None:
            return True
        name = "authorization" if settings.challenge == 401 else "proxy-authorization"
        said = fields_of(packet.one(name))
        knows = proves(said, packet.method, user=settings.user, password=settings.password)
        good = knows and said.get("nonce") in self._nonces and self.mode is Mode.NORMAL
        aged = good and plan is not None and plan.way is Way.STALE and number not in self._aged
        if good and not aged:
            return True
        if aged:
            self._aged.add(number)
        send(response(packet, settings.challenge, self._challenges(stale=aged), tag="door"))
        return False

    def _challenges(self, *, stale: bool) -> list[tuple[str, str]]:
        name = "WWW-Authenticate" if self.settings.challenge == 401 else "Proxy-Authenticate"
        nonce = secrets.token_hex(8)
        self._nonces.add(nonce)
        more = ", stale=true" if stale else ""
        return [
            (name, f'Digest realm="exchange", nonce="{nonce}", algorithm={each}, qop="auth"{more}')
            for each in self.settings.algorithms
        ]


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, exchange: SipSimulator) -> None:
        self._exchange = exchange

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._exchange.take(data, lambda said: self._transport.sendto(said, addr), lambda: None)


class _Connection(asyncio.Protocol):
    def __init__(self, exchange: SipSimulator) -> None:
        self._exchange = exchange
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._exchange.connections.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._exchange.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        whole, self._rest = cut(self._rest + data)
        for each in whole:
            self._exchange.take(each, self._transport.write, self._transport.abort)


def _number_in(uri: str) -> str:
    found = re.match(r"sips?:([^@;]+)", uri)
    return found[1] if found else uri


def run_exchange(settings: ExchangeSettings, *, out: TextIO) -> int:
    """Run an exchange until SIGINT or SIGTERM; call it on the main thread.

    :param out: gets the address when the exchange listens, and the counts at the end.
    :returns: the exit status: 0, or 1 when the exchange cannot start.
    """
    simulator = SipSimulator(settings)

    def opened() -> str:
        return f"SIP exchange listening on {settings.host}:{simulator.port}"

    def ended() -> str:
        answered = sum(call.answered for call in simulator.calls)
        return f"{len(simulator.calls)} calls, {answered} answered"

    where = f"{settings.host}:{settings.port}"
    return stay(simulator, where=where, opened=opened, ended=ended, out=out)
