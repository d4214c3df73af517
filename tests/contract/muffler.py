"""Stands between a channel and the relay simulator and cuts, swallows or delays, as a bad network does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

_DOT = b"\r\n.\r\n"


class Muffler:
    """A proxy on loopback; what it does depends on the recipient of the message that just went through."""

    def __init__(self, port: int, *, slow_seconds: float = 0.3) -> None:
        self._target = port
        self._slow_seconds = slow_seconds
        #: Recipients after whose final dot the relay is not heard any more.
        self.silent: set[str] = set()
        #: Recipients after whose final dot the answer takes its time.
        self.slow: set[str] = set()
        #: Recipients whose envelope ends the connection.
        self.cut: set[str] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self._sockets: list[socket.socket] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                relay = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._sockets += [client, relay]
            line = _Line(self, client, relay)
            for work in (line.to_relay, line.to_client):
                threading.Thread(target=work, daemon=True).start()

    def way_of(self, text: bytes) -> str:
        """What is to happen after this message's final dot."""
        for way, addresses in (("silent", self.silent), ("slow", self.slow)):
            if _names(text, addresses):
                return way
        return ""

    def cuts(self, text: bytes) -> bool:
        """Whether the connection ends at this point of an envelope."""
        return _names(text, self.cut)

    @property
    def slow_seconds(self) -> float:
        return self._slow_seconds


def _names(text: bytes, addresses: set[str]) -> bool:
    return any(f"TO:<{address}>".encode() in text for address in addresses)


class _Line:
    """One connection through the proxy."""

    def __init__(self, muffler: Muffler, client: socket.socket, relay: socket.socket) -> None:
        self._muffler = muffler
        self._client = client
        self._relay = relay
        self._since_dot = b""
        self._way = ""

    def to_relay(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._client.recv(65_536):
                self._listen(data)
                if self._muffler.cuts(self._since_dot):
                    self._close(self._client)
                    break
                self._relay.sendall(data)
        self._close(self._relay)

    def to_client(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._relay.recv(65_536):
                if self._way == "silent":
                    continue
                if self._way == "slow":
                    self._way = ""
                    time.sleep(self._muffler.slow_seconds)
                self._client.sendall(data)
        if self._way != "silent":
            self._close(self._client)

    def _listen(self, data: bytes) -> None:
        self._since_dot += data
        while _DOT in self._since_dot:
            message, _, self._since_dot = self._since_dot.partition(_DOT)
            if self._way != "silent":
                self._way = self._muffler.way_of(message) or self._way

    def _close(self, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)
