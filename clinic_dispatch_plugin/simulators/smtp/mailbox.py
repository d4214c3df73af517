"""Keeps what the relay accepted, so that a person or a test can look at what went out."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Protocol

_FROM_LINE = re.compile(rb"^(>*From )", re.MULTILINE)


class Mailbox(Protocol):
    """A place for accepted messages."""

    def keep(self, content: bytes, *, queue_id: str, sender: str, at: datetime) -> None:
        """Store one message.

        :param content: with CRLF line ends and without transparency dots.
        :raises OSError: it is not stored.
        """
        ...


class FolderMailbox:
    """One file per message, ``<queue id>.eml``, byte by byte what came."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def keep(self, content: bytes, *, queue_id: str, sender: str, at: datetime) -> None:
        """Store one message as a file of its own; who lists the folder never meets half of one."""
        hidden = self._folder / f".{queue_id}"
        hidden.write_bytes(content)
        hidden.replace(self._folder / f"{queue_id}.eml")


class MboxMailbox:
    """One file with all messages in the ``mboxrd`` form (RFC 4155 names the family)."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file

    def keep(self, content: bytes, *, queue_id: str, sender: str, at: datetime) -> None:
        """Append one message."""
        body = _FROM_LINE.sub(rb">\1", content.replace(b"\r\n", b"\n"))
        # The sender of this line ends at the first space, which a quoted local part may hold.
        shown = sender.replace(" ", "_") or "MAILER-DAEMON"
        first = f"From {shown} {at:%a %b %d %H:%M:%S %Y}\n".encode()
        with self._file.open("ab") as stream:
            stream.write(first + body + b"\n")


def open_mailbox(path: Path | None) -> Mailbox | None:
    """A folder, or one file where the path ends in ``.mbox``."""
    if path is None:
        return None
    return MboxMailbox(path) if path.suffix == ".mbox" else FolderMailbox(path)
