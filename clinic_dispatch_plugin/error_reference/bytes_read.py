"""The lines of a file that somebody hands in, read bounded; a file that is none of ours says what to do."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from clinic_dispatch_plugin.web.i18n import N_

MOST_BYTES = 32 * 1024 * 1024
MOST_ROWS = 20_000
#: Characters of one line of a file.
LONGEST_LINE = 200_000
_HEAD = 4_096
_MARKUP = re.compile(rb"\s*<(?:!doctype|html|\?xml|table|meta|head|body|svg)", re.IGNORECASE)
_AS_CSV = N_("Open it in your spreadsheet program, save it as “CSV UTF-8” and choose that file.")
_OURS = N_("Choose a file that was exported on this page.")
_FOREIGN: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    (
        (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"),
        N_("This is a spreadsheet file or an archive."),
        _AS_CSV,
    ),
    ((b"%PDF-",), N_("This is a PDF file."), _OURS),
    ((b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ"), N_("This is an archive."), _OURS),
)


class FileFault(ValueError):
    """A whole file cannot be used: what it is, and what to do (English, for translation)."""

    def __init__(self, message: str, advice: str, **fields: object) -> None:
        super().__init__(f"{message} {advice}".format_map(fields))
        self.message = message
        self.advice = advice
        self.fields = fields


@dataclass(frozen=True, slots=True)
class Source:
    """A file's beginning, as far as it tells what it is."""

    #: ``jsonl`` or ``csv``.
    kind: str
    encoding: str


def look_at(stream: BinaryIO) -> Source:
    """What kind of file this is; the stream stands at its beginning again.

    :raises FileFault: none of ours.
    """
    head = stream.read(_HEAD)
    stream.seek(0)
    for marks, message, advice in _FOREIGN:
        if head.startswith(marks):
            raise FileFault(message, advice)
    encoding = _encoding(head)
    plain = head.removeprefix(codecs.BOM_UTF8)
    if _MARKUP.match(plain):
        raise FileFault(N_("This is a web page."), _OURS)
    if encoding == "utf-8-sig" and b"\0" in head:
        raise FileFault(N_("This is no text file."), _OURS)
    if not plain.strip(b"\xff\xfe\0 \t\r\n"):
        raise FileFault(N_("The file is empty."), _OURS)
    begins = plain.lstrip(b"\xff\xfe\0 \t\r\n")[:1]
    return Source("jsonl" if begins in (b"{", b"[") else "csv", encoding)


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise FileFault(N_("The letters of the file cannot be read."), _AS_CSV)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


def lines(stream: BinaryIO, source: Source) -> Iterator[str]:
    """The file's lines with their ends, one after the other.

    :raises FileFault: it is too large, or no text.
    """
    newline = "" if source.kind == "csv" else "\n"
    # A stream of its own, so that closing it leaves the caller's open.
    text = io.TextIOWrapper(
        io.BufferedReader(_Bounded(stream)), encoding=source.encoding, newline=newline
    )
    try:
        number = 0
        while line := text.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise FileFault(
                    N_("Line {line} of the file is longer than {limit} characters."),
                    _OURS,
                    line=number,
                    limit=LONGEST_LINE,
                )
            if "\0" in line:
                raise FileFault(N_("This is no text file."), _OURS)
            yield line
    except UnicodeError:
        raise FileFault(N_("The letters of the file cannot be read."), _AS_CSV) from None


class _Bounded(io.RawIOBase):
    """A stream that ends in words where it is too long."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = MOST_BYTES

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: object) -> int:
        """Read the next portion."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        portion = self._stream.read(len(view))
        self._left -= len(portion)
        if self._left < 0:
            raise too_large()
        view[: len(portion)] = portion
        return len(portion)


def too_large() -> FileFault:
    """The fault of a file that is too long."""
    return FileFault(
        N_("The file is larger than {limit} MiB."), _OURS, limit=MOST_BYTES // (1024 * 1024)
    )


def too_many() -> FileFault:
    """The fault of a file with too many rows."""
    return FileFault(N_("The file has more than {limit} rows."), _OURS, limit=MOST_ROWS)
