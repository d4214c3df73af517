"""The sound of a simulated phone: counts what it hears, greets, and presses keys (RFC 3550, RFC 4733)."""

from __future__ import annotations

import asyncio
import math
import re
import struct
from typing import cast

_HEADER = struct.Struct("!BBHII")
_FRAME, _PER_FRAME = 160, 0.02
_KEYS = "0123456789*#"
_EVENTS = 101
#: A tone in A-law and silence in it, 20 ms each.
_SILENCE = b"\xd5" * _FRAME


class Phone(asyncio.DatagramProtocol):
    """One phone that is in a call."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._remote = ("127.0.0.1", 9)
        self._number, self._time = 1, 8_000
        self._events = _EVENTS
        #: Packets of sound, and those of them that were not silent.
        self.packets = 0
        self.loud = 0

    @property
    def port(self) -> int:
        """Where it hears."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def talk_to(self, sdp: bytes) -> None:
        """Send sound where a caller's offer says."""
        text = sdp.decode("utf-8", "replace")
        host = re.search(r"^c=IN IP4 (\S+)", text, re.MULTILINE)
        port = re.search(r"^m=audio (\d+)", text, re.MULTILINE)
        events = re.search(r"^a=rtpmap:(\d+) telephone-event", text, re.MULTILINE)
        if host and port:
            self._remote = (host[1], int(port[1]))
        if events:
            self._events = int(events[1])

    def hear_at(self, remote: tuple[str, int]) -> None:
        """Send sound there."""
        self._remote = remote

    async def greet(self, seconds: float) -> None:
        """Speak for so long, and be quiet then."""
        for _ in range(round(seconds / _PER_FRAME)):
            self._send(8, _tone())
            await asyncio.sleep(_PER_FRAME)

    async def be_quiet(self) -> None:
        """Send silence until the end."""
        while True:
            self._send(8, _SILENCE)
            await asyncio.sleep(_PER_FRAME)

    def press(self, key: str) -> None:
        """Press a key: three packets while it is down and three when it is up, all of one time."""
        for step in range(6):
            end, length = (0x80, 800) if step > 2 else (0, 160 * (step + 1))
            event = bytes([_KEYS.index(key), end | 10]) + length.to_bytes(2, "big")
            self._send(self._events, event, on=0)
        self._time += 1_600

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a port."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Something was heard."""
        if len(data) == _HEADER.size + _FRAME and data[0] >> 6 == 2:
            self.packets += 1
            self.loud += len(set(data[_HEADER.size :])) > 4

    def _send(self, kind: int, payload: bytes, *, on: int = _FRAME) -> None:
        assert self._transport is not None
        header = _HEADER.pack(0x80, kind, self._number & 0xFFFF, self._time, 0x5150)
        self._transport.sendto(header + payload, self._remote)
        self._number += 1
        self._time += on


def _tone() -> bytes:
    """20 ms of 400 Hz, loud, in A-law: a square that is roughly one is enough for ears like ours."""
    return bytes(
        0x25 if math.sin(math.tau * 400 * at / 8_000) < 0 else 0xA5 for at in range(_FRAME)
    )


def answer_to(host: str, port: int, *, silent: bool = False) -> bytes:
    """The answer to an offer: A-law and keys; ``silent``: nothing of what was offered."""
    kinds = "18" if silent else f"8 {_EVENTS}"
    lines = [
        "v=0", f"o=exchange {port} 1 IN IP4 {host}", "s=call", f"c=IN IP4 {host}", "t=0 0",
        f"m=audio {port} RTP/AVP {kinds}",
        *([] if silent else ["a=rtpmap:8 PCMA/8000", f"a=rtpmap:{_EVENTS} telephone-event/8000"]),
    ]  # fmt: skip
    return "\r\n".join([*lines, ""]).encode()


async def new_phone(host: str) -> Phone:
    """A phone with a port."""
    loop = asyncio.get_running_loop()
    return (await loop.create_datagram_endpoint(Phone, local_addr=(host, 0)))[1]
