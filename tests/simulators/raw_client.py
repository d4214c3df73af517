"""Clients: one that says exactly the bytes it is told to, and an ordinary one."""

from __future__ import annotations

import smtplib
import socket
import time
from collections.abc import Callable

from clinic_dispatch_plugin.simulators.smtp import SmtpSimulator

#: Seconds after which a test that waits for something has failed.
PATIENCE = 10.0


class RawClient:
    """Bytes over a socket, and replies as lists of lines."""

    def __init__(self, port: int, *, greeted: bool = True) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._file = self.socket.makefile("rb")
        if greeted:
            assert self.reply() == ["220 relay.example ESMTP"]

    def say(self, *lines: str | bytes) -> None:
        """Send the lines, each with CRLF, in one write."""
        encoded = (line.encode() if isinstance(line, str) else line for line in lines)
        self.socket.sendall(b"".join(line + b"\r\n" for line in encoded))

    def reply(self) -> list[str]:
        """The next reply; an empty list when the connection has ended."""
        lines: list[str] = []
        while True:
            line = self._file.readline().decode()
            if not line:
                assert not lines, "the connection ended within a reply"
                return []
            assert line.endswith("\r\n")
            lines.append(line[:-2])
            if line[3:4] != "-":
                return lines

    def ask(self, *lines: str | bytes) -> str:
        """Say it, and give the last line of the reply, ``""`` when the connection ended."""
        self.say(*lines)
        return (self.reply() or [""])[-1]

    def ehlo(self) -> list[str]:
        """Greet, and give the capabilities."""
        self.say("EHLO client.example")
        return [line[4:] for line in self.reply()[1:]]

    def mail(
        self, *content: str | bytes, to: str = "b@example.org", parameters: str = ""
    ) -> list[str]:
        """One mail, one command at a time; the replies until one is not positive."""
        replies: list[str] = []
        for command in (f"MAIL FROM:<a@example.org>{parameters}", f"RCPT TO:<{to}>", "DATA"):
            replies.append(self.ask(command))
            if replies[-1][:1] not in "23":
                return replies
        replies.append(self.ask(*content, "."))
        return replies

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self.socket.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread or process does."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def client_of(relay: SmtpSimulator) -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", relay.port, local_hostname="client.example", timeout=10)


def send(client: smtplib.SMTP, *, to: str, text: str = "Guten Tag\r\n") -> tuple[int, bytes]:
    """One mail; the answer to RCPT when it is a refusal, else the answer to the final dot."""
    assert client.mail("clinic@example.org")[0] == 250
    code, words = client.rcpt(to)
    if code != 250:
        client.rset()
        return code, words
    return client.data(f"Message-ID: <for-{to}>\r\nSubject: Termin\r\n\r\n{text}")
