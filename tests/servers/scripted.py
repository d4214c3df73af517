"""A server whose every connection follows a script of the test, for what no well-behaved server does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

#: Seconds after which a peer that hears nothing gives up: the test has gone wrong.
PATIENCE = 20.0


class ClientLeft(Exception):
    """The client has closed the connection."""


class ScriptedPeer:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def say_bytes(self, data: bytes) -> None:
        try:
            self.connection.sendall(data)
        except OSError as error:
            raise ClientLeft from error


Spoken = TypeVar("Spoken", bound=ScriptedPeer)


class ScriptedServer(Generic[Spoken]):
    """Listens on loopback; its n-th connection follows the n-th script, later ones the last."""

    def __init__(
        self, peer: Callable[[socket.socket], Spoken], scripts: Sequence[Callable[[Spoken], None]]
    ) -> None:
        self._peer = peer
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self._threads: list[threading.Thread] = []
        self._problems: list[BaseException] = []
        self._peers: list[Spoken] = []
        self.connections = 0

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._peers:  # a client that keeps its connection is not waited for
            with contextlib.suppress(OSError):
                peer.connection.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(PATIENCE)
        if self._problems and error is None:
            raise self._problems[0]

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            self._peers.append(self._peer(connection))
            self._start(partial(self._follow, script, self._peers[-1]))

    def _follow(self, script: Callable[[Spoken], None], peer: Spoken) -> None:
        try:
            script(peer)
        except ClientLeft:
            pass
        except BaseException as problem:
            self._problems.append(problem)
        finally:
            peer.connection.close()
