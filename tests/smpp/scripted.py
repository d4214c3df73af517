"""A message centre whose every packet a test writes down, for what no well-behaved centre does."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from clinic_dispatch_plugin.simulators.smpp import packets as wire
from tests.servers.scripted import ClientLeft, ScriptedPeer, ScriptedServer


class Peer(ScriptedPeer):
    """The centre's side of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
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


class ScriptedCentre(ScriptedServer[Peer]):
    """Its n-th connection follows the n-th script, later ones the last."""

    def __init__(self, *scripts: Script, buffer: int = 0) -> None:
        """Follow these scripts.

        :param buffer: octets the network takes for it, about; 0: as usual.
        """
        super().__init__(Peer, scripts)
        if buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)

    @property
    def url(self) -> str:
        return f"smpp://clinic:canary@127.0.0.1:{self.port}"
