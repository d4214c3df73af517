"""Cuts the text of a CSV into records, so that one broken quote costs its own row and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from clinic_dispatch_plugin.mailings.recipient_problems import (
    FileProblem,
    RecipientFileError,
    RowProblem,
)

LONGEST_RECORD: Final = 131_072
_MOST_RECORD_LINES: Final = 2_000
#: Ten lines for each row allowed; a file of line breaks alone would be read for minutes.
_MOST_LINES: Final = 2_000_000
#: What reading lines a third time may cost, in characters plus 64 a line: without a bound, a file
#: made for it would be read over and over.
_REREADING_ALLOWED: Final = 64 * 1024 * 1024
_LINE_COST: Final = 64
_FRAGMENT: Final = 200

# A CR at the very end may be the first half of a CRLF.
_LINE_END: Final = re.compile(r"\r\n|\r(?!\Z)|\n")
_OPENING_QUOTE: Final = re.compile(r' *"')
_SPACES: Final = re.compile(r" *")


def physical_lines(pieces: Iterator[str]) -> Iterator[str]:
    """The lines with their ends (CRLF, LF or CR); longer ones than a record may be are cut off.

    A cut line still has more than ``LONGEST_RECORD`` characters, and at most one line is held.
    """
    pending = ""
    skipping = False
    for piece in pieces:
        pending += piece
        start = 0
        for found in _LINE_END.finditer(pending):
            if not skipping:  # else this ends the line whose beginning was given already
                yield pending[start : found.end()]
            skipping = False
            start = found.end()
        pending = pending[start:]
        if len(pending) > LONGEST_RECORD and not skipping:
            yield pending
            skipping = True
        if skipping:
            pending = "\r" if pending.endswith("\r") else ""
    if pending and not skipping:
        yield pending


class LineSource:
    """The lines of a file one by one, each with its number; lines can be put back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._returned: list[str] = []  # the next one is last
        self._highest_returned = 0
        self._cost = 0
        self.number = 0

    def take(self) -> str | None:
        """The next line with its end; ``number`` becomes its number (the first is 1).

        :raises RecipientFileError: the file has too many lines.
        """
        line = self._returned.pop() if self._returned else next(self._lines, None)
        if line is not None:
            self.number += 1
            if self.number > _MOST_LINES:
                raise RecipientFileError(FileProblem.TOO_MANY_LINES, limit=_MOST_LINES)
        return line

    def put_back(self, lines: list[str]) -> None:
        """Return the lines that were taken last.

        :raises RecipientFileError: the same lines come back too often.
        """
        again = self._highest_returned - (self.number - len(lines))
        if again > 0:
            self._cost += sum(len(line) + _LINE_COST for line in lines[:again])
        if self._cost > _REREADING_ALLOWED:
            raise RecipientFileError(FileProblem.BROKEN_QUOTES, line=self.number)
        self._highest_returned = max(self._highest_returned, self.number)
        self._returned.extend(reversed(lines))
        self.number -= len(lines)


@dataclass(slots=True, kw_only=True)
class Record:
    """The cells of one row as they stand, or why they could not be told apart.

    :ivar line: number of the record's first line.
    :ivar trouble: set when ``cells`` is not to be trusted.
    :ivar trouble_line: line where the quote at fault was opened, else ``line``.
    :ivar fragment: the beginning of what stands from that quote on.
    :ivar quote_line: line where the first cell that spans lines was opened; 0 when none does.
    :ivar quote_cell: index of that cell.
    :ivar quote_fragment: its beginning, as far as it stands in that line.
    :ivar further_lines: the lines after the first that belong to the record.
    """

    line: int
    cells: list[str]
    trouble: RowProblem | None = None
    trouble_line: int = 0
    fragment: str = ""
    quote_line: int = 0
    quote_cell: int = 0
    quote_fragment: str = ""
    further_lines: list[str] = field(default_factory=list)


