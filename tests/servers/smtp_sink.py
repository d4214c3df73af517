"""Postfix's own ``smtp-sink`` for the tests: takes any mail very fast, and each into a file of its own on request."""

from __future__ import annotations

import contextlib
import email
import email.policy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from tests.servers.found import Found, Missing, look_for
from tests.servers.process import Running, answers, free_port, private_folder, start, unprivileged

PART = "smtp-sink"


def find() -> Found | Missing:
    """Look for the program; it comes with Postfix."""
    return look_for(PART, ["smtp-sink"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSink:
    """A running sink."""

    running: Running
    port: int
    mail_folder: Path

    @property
    def url(self) -> str:
        """Return the relay's URL as ``CLINIC_DISPATCH_EMAIL_URL`` takes it."""
        return f"smtp://127.0.0.1:{self.port}"

    def messages(self) -> list[EmailMessage]:
        """Return every mail kept so far, in no particular order; the sink adds ``X-Rcpt-Args`` and the like."""
        files = [path for path in self.mail_folder.iterdir() if path.is_file()]
        texts = [path.read_bytes() for path in files]
        return [email.message_from_bytes(each, policy=email.policy.default) for each in texts]


@contextlib.contextmanager
def running(found: Found, *, keep: bool = True, options: Sequence[str] = ()) -> Iterator[SmtpSink]:
    """Start a sink on a free loopback port and stop it afterwards.

    :param keep: write each mail to a file; a benchmark says no.
    :param options: more of the program's own, such as ``("-r", "RCPT")`` to answer 5xx; see smtp-sink(1).
    """
    user = unprivileged("nobody")
    port = free_port()
    with private_folder("sink", owner=user) as folder:
        mail = folder / "mail"
        mail.mkdir()
        mail.chmod(0o777)  # the sink's own user writes here; nobody else can enter the folder above
        into = ["-d", f"{mail}/%s."] if keep else []
        command = [found.program("smtp-sink"), "-c", *into, *options]
        server = start([*command, f"127.0.0.1:{port}", "1000"], folder=folder, user=user)
        try:
            server.wait_until(lambda: answers(port))
            yield SmtpSink(running=server, port=port, mail_folder=mail)
        finally:
            server.stop()
