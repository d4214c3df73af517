"""A message centre whose every packet a test writes down, for what no well-behaved centre does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from clinic_dispatch_plugin.simulators.smpp import packets as wire

#: Seconds after which a peer that hears nothing gives up: the test has gone wrong.
PATIENCE = 20.0


class ClientLeft(Exception):
    """The client has closed the connection."""


class Peer:
    """The centre's side of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def hear(self, command: int) -> wire.Pdu:
        """The next packet, which must be this one."""
        pdu = self.next()
        assert pdu.command == command, f"0x{command:X} was due, 0x{pdu.command:X} came"
        return pdu

    def hear_among_others(self, command: int) -> wire.Pdu:
        """The next packet of this kind, whatever comes before it."""
        while (pdu := self.next()).command != command:
            pass
        return pdu

    def next(self) -> wire.Pdu:
        """The next packet."""
        while (pdu := wire.cut(self._buffer)) is None:
            try:
                data = self.connection.recv(65_536)
            except OSError as error:
                raise ClientLeft from error
            if not data:
                raise ClientLeft
            self._buffer += data
        return pdu

    def say(self, command: int, sequence: int, body: bytes = b"", *, status: int = 0) -> None:
        self.say_bytes(wire.pack(command, sequence, body, status=status))

    def say_bytes(self, data: bytes) -> None:
        try:
            self.connection.sendall(data)
        except OSError as error:
            raise ClientLeft from error

    def answer(self, pdu: wire.Pdu, body: bytes = b"", *, status: int = 0) -> None:
        self.say(pdu.command | wire.RESPONSE, pdu.sequence, body, status=status)

    def let_in(self) -> None:
        """Answer the bind."""
        self.answer(self.hear(wire.BIND_TRANSCEIVER), b"scripted\0")

    def take(self, message_id: bytes = b"1") -> None:
        """Read a text and take it."""
        self.answer(self.hear(wire.SUBMIT_SM), message_id + b"\0")

    def wait_for_the_end(self) -> None:
        """Stay silent until the client leaves; only its goodbye is answered."""
        with contextlib.suppress(OSError):
            while data := self.connection.recv(65_536):
                self._buffer += data
                while (pdu := wire.cut(self._buffer)) is not None:
                    if pdu.command == wire.UNBIND:
                        self.answer(pdu)


Script = Callable[[Peer], None]


class ScriptedCentre:
    """Listens on loopback; its n-th connection follows the n-th script, later ones the last."""

    def __init__(self, *scripts: Script, buffer: int = 0) -> None:
        """Follow these scripts.

        :param buffer: octets the network takes for it, about; 0: as usual.
        """
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        if buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._threads: list[threading.Thread] = []
        self._problems: list[BaseException] = []
        self._peers: list[Peer] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"smpp://clinic:canary@127.0.0.1:{self._listener.getsockname()[1]}"

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
            peer = Peer(connection)
            self._peers.append(peer)
            self._start(lambda script=script, peer=peer: self._follow(script, peer))  # type: ignore[misc]

    def _follow(self, script: Script, peer: Peer) -> None:
        try:
            script(peer)
        except ClientLeft:
            pass
        except BaseException as problem:
            self._problems.append(problem)
        finally:
            peer.connection.close()