class RecordReader:
    """Reads records of a LineSource: RFC 4180 with any delimiter, spaces around quotes allowed."""

    def __init__(self, lines: LineSource, delimiter: str, *, cells: int | None = None) -> None:
        """:param cells: how many a row has, once the header is known."""
        self._lines = lines
        self._delimiter = delimiter
        self._cells = cells

    def next(self) -> Record | None:
        """The next record, or ``None`` at the end.

        A record with an unclosed or stray quote ends with the line in which that quote was opened:
        the lines after it are read as records of their own. So it is when an earlier cell spans
        lines that would be whole rows: then its quote was the one that nobody closed.

        :raises RecipientFileError: so many quotes are broken that reading would take too long.
        """
        first = self._lines.take()
        if first is None:
            return None
        number = self._lines.number
        if len(first) > LONGEST_RECORD:
            return Record(
                line=number, cells=[], trouble=RowProblem.ROW_TOO_LONG, trouble_line=number
            )
        if '"' not in first:
            return Record(line=number, cells=_body(first).split(self._delimiter))
        body = _body(first)
        cells = body[1:-1].split(f'"{self._delimiter}"')
        if body[0] == body[-1] == '"' and body.count('"') == 2 * len(cells):
            return Record(line=number, cells=cells)  # the commonest form: quotes around every cell
        record = _QuotedRecord(self._lines, first, self._delimiter).read()
        if record.trouble and record.further_lines and not self.blame_first_quote(record):
            self._end_with_line(record, record.trouble_line)
        return record

    def blame_first_quote(self, record: Record) -> bool:
        """Whether the first cell that spans lines was most likely never meant to.

        That is so when the line after its quote would be a whole row by itself. The record, which
        was read last, then ends with the line of that quote and has the trouble of not closing it.
        """
        if not record.quote_line:
            return False
        after = record.further_lines[record.quote_line - record.line :]
        if not after or not self._is_whole_row(after[0]):
            return False
        self._end_with_line(record, record.quote_line)
        record.trouble, record.trouble_line = RowProblem.UNCLOSED_QUOTE, record.quote_line
        record.fragment = _body(record.quote_fragment)
        del record.cells[record.quote_cell :]
        return True

    def _end_with_line(self, record: Record, line: int) -> None:
        kept = line - record.line
        self._lines.put_back(record.further_lines[kept:])
        del record.further_lines[kept:]

    def _is_whole_row(self, line: str) -> bool:
        if len(line) > LONGEST_RECORD:
            return False
        if '"' not in line:
            found = _body(line).split(self._delimiter)
        else:
            record = _QuotedRecord(LineSource(iter(())), line, self._delimiter).read()
            found = [] if record.trouble else record.cells
            if any('"' in cell for cell in found):
                return False
        return len(found) == self._cells and any(cell.strip() for cell in found)


class _QuotedRecord:
    """One record with a double quote in its first line."""

    def __init__(self, lines: LineSource, first: str, delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._text = first
        self._position = 0
        self._record = Record(line=lines.number, cells=[])
        self._length = len(first)

    def read(self) -> Record:
        while self._record.trouble is None:
            opening = _OPENING_QUOTE.match(self._text, self._position)
            more = self._quoted(opening.end()) if opening else self._unquoted()
            if not more:
                break
        return self._record

    def _unquoted(self) -> bool:
        end = self._text.find(self._delimiter, self._position)
        if end < 0:
            self._record.cells.append(_body(self._text[self._position :]))
            return False
        self._record.cells.append(self._text[self._position : end])
        self._position = end + 1
        return True

    def _quoted(self, start: int) -> bool:
        pieces: list[str] = []
        opened_in = self._lines.number
        fragment = self._text[self._position : self._position + _FRAGMENT]
        while True:
            quote = self._text.find('"', start)
            if quote < 0:
                pieces.append(self._text[start:])
                if not self._next_line(opened_in, fragment):
                    self._give_up(RowProblem.UNCLOSED_QUOTE, opened_in, fragment)
                    return False
                start = 0
            elif self._text.startswith('"', quote + 1):
                pieces.append(self._text[start : quote + 1])
                start = quote + 2
            else:
                break
        pieces.append(self._text[start:quote])
        cell = "".join(pieces)
        if self._ends_cell(quote + 1):
            self._record.cells.append(cell)
            return self._text.startswith(self._delimiter, self._position - 1)
        many_lines = self._lines.number > opened_in
        trouble = RowProblem.UNCLOSED_QUOTE if many_lines else RowProblem.STRAY_QUOTE
        self._give_up(trouble, opened_in, fragment)
        return False

    def _next_line(self, opened_in: int, fragment: str) -> bool:
        further = self._record.further_lines
        if self._length > LONGEST_RECORD or len(further) >= _MOST_RECORD_LINES:
            return False
        line = self._lines.take()
        if line is None:
            return False
        self._text = line
        self._length += len(line)
        further.append(line)
        if not self._record.quote_line:
            self._record.quote_line = opened_in
            self._record.quote_cell = len(self._record.cells)
            self._record.quote_fragment = fragment
        return True

    def _ends_cell(self, position: int) -> bool:
        """Whether a delimiter or the end of the line follows; the position is moved behind it."""
        spaces = _SPACES.match(self._text, position)
        position = spaces.end() if spaces else position
        self._position = position + 1
        return self._text.startswith(self._delimiter, position) or not self._text[position:].strip(
            "\r\n"
        )

    def _give_up(self, trouble: RowProblem, line: int, fragment: str) -> None:
        self._record.trouble = trouble
        self._record.trouble_line = line
        self._record.fragment = _body(fragment)


def _body(line: str) -> str:
    return line.rstrip("\r\n")
