"""Finds out how the bytes of a recipient file stand for letters, reading all of them once."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Final

from clinic_dispatch_plugin.mailings.recipient_problems import FileProblem, RecipientFileError

_CHUNK_BYTES: Final = 64 * 1024
_HEAD_BYTES: Final = 4096
_MEBIBYTE: Final = 1024 * 1024

#: Stands for a byte that is left over at the end; half a character can come from nowhere else.
LEFT_OVER: Final = "\udc80"

#: A lead of so many letters between Windows-1251 and 1252 is not lost again.
_ENOUGH_LETTERS: Final = 20_000
#: Letters of Windows-1251 beyond the Russian alphabet: Ukrainian, Belarusian, and Ё.
_HIGH_LETTERS: Final = re.compile(rb"[\xc0-\xff\xa1\xa2\xa5\xa8\xaa\xaf\xb2\xb3\xb4\xb8\xba\xbf]+")
_GERMAN_HIGH: Final = frozenset("ÄÖÜäöüß".encode("cp1252"))
_ASCII_LETTERS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_MARKUP: Final = re.compile(rb"\s*<(?:!doctype|html|\?xml|table|meta|head)", re.IGNORECASE)


class FileEncoding(StrEnum):
    """The encodings a recipient file may have; the values are Python's names for them."""

    UTF_8 = "utf-8"
    UTF_16_LE = "utf-16-le"
    UTF_16_BE = "utf-16-be"
    WINDOWS_1251 = "cp1251"
    WINDOWS_1252 = "cp1252"


