"""A relay for benchmarks: takes any mail, as slowly and as unwillingly as its options say; a process of its own.

``python relay.py PORT --after-text 0.05`` waits after each message's text, ``--round-trip 0.02`` answers everything
that much later, as a far network does. Recipients called ``refuse-<n>.…`` get the n-th refusal; those called
``grey.…`` are told to come back, the first time.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections import deque

#: Ten reasons, in the order of their numbers.
REFUSALS = (
    b"550 5.1.1 No such user",
    b"550 5.1.2 No such host",
    b"550 5.1.4 Ambiguous address",
    b"550 5.2.1 Mailbox disabled",
    b"550 5.1.6 The mailbox has moved",
    b"553 5.1.3 Bad address syntax",
    b"550 5.4.6 Routing loop",
    b"550 5.1.10 Recipient has a null MX",
    b"554 5.3.4 Message too big for system",
    b"550 5.6.1 Media not supported",
)
GREETING = b"220 relay.example ESMTP\r\n"
HELLO = b"250-relay.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
END = b"\r\n.\r\n"


class Session(asyncio.Protocol):
    """One client."""

    after_text = 0.0
    round_trip = 0.0
    seen: set[bytes] = set()

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._taking_text = False
        self._refused = False
        #: Replies wait for those before them; the time is when they may go.
        self._replies: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._say(GREETING)
        self._go()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say nothing more."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Understand all that is whole."""
        self._buffer += data
        while True:
            if self._taking_text:
                at = self._buffer.find(END)
                if at < 0:
                    break
                self._buffer = self._buffer[at + len(END) :]
                self._taking_text = False
                self._say(b"250 2.0.0 Ok\r\n", wait=self.after_text)
                continue
            line, found, rest = self._buffer.partition(b"\r\n")
            if not found:
                break
            self._buffer = rest
            self._command(line)
        self._go()

    def _command(self, line: bytes) -> None:
        word = line[:4].upper()
        if word == b"RCPT":
            self._say(self._recipient(line[line.find(b"<") + 1 : line.find(b">")]))
        elif word == b"DATA":
            self._taking_text = not self._refused
            self._say(b"554 5.5.1 No recipients\r\n" if self._refused else b"354 Go\r\n")
        elif word in (b"EHLO", b"HELO"):
            self._say(HELLO)
        elif word == b"QUIT":
            self._say(b"221 2.0.0 Bye\r\n")
        else:
            self._refused = False
            self._say(b"250 2.0.0 Ok\r\n")

    def _recipient(self, address: bytes) -> bytes:
        self._refused = True
        if address.startswith(b"refuse-"):
            return REFUSALS[int(address[7:8])] + b"\r\n"
        if address.startswith(b"grey.") and address not in self.seen:
            self.seen.add(address)
            return b"451 4.7.1 Greylisted, come back later\r\n"
        self._refused = False
        return b"250 2.1.5 Ok\r\n"

    def _say(self, reply: bytes, *, wait: float = 0.0) -> None:
        at = self._loop.time() + self.round_trip + wait
        if self._replies:
            at = max(at, self._replies[-1][0])
        self._replies.append((at, reply))

    def _go(self) -> None:
        if self._timer is not None:
            return
        now, ready = self._loop.time(), []
        while self._replies and self._replies[0][0] <= now:
            ready.append(self._replies.popleft()[1])
        if ready:
            self._transport.write(b"".join(ready))
        if self._replies:
            self._timer = self._loop.call_at(self._replies[0][0], self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._go()


async def serve(port: int) -> None:
    """Until SIGTERM."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    server = await loop.create_server(Session, "127.0.0.1", port, backlog=1000)
    async with server:
        await over.wait()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--after-text", type=float, default=0.0)
    parser.add_argument("--round-trip", type=float, default=0.0)
    options = parser.parse_args()
    Session.after_text, Session.round_trip = options.after_text, options.round_trip
    asyncio.run(serve(options.port))


if __name__ == "__main__":
    main()
