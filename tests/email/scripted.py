"""A relay whose every word a test writes down, for the answers no well-behaved relay gives."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable

from tests.servers.scripted import PATIENCE, ClientLeft, ScriptedPeer, ScriptedServer

EXTENSIONS = ("PIPELINING", "8BITMIME", "SIZE 10240000")


class Peer(ScriptedPeer):
    """The relay's side of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self._buffer = b""

    def say(self, *lines: str) -> None:
        """Send these lines in one piece."""
        self.say_bytes(b"".join(line.encode() + b"\r\n" for line in lines))

    def line(self) -> str:
        """The next line without its end."""
        while b"\r\n" not in self._buffer:
            self._fill()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode()

    def expect(self, *commands: str) -> list[str]:
        """Read one line for each command; each must begin so."""
        lines = []
        for command in commands:
            line = self.line()
            assert line.upper().startswith(command), f"{command} was due, {line!r} came"
            lines.append(line)
        return lines

    def text(self) -> bytes:
        """A message text up to its final dot, the dots of transparency still in it."""
        while not (self._buffer.startswith(b".\r\n") or b"\r\n.\r\n" in self._buffer):
            self._fill()
        if self._buffer.startswith(b".\r\n"):
            self._buffer = self._buffer[3:]
            return b""
        text, _, self._buffer = self._buffer.partition(b"\r\n.\r\n")
        return text + b"\r\n"

    def has_more(self, seconds: float = 0.05) -> bool:
        """Whether something more comes without our saying anything."""
        if self._buffer:
            return True
        self.connection.settimeout(seconds)
        try:
            self._fill()
        except TimeoutError:
            return False
        finally:
            self.connection.settimeout(PATIENCE)
        return True

    def greet(self, *extensions: str) -> None:
        """Greeting and EHLO."""
        self.say("220 relay.example ESMTP")
        self.expect("EHLO")
        words = ["relay.example", *(extensions or EXTENSIONS)]
        self.say(*[f"250-{word}" for word in words[:-1]], f"250 {words[-1]}")

    def envelope(self) -> list[str]:
        """Read a whole envelope and grant its text."""
        lines = self.expect("MAIL", "RCPT", "DATA")
        self.say("250 2.1.0 Ok", "250 2.1.5 Ok", "354 Go on")
        return lines

    def accept(self, queue_id: str = "Q1") -> bytes:
        """Read a text and take it."""
        text = self.text()
        self.say(f"250 2.0.0 Ok: queued as {queue_id}")
        return text

    def serve(self) -> None:
        """Go on as an ordinary relay until the client leaves."""
        while True:
            command = self.line().upper()
            if command.startswith("DATA"):
                self.say("354 Go on")
                self.accept()
            elif command.startswith("QUIT"):
                self.say("221 Bye")
                return
            else:
                self.say("250 2.0.0 Ok")

    def wait_for_the_end(self) -> None:
        """Stay silent until the client leaves."""
        with contextlib.suppress(ClientLeft):
            while True:
                self._fill()

    def reset(self) -> None:
        """End the connection as a crashed relay does: by RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _fill(self) -> None:
        try:
            data = self.connection.recv(65_536)
        except TimeoutError:
            raise
        except OSError as error:
            raise ClientLeft from error
        if not data:
            raise ClientLeft
        self._buffer += data


Script = Callable[[Peer], None]


def ordinary(peer: Peer) -> None:
    """A relay without any trouble."""
    peer.greet()
    peer.serve()


class ScriptedRelay(ScriptedServer[Peer]):
    """Its n-th connection follows the n-th script, later ones the last."""

    def __init__(self, *scripts: Script) -> None:
        super().__init__(Peer, scripts or (ordinary,))

    def url(self, options: str = "", *, login: str = "", scheme: str = "smtp") -> str:
        """The address as the channel's variable takes it."""
        return f"{scheme}://{login}127.0.0.1:{self.port}?{options}"
