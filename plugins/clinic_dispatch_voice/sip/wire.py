"""The way to the exchange: datagrams, a connection, or one with TLS (RFC 3261 section 18)."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import cast

from clinic_dispatch_plugin.api import AccountError, Answer, ConnectionFailed, may_connect
from clinic_dispatch_voice.sip.message import Message, NotSipError, StreamReader, decode
from clinic_dispatch_voice.sip.settings import SipSettings, client_tls

#: Seconds for a connection, and for the other side to agree to its end.
_CONNECT = 10.0
_END = 1.0


class LostError(Exception):
    """The way is gone.

    :param unheard: whatever was sent so far was not heard by anybody.
    """

    def __init__(self, text: str, *, unheard: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.unheard = unheard


class Wire:
    """One call's own way; what comes stands in ``received``, and its end as a :class:`LostError`."""

    def __init__(self, settings: SipSettings) -> None:
        self.reliable = settings.transport != "udp"
        self.received: asyncio.Queue[Message | LostError] = asyncio.Queue()
        self.local = ("", 0)
        self._send: Callable[[bytes], None] | None = None
        self._transport: asyncio.DatagramTransport | asyncio.Transport | None = None
        self._ended = asyncio.Event()

    def send(self, data: bytes) -> None:
        """Let it go."""
        if self._send is not None:
            self._send(data)

    def close(self) -> None:
        """End it; what was written still goes."""
        if self._transport is not None:
            self._transport.close()

    async def closed(self) -> None:
        """End it and wait for the end: with TLS the other side has to agree, for a moment at most."""
        self.close()
        try:
            async with asyncio.timeout(_END):
                await self._ended.wait()
        except TimeoutError:
            if self._transport is not None:
                self._transport.abort()

    def ended(self) -> None:
        """There is nothing more."""
        self._ended.set()

    def opened_datagrams(self, transport: asyncio.DatagramTransport) -> None:
        """Datagrams can go."""
        self._send = transport.sendto
        self._opened(transport)

    def opened_stream(self, transport: asyncio.Transport) -> None:
        """There is a connection."""
        self._send = transport.write
        self._opened(transport)

    def _opened(self, transport: asyncio.DatagramTransport | asyncio.Transport) -> None:
        self._transport = transport
        name = transport.get_extra_info("sockname")
        self.local = (str(name[0]), int(name[1]))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire.opened_datagrams(cast(asyncio.DatagramTransport, transport))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            message = decode(data)
        except NotSipError:
            return  # RFC 3261 section 18.1.2: what is malformed is dropped
        self._heard = True
        self._wire.received.put_nowait(message)

    def error_received(self, exc: Exception) -> None:
        # Nobody listens there: the network itself says that our datagram was not taken.
        unheard = isinstance(exc, ConnectionRefusedError) and not self._heard
        self._wire.received.put_nowait(LostError(reason_of(exc), unheard=unheard))

    def connection_lost(self, exc: Exception | None) -> None:
        self._wire.ended()


class _Stream(asyncio.Protocol):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._reader = StreamReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire.opened_stream(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._reader.feed(data):
                self._wire.received.put_nowait(message)
        except NotSipError as problem:
            self._wire.received.put_nowait(LostError(f"what came is no SIP: {problem}"))
            self._wire.close()

    def connection_lost(self, exc: Exception | None) -> None:
        text = reason_of(exc) if exc else "the connection was closed by the exchange"
        self._wire.received.put_nowait(LostError(text))
        self._wire.ended()


async def open_wire(settings: SipSettings) -> Wire:
    """A new way to the exchange.

    :raises ConnectionFailed: there is none.
    :raises AccountError: the exchange cannot be trusted.
    """
    wire = Wire(settings)
    place = f"{settings.host}:{settings.port}"
    try:
        async with asyncio.timeout(min(_CONNECT, settings.timeout)):
            await _open(wire, settings)
    except ssl.SSLCertVerificationError as error:
        text = f"{place}: certificate refused: {error.verify_message}"
        raise AccountError(Answer(system="dispatch", code="tls_failed", text=text)) from None
    except ssl.SSLError as error:
        text = f"{place}: TLS failed: {reason_of(error)}"
        raise ConnectionFailed(Answer(system="dispatch", code="tls_failed", text=text)) from None
    except TimeoutError:
        raise no_way(f"{place}: no connection in time") from None
    except OSError as error:
        raise no_way(f"{place}: {reason_of(error)}") from None
    return wire


async def _open(wire: Wire, settings: SipSettings) -> None:
    """What is connected to is what was looked up and found to be permitted.

    :raises OSError: there is no way, or it leads where it may not.
    """
    loop = asyncio.get_running_loop()
    host = await _permitted(loop, settings)
    if not wire.reliable:
        await loop.create_datagram_endpoint(
            lambda: _Datagrams(wire), remote_addr=(host, settings.port)
        )
        return
    tls = client_tls(settings) if settings.transport == "tls" else None
    name = settings.host if tls is not None else None
    await loop.create_connection(
        lambda: _Stream(wire), host, settings.port, ssl=tls, server_hostname=name
    )


async def _permitted(loop: asyncio.AbstractEventLoop, settings: SipSettings) -> str:
    """The host; its address where a person typed the name, for it must lead to nothing private."""
    allowed = settings.allowed
    if allowed is None or settings.host in allowed:
        return settings.host
    found = await loop.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    if not all(may_connect(each, allowed) for each in addresses):
        raise OSError(errno.EACCES, "a private address")
    return addresses[0]


def no_way(text: str) -> ConnectionFailed:
    """The exchange cannot be reached."""
    return ConnectionFailed(Answer(system="dispatch", code="connect_failed", text=text))


def reason_of(problem: Exception) -> str:
    """An operating system's error in plain words."""
    if isinstance(problem, socket.gaierror):
        return "this host name is not known"
    if isinstance(problem, ssl.SSLError):
        return str(problem.reason or "no reason given").replace("_", " ").lower()
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror.lower()
    return type(problem).__name__
