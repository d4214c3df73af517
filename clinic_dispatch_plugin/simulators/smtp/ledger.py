"""The relay's memory of what it took, written before it answers: it settles who is right."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLine:
    """One recipient of one message that the relay has read to its final dot and not refused.

    Nobody may call a message sent that is not here.
    """

    #: UTC, when the final dot was there.
    at: datetime
    #: ENVID of the envelope, decoded (RFC 3461 4.4); None: the sender gave none.
    envid: str | None
    #: As it stands in the header, with its angle brackets; None: the message has none.
    message_id: str | None
    sender: str
    recipient: str
    scenario: str
    #: False only for the scenario ``lost``: read to the end, and never spoken about.
    accepted: bool
    #: Octets of the content without the transparency dots.
    size: int
    #: What the reply calls the message.
    queue_id: str


class LedgerDamagedError(Exception):
    """A line of the ledger, other than an unfinished last one, is not what the relay writes."""


class Ledger:
    """Appends lines to a file, one write per message, so that several relays may share it."""

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        """Open the file, and make it when it is not there.

        :param fsync: wait for the disk each time; the lines then survive a loss of power.
        :raises OSError: the file cannot be opened.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fsync = fsync
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def append(self, lines: Sequence[LedgerLine]) -> None:
        """Write the lines of one message; after the return the operating system has them.

        :raises OSError: they are not, or not wholly, written.
        """
        data = b"".join(_encoded(line) for line in lines)
        if os.write(self._file, data) != len(data):
            raise OSError("the ledger could only be written in part")
        if self._fsync:
            os.fsync(self._file)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def read_ledger(path: Path) -> list[LedgerLine]:
    """All lines, oldest first; an empty list when there is no such file.

    A last line without its end was being written when the relay died. No answer can have followed
    it, so it is left out.

    :raises LedgerDamagedError: another line cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    return [_decoded(line, number=number) for number, line in enumerate(data.split(b"\n")[:-1], 1)]


def _encoded(line: LedgerLine) -> bytes:
    return (
        json.dumps(
            {
                "at": line.at.isoformat(),
                "envid": line.envid,
                "message_id": line.message_id,
                "from": line.sender,
                "to": line.recipient,
                "scenario": line.scenario,
                "accepted": line.accepted,
                "size": line.size,
                "queue_id": line.queue_id,
            }
        ).encode("ascii")
        + b"\n"
    )


def _decoded(line: bytes, *, number: int) -> LedgerLine:
    try:
        row = json.loads(line)
        return LedgerLine(
            at=datetime.fromisoformat(row["at"]).astimezone(UTC),
            envid=row["envid"],
            message_id=row["message_id"],
            sender=row["from"],
            recipient=row["to"],
            scenario=row["scenario"],
            accepted=row["accepted"],
            size=row["size"],
            queue_id=row["queue_id"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerDamagedError(f"line {number} of the ledger is damaged: {error!r}") from error
