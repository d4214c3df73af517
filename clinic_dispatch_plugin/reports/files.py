"""Mails from files: one mail, an mbox, a Maildir, or a folder of mails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from clinic_dispatch_plugin.reports.rules import MOST_BYTES

#: Files one folder may hold.
MOST_FILES = 100_000


class Found(NamedTuple):
    """One mail and where it was."""

    name: str
    raw: bytes


def mails_in(path: Path) -> Iterator[Found]:
    """Every mail of a file or folder.

    :raises OSError: it cannot be read.
    """
    if path.is_dir():
        for file in _files(path):
            yield from _of_file(file)
    else:
        yield from _of_file(path)


def _files(folder: Path) -> list[Path]:
    if (folder / "new").is_dir() and (folder / "cur").is_dir():
        places = [folder / "new", folder / "cur"]
        found = [file for place in places for file in place.iterdir()]
    else:
        found = list(folder.rglob("*.eml")) or list(folder.iterdir())
    return sorted(file for file in found if file.is_file())[:MOST_FILES]


def _of_file(path: Path) -> Iterator[Found]:
    with path.open("rb") as stream:
        if stream.read(5) != b"From ":
            stream.seek(0)
            yield Found(str(path), stream.read(MOST_BYTES))
            return
        stream.seek(0)
        several = list(_of_mbox(stream))
    for number, raw in enumerate(several, start=1):
        yield Found(f"{path}#{number}" if len(several) > 1 else str(path), raw)


def _of_mbox(stream: IO[bytes]) -> Iterator[bytes]:
    """The mails of an mbox: each begins with ``From `` after an empty line."""
    mail: list[bytes] = []
    size, empty = 0, True
    for line in iter(lambda: stream.readline(MOST_BYTES), b""):
        if empty and line.startswith(b"From ") and mail:
            yield b"".join(mail)
            mail, size = [], 0
        empty = not line.strip()
        if size < MOST_BYTES:
            mail.append(line)
            size += len(line)
    if mail:
        yield b"".join(mail)
