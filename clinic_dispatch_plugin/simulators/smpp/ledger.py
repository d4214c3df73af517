"""The centre's memory of what it took, on the disk before it answers: it settles who is right."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLine:
    """One submit_sm that the centre took. Nobody may call a text sent that is not here."""

    at: str
    system_id: str
    message_id: str
    source: str
    destination: str
    data_coding: int
    esm_class: int
    #: The user data as hexadecimal, its header with it.
    text: str
    #: user_message_reference; None: not given.
    reference: int | None
    #: The provider's own parameters, by number as hexadecimal.
    vendor: dict[str, str]
    #: sar_msg_ref_num, sar_total_segments, sar_segment_seqnum; empty: not given.
    sar: list[int]
    #: False: taken, and never answered.
    answered: bool


class Ledger:
    """Appends lines to a file."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it when it is not there.

        :raises OSError: the file cannot be opened.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._dirty = False

    def append(self, line: LedgerLine) -> None:
        """Write a line; :meth:`sync` puts it on the disk.

        :raises OSError: it is not wholly written.
        """
        data = json.dumps(asdict(line)).encode("ascii") + b"\n"
        if os.write(self._file, data) != len(data):
            raise OSError("the ledger could only be written in part")
        self._dirty = True

    def sync(self) -> None:
        """Wait until the disk has every line."""
        if self._dirty:
            os.fsync(self._file)
            self._dirty = False

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def read_ledger(path: Path) -> list[LedgerLine]:
    """All whole lines, oldest first; an empty list when there is no such file.

    A last line without its end was being written when the centre died; no answer can have followed it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    return [LedgerLine(**json.loads(line)) for line in data.split(b"\n")[:-1]]