_MARKS: Final = (
    (codecs.BOM_UTF8, FileEncoding.UTF_8),
    (codecs.BOM_UTF16_LE, FileEncoding.UTF_16_LE),
    (codecs.BOM_UTF16_BE, FileEncoding.UTF_16_BE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteSurvey:
    """What reading all bytes once has shown; ``mark_bytes`` long is the byte order mark."""

    encoding: FileEncoding
    mark_bytes: int
    total_bytes: int


def survey(stream: BinaryIO, *, most_bytes: int, declared: FileEncoding | None) -> ByteSurvey:
    """Read ``stream`` to its end and decide its encoding.

    A byte order mark decides; then ``declared``; then zero bytes in every second place (UTF-16);
    then whether the bytes beyond ASCII mostly form UTF-8 (single wrong bytes are left to their
    rows); what remains is Windows-1251 or 1252.

    :raises RecipientFileError: empty, too large, or not a text file.
    """
    head = _read_head(stream)
    _refuse_other_formats(head)
    tally = _Tally()
    total = 0
    chunk = head
    while chunk:
        total += len(chunk)
        if total > most_bytes:
            raise RecipientFileError(FileProblem.TOO_LARGE, limit=most_bytes // _MEBIBYTE)
        tally.add(chunk)
        chunk = stream.read(_CHUNK_BYTES)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return ByteSurvey(encoding=encoding, mark_bytes=len(mark), total_bytes=total)
    encoding = declared or _utf_16_without_mark(head) or tally.verdict()
    if encoding not in (FileEncoding.UTF_16_LE, FileEncoding.UTF_16_BE):
        _refuse_binary(head)
    return ByteSurvey(encoding=encoding, mark_bytes=0, total_bytes=total)


def decoded(stream: BinaryIO, encoding: FileEncoding) -> Iterator[str]:
    """The text of ``stream`` in pieces; what cannot be read becomes lone surrogates."""
    # Neither handler can fail on its encodings, and both mark what was wrong by lone surrogates.
    utf_16 = encoding in (FileEncoding.UTF_16_LE, FileEncoding.UTF_16_BE)
    decoder = codecs.getincrementaldecoder(encoding)(
        "surrogatepass" if utf_16 else "surrogateescape"
    )
    while chunk := stream.read(_CHUNK_BYTES):
        yield decoder.decode(chunk)
    try:
        yield decoder.decode(b"", True)
    except UnicodeDecodeError:
        yield LEFT_OVER


def _read_head(stream: BinaryIO) -> bytes:
    head = b""
    while len(head) < _HEAD_BYTES and (chunk := stream.read(_HEAD_BYTES - len(head))):
        head += chunk
    if not head.strip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"):
        if head.count(0) > len(head) // 2:  # more than white space in UTF-16 has
            raise RecipientFileError(FileProblem.NOT_TEXT)
        if len(head) < _HEAD_BYTES:
            raise RecipientFileError(FileProblem.EMPTY)
    return head


def _refuse_other_formats(head: bytes) -> None:
    if head.startswith(b"PK\x03\x04"):
        if b"vnd.oasis.opendocument.spreadsheet" in head:
            raise RecipientFileError(FileProblem.SPREADSHEET)
        office = b"[Content_Types].xml" in head or b"xl/" in head
        other_office = b"word/" in head or b"ppt/" in head
        excel = office and not other_office
        raise RecipientFileError(FileProblem.EXCEL if excel else FileProblem.ARCHIVE)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):  # the container of .xls
        raise RecipientFileError(FileProblem.EXCEL)
    if head.startswith(b"%PDF-"):
        raise RecipientFileError(FileProblem.PDF)
    if head.startswith((b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ")):
        raise RecipientFileError(FileProblem.ARCHIVE)
    if _MARKUP.match(head.removeprefix(codecs.BOM_UTF8)):
        raise RecipientFileError(FileProblem.WEB_PAGE)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise RecipientFileError(FileProblem.NOT_TEXT)


def _refuse_binary(head: bytes) -> None:
    if len(_CONTROL.findall(head)) * 20 > len(head):
        raise RecipientFileError(FileProblem.NOT_TEXT)


def _utf_16_without_mark(head: bytes) -> FileEncoding | None:
    """UTF-16 by its high bytes: nearly all 00 or 04 (Latin, Cyrillic), while no low byte is 00."""
    even, odd = head[: len(head) & ~1 : 2], head[1::2]
    for encoding, low, high in (
        (FileEncoding.UTF_16_LE, even, odd),
        (FileEncoding.UTF_16_BE, odd, even),
    ):
        blocks = high.count(b"\x00") + high.count(b"\x04")
        if b"\x00" in high and b"\x00" not in low and blocks * 10 >= len(high) * 9:
            return encoding
    return None


class _Tally:
    """Counts what speaks for UTF-8, for Windows-1251 and for Windows-1252."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._characters = 0
        self._wrong_bytes = 0
        self._cyrillic = 0
        self._latin = 0

    def add(self, chunk: bytes) -> None:
        text = self._decoder.decode(chunk)
        if text.isascii():
            return
        # Lengths tell how many bytes were wrong, without looking at each of millions.
        readable = len(text.encode("utf-8", "ignore"))
        wrong = len(text.encode("utf-8", "surrogateescape")) - readable
        self._wrong_bytes += wrong
        self._characters += len(text) - len(text.encode("ascii", "ignore")) - wrong
        if wrong and abs(self._cyrillic - self._latin) < _ENOUGH_LETTERS:
            self._add_letters(chunk)

    def _add_letters(self, chunk: bytes) -> None:
        # An umlaut stands alone or in a pair among ASCII letters; a Cyrillic word has none.
        for run in _HIGH_LETTERS.finditer(chunk):
            start, end = run.span()
            neighbours = chunk[max(start - 1, 0) : start] + chunk[end : end + 1]
            beside_latin = not _ASCII_LETTERS.isdisjoint(neighbours)
            if beside_latin and end - start <= 2:
                self._latin += end - start
            elif end - start >= 2 and not _GERMAN_HIGH.issuperset(run[0]):
                self._cyrillic += end - start

    def verdict(self) -> FileEncoding:
        self._wrong_bytes += len(self._decoder.getstate()[0])  # cut off inside a character
        if self._wrong_bytes <= self._characters:
            return FileEncoding.UTF_8
        if self._cyrillic > self._latin:
            return FileEncoding.WINDOWS_1251
        return FileEncoding.WINDOWS_1252
