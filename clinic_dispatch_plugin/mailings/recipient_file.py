"""Reads a CSV of recipients row by row: its size costs no memory, a bad row no good one."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

from clinic_dispatch_plugin.mailings.recipient_columns import (
    Column,
    Role,
    best_delimiter,
    columns_of,
)
from clinic_dispatch_plugin.mailings.recipient_encoding import (
    ByteSurvey,
    FileEncoding,
    decoded,
    survey,
)
from clinic_dispatch_plugin.mailings.recipient_problems import (
    FileProblem,
    RecipientFileError,
    RowProblem,
)
from clinic_dispatch_plugin.mailings.recipient_records import (
    LONGEST_RECORD,
    LineSource,
    Record,
    RecordReader,
    physical_lines,
)
from clinic_dispatch_plugin.mailings.recipient_rows import (
    CONTROL,
    UNREADABLE,
    BadRow,
    RecipientRow,
    RowJudge,
)

__all__ = [
    "BadRow",
    "Column",
    "FileEncoding",
    "FileLimits",
    "FileProblem",
    "RecipientFile",
    "RecipientFileError",
    "RecipientRow",
    "Role",
    "RowProblem",
    "open_recipients",
]

_SPOOL_BYTES: Final = 1024 * 1024
_SEPARATOR_LINE: Final = re.compile(r'"?sep=([^\w\s"]|\t)"?[\r\n]*\Z', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """How much one file may hold; cells are measured in characters."""

    most_bytes: int = 64 * 1024 * 1024
    most_rows: int = 200_000
    longest_cell: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientFile:
    """A file whose encoding and header are good; each :meth:`rows` reads its rows anew.

    :ivar delimiter: between cells: comma, semicolon, tab, or what a ``sep=`` line names.
    :ivar header_line: physical line of the column names.
    """

    source: Path | BinaryIO
    start: int
    is_copy: bool
    byte_survey: ByteSurvey
    delimiter: str
    header_line: int
    columns: tuple[Column, ...]
    limits: FileLimits

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the temporary copy of a stream that could not be rewound; else do nothing."""
        if self.is_copy and not isinstance(self.source, Path):
            self.source.close()

    @property
    def encoding(self) -> FileEncoding:
        """How the file's bytes were read."""
        return self.byte_survey.encoding

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names that a text may use, in the order of the columns."""
        return tuple(column.placeholder for column in self.columns if column.placeholder)

    def rows(self) -> Iterator[RecipientRow | BadRow]:
        """Every row in order, good or bad; blank rows are left out. Only one row is held at a time.

        A file object must not be read by anyone else meanwhile.

        :raises RecipientFileError: at the first row too many, or when so many quotes are broken
            that reading would take too long: what was given before is then not the whole file.
        """
        judge = RowJudge(self.columns, longest_cell=self.limits.longest_cell)
        with _opened(self.source, self.start) as stream:
            stream.read(self.byte_survey.mark_bytes)
            lines = _lines_of(stream, self.encoding)
            reader = RecordReader(lines, self.delimiter, cells=len(self.columns))
            while lines.number < self.header_line - 1:
                lines.take()
            reader.next()
            count = 0
            while record := reader.next():
                row = judge.row(record, reader)
                if row is None:
                    continue
                count += 1
                if count > self.limits.most_rows:
                    raise RecipientFileError(FileProblem.TOO_MANY_ROWS, limit=self.limits.most_rows)
                yield row


def open_recipients(
    source: Path | str | BinaryIO,
    *,
    channel_key: str = "email",
    further: Sequence[str] = (),
    encoding: FileEncoding | None = None,
    limits: FileLimits | None = None,
) -> RecipientFile:
    """Read the bytes once to find the encoding, then the header.

    :param source: a path, or a binary file object read from where it stands (copied into a
        temporary file when it cannot be rewound); the caller closes it, after the rows, and then
        the returned object.
    :param channel_key: its column holds the addresses; so may one called ``phone``, and the usual
        words in German, English and Russian.
    :param further: the channels that follow: whoever has no address on the first may have one on these.
    :param encoding: what the person says it is, where the bytes leave a doubt.
    :raises RecipientFileError: the file as a whole cannot be used.
    :raises OSError: it cannot be opened or read.
    """
    limits = limits or FileLimits()
    place = Path(source) if isinstance(source, str) else source
    if isinstance(place, Path) or place.seekable():
        return _examined(
            place, channel_key=channel_key, further=further, encoding=encoding, limits=limits
        )
    copy = _spooled(place, limits.most_bytes)
    try:
        return _examined(
            copy,
            channel_key=channel_key,
            further=further,
            encoding=encoding,
            limits=limits,
            is_copy=True,
        )
    except BaseException:
        copy.close()
        raise


def _examined(
    place: Path | BinaryIO,
    *,
    channel_key: str,
    further: Sequence[str],
    encoding: FileEncoding | None,
    limits: FileLimits,
    is_copy: bool = False,
) -> RecipientFile:
    start = 0 if isinstance(place, Path) else place.tell()
    with _opened(place, start) as stream:
        found = survey(stream, most_bytes=limits.most_bytes, declared=encoding)
    with _opened(place, start) as stream:
        stream.read(found.mark_bytes)
        delimiter, header = _header(_lines_of(stream, found.encoding), channel_key, further)
    return RecipientFile(
        source=place,
        start=start,
        is_copy=is_copy,
        byte_survey=found,
        delimiter=delimiter,
        header_line=header.line,
        columns=columns_of(
            header.cells, channel_key=channel_key, line=header.line, further=further
        ),
        limits=limits,
    )


@contextmanager
def _opened(source: Path | BinaryIO, start: int) -> Iterator[BinaryIO]:
    if isinstance(source, Path):
        with source.open("rb") as stream:
            yield stream
    else:
        source.seek(start)
        yield source


def _spooled(source: BinaryIO, most_bytes: int) -> BinaryIO:
    # One byte more than allowed is enough for the survey to refuse it.
    copy = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - closed by its owner
    left = most_bytes + 1
    while left > 0 and (chunk := source.read(min(left, _SPOOL_BYTES))):
        copy.write(chunk)
        left -= len(chunk)
    copy.seek(0)
    return cast(BinaryIO, copy)


def _lines_of(stream: BinaryIO, encoding: FileEncoding) -> LineSource:
    return LineSource(physical_lines(decoded(stream, encoding)))


def _header(lines: LineSource, channel_key: str, further: Sequence[str]) -> tuple[str, Record]:
    """The delimiter and the record of the column names: the first line that is not blank."""
    named: str | None = None
    while (line := lines.take()) is not None:
        separator = _SEPARATOR_LINE.match(line)
        if separator and named is None:  # Excel's own hint, before the names
            named = separator[1]
        elif line.strip("\ufeff \t\r\n"):
            break
    if line is None:
        raise RecipientFileError(FileProblem.EMPTY)
    delimiter = named or best_delimiter(
        line[:LONGEST_RECORD], channel_key=channel_key, further=further
    )
    lines.put_back([line])
    record = RecordReader(lines, delimiter).next()
    if record is None or record.trouble is RowProblem.ROW_TOO_LONG:
        raise RecipientFileError(FileProblem.NOT_TEXT)
    if record.trouble:
        raise RecipientFileError(FileProblem.HEADER_QUOTES, line=record.trouble_line)
    text = "".join(record.cells)
    if CONTROL.search(text.replace("\t", "")):
        raise RecipientFileError(FileProblem.NOT_TEXT)
    if UNREADABLE.search(text):
        raise RecipientFileError(FileProblem.UNREADABLE_HEADER, line=record.line)
    return delimiter, record
