"""The sound of a call on the network: RTP (RFC 3550), and keys in it (RFC 4733)."""

from __future__ import annotations

import asyncio
import secrets
import struct
from typing import cast

from clinic_dispatch_voice.exchange.audio import FRAME, Law
from clinic_dispatch_voice.exchange.line import Line

#: The fixed payload types of G.711 (RFC 3551 section 6).
TYPES = {Law.MU: 0, Law.A: 8}
_KEYS = "0123456789*#ABCD"
_HEADER = struct.Struct("!BBHII")


class Rtp(asyncio.DatagramProtocol):
    """One stream each way; what comes goes to the line once there is one."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._remote: tuple[str, int] | None = None
        #: Where sound comes from: whoever was first, and nobody else.
        self._source: tuple[str, int] | None = None
        self._line: Line | None = None
        self._type = 0
        self._event_type: int | None = None
        self._sequence = secrets.randbelow(1 << 16)
        self._time = secrets.randbelow(1 << 32)
        self._name = secrets.randbelow(1 << 32)
        self._first = True
        #: The time of the last key: each comes in several packets (RFC 4733 section 2.5.1.4).
        self._key_at: int | None = None

    @property
    def port(self) -> int:
        """Where we hear."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def join(self, remote: tuple[str, int], law: Law, *, event_type: int | None) -> Line:
        """Send there from now on, and hear.

        :param event_type: the payload type of keys; None: none come this way.
        """
        self._remote, self._type, self._event_type = remote, TYPES[law], event_type
        self._line = Line(self.send, law)
        return self._line

    def send_to(self, remote: tuple[str, int]) -> None:
        """The far end wants its sound elsewhere."""
        self._remote = remote

    def send(self, frame: bytes) -> None:
        """Send 20 ms."""
        assert self._transport is not None and self._remote is not None
        marker = 0x80 if self._first else 0
        header = _HEADER.pack(0x80, marker | self._type, self._sequence, self._time, self._name)
        self._first = False
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._time = (self._time + FRAME) & 0xFFFFFFFF
        self._transport.sendto(header + frame, self._remote)

    def close(self) -> None:
        """Send and hear no more."""
        if self._transport is not None:
            self._transport.abort()

    # What comes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a port."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Something came."""
        if self._line is None or (self._source or addr) != addr:
            return
        found = payload_of(data)
        if found is None:
            return
        kind, at, payload = found
        self._source = addr
        if kind == self._type:
            self._line.heard(payload)
        elif kind == self._event_type and len(payload) >= 4 and at != self._key_at:
            self._key_at = at
            if payload[0] < len(_KEYS):
                self._line.pressed(_KEYS[payload[0]])


def payload_of(data: bytes) -> tuple[int, int, bytes] | None:
    """Payload type, time and payload of a packet (RFC 3550 section 5.1); None: it is none."""
    if len(data) < _HEADER.size or data[0] >> 6 != 2:
        return None
    first, kind, _, at, _ = _HEADER.unpack_from(data)
    begin = _HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < begin + 4:
            return None
        begin += 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4], "big")
    end = len(data) - (data[-1] if first & 0x20 else 0)
    return (kind & 0x7F, at, data[begin:end]) if begin <= end else None


async def open_rtp(host: str, ports: tuple[int, int] | None = None) -> Rtp:
    """Hear on a port of this address.

    :param ports: the first and the last that may be used, for those with a wall before them; None: any.
    :raises OSError: none is free.
    """
    loop = asyncio.get_running_loop()
    if ports is None:
        return (await loop.create_datagram_endpoint(Rtp, local_addr=(host, 0)))[1]
    for port in range(ports[0] + ports[0] % 2, ports[1] + 1, 2):
        try:
            return (await loop.create_datagram_endpoint(Rtp, local_addr=(host, port)))[1]
        except OSError:
            continue
    raise OSError(f"no port from {ports[0]} to {ports[1]} is free")
