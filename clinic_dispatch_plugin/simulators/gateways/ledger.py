"""The gateway's memory of what it took, on the disk before it answers: it settles who is right."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenMessage:
    """One message that was read to its end and not refused. Nobody may call a message sent that is not here."""

    #: UTC, ISO 8601.
    at: str
    #: ``sms``, ``call`` or ``viber``.
    kind: str
    #: Digits alone.
    recipient: str
    #: What the gateway calls it.
    message_id: str
    #: What the sender calls it; empty: nothing.
    reference: str = ""
    #: Characters of the text.
    characters: int = 0
    #: False where the sender never learned of it.
    answered: bool = True


class GatewayLedger:
    """Appends lines to a file, one write per request; keeps them in memory, too."""

    def __init__(self, path: Path | None, *, fsync: bool = True) -> None:
        """Open the file, and make it when it is not there.

        :param path: None: memory is enough.
        :param fsync: wait for the disk each time; the lines then survive a loss of power.
        :raises OSError: the file cannot be opened.
        """
        #: Everything since the start, oldest first.
        self.taken: list[TakenMessage] = []
        self._fsync = fsync
        self._file: int | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def append(self, several: Sequence[TakenMessage]) -> None:
        """Write down the messages of one request; after the return they are safe.

        :raises OSError: they are not, or not wholly, written.
        """
        if self._file is not None and several:
            data = "".join(json.dumps(asdict(each)) + "\n" for each in several).encode("ascii")
            if os.write(self._file, data) != len(data):
                raise OSError("the ledger could only be written in part")
            if self._fsync:
                os.fsync(self._file)
        self.taken.extend(several)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read_taken(path: Path) -> list[TakenMessage]:
    """All lines, oldest first; a last line without its end, written while the gateway died, is left out."""
    try:
        data = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return []
    return [TakenMessage(**json.loads(line)) for line in data.split("\n")[:-1]]
