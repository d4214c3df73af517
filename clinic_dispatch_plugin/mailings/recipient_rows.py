"""Judges the records of a recipient file one by one: a recipient, or what is wrong and where."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from clinic_dispatch_plugin.mailings.recipient_columns import Column, Role
from clinic_dispatch_plugin.mailings.recipient_problems import ROW_TEXTS, RowProblem
from clinic_dispatch_plugin.mailings.recipient_records import (
    LONGEST_RECORD,
    Record,
    RecordReader,
)

_SHOWN_CELL: Final = 200
_LINE_END: Final = re.compile(r"\r\n?")
UNREADABLE: Final = re.compile("[\ud800-\udfff\ufffd]")
CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LINE_BREAK: Final = re.compile("[\r\n\x0b\x0c\x85\u2028\u2029]")
#: If none of these is in a row, no cell of it needs to be looked at closely.
_SUSPECT: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffd]")
_NOT_SHOWABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LOCALE: Final = re.compile(
    r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|[0-9]{3}))?\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientRow:
    """One recipient; the address is not empty, whether it is right the channel says.

    :ivar line: physical line of the row's beginning; the first line of the file is 1.
    :ivar locale: in the form ``de`` or ``de-AT``, or ``None``.
    :ivar values: by placeholder name, trimmed, line ends as ``\\n``; blank ones are there too.
    """

    line: int
    address: str
    ref: str | None
    name: str | None
    locale: str | None
    values: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """One row that cannot be used, its first problem, and what to do.

    :ivar line: of the row's beginning; for an unclosed quote the line where it was opened.
    :ivar column: header of the cell at fault, its number where there is no header, ``None`` when
        the whole row is at fault.
    :ivar cell: the beginning of that cell, safe to store and show.
    :ivar fields: what the named fields of ``message`` and ``advice`` stand for.
    :ivar rest: for an empty address the whole row, its address ``""``, so that nothing else of it is
        lost when somebody adds the address; else ``None``.
    """

    line: int
    column: str | None
    cell: str
    problem: RowProblem
    fields: dict[str, str | int]
    rest: RecipientRow | None = None

    @property
    def message(self) -> str:
        """English message with named fields, to be translated before formatting."""
        return ROW_TEXTS[self.problem].message

    @property
    def advice(self) -> str:
        """English advice, to be translated; takes the same fields."""
        return ROW_TEXTS[self.problem].advice

    @property
    def advice_key(self) -> str:
        """Stable key of the advice."""
        return str(self.problem)


class RowJudge:
    """Turns records into rows, good or bad.

    :param longest_cell: characters.
    """

    def __init__(self, columns: tuple[Column, ...], *, longest_cell: int) -> None:
        self._columns = columns
        self._longest_cell = longest_cell
        index = {column.role: i for i, column in enumerate(columns)}
        self._address = index.get(Role.ADDRESS)
        self._ref = index.get(Role.REF)
        self._name = index.get(Role.NAME)
        self._locale = index.get(Role.LOCALE)
        self._values = [
            (i, column.placeholder)
            for i, column in enumerate(columns)
            if column.placeholder is not None
        ]

    def row(self, record: Record, reader: RecordReader) -> RecipientRow | BadRow | None:
        """The row of ``record``; ``None`` when it is blank.

        A bad record of several lines whose second line would be a whole row by itself was most
        likely held together by a forgotten quote: those lines are put back.
        """
        row = self._row(record)
        if isinstance(row, BadRow) and not record.trouble and reader.blame_first_quote(record):
            return self._row(record)
        return row

    def _row(self, record: Record) -> RecipientRow | BadRow | None:
        cells = record.cells
        if record.trouble:
            return self._in_trouble(record, record.trouble)
        text = "\n".join(cells)
        if not text.strip():
            return None
        suspect = record.quote_line > 0 or _SUSPECT.search(text) is not None
        if suspect and (bad := self._first_where(UNREADABLE, RowProblem.UNREADABLE, record)):
            return bad
        if len(cells) != len(self._columns) and (bad := self._wrong_count(record)):
            return bad
        if (suspect or len(text) > self._longest_cell) and (bad := self._bad_cell(record)):
            return bad
        return self._good(record)

    def _good(self, record: Record) -> RecipientRow | BadRow:
        cells = record.cells
        # Where the first channel has no column, its address is none: another channel's may be there.
        address = "" if self._address is None else cells[self._address].strip()
        whole = bool(address) or self._address is None
        locale = None
        if self._locale is not None and (written := cells[self._locale].strip()):
            locale = _locale_code(written)
            if locale is None and whole and self._columns[self._locale].is_strict:
                return self._bad(RowProblem.UNKNOWN_LOCALE, record, self._locale)
        values = {name: cells[i].strip() for i, name in self._values}
        if record.quote_line:
            values = {name: _LINE_END.sub("\n", value) for name, value in values.items()}
        row = RecipientRow(
            line=record.line,
            address=address,
            ref=cells[self._ref].strip() or None if self._ref is not None else None,
            name=cells[self._name].strip() or None if self._name is not None else None,
            locale=locale,
            values=values,
        )
        if not whole:
            return replace(self._bad(RowProblem.EMPTY_ADDRESS, record, self._address), rest=row)
        return row

    def _in_trouble(self, record: Record, trouble: RowProblem) -> BadRow:
        if trouble is RowProblem.ROW_TOO_LONG:
            return self._bad(trouble, record, None, limit=LONGEST_RECORD)
        return self._bad(trouble, record, len(record.cells))

    def _wrong_count(self, record: Record) -> BadRow | None:
        found, expected = len(record.cells), len(self._columns)
        if found > expected and not any(cell.strip() for cell in record.cells[expected:]):
            return None  # delimiters at the end of the line, as spreadsheets leave them
        problem = RowProblem.TOO_FEW_CELLS if found < expected else RowProblem.TOO_MANY_CELLS
        return self._bad(problem, record, None, found=found, expected=expected)

    def _bad_cell(self, record: Record) -> BadRow | None:
        for index, cell in enumerate(record.cells[: len(self._columns)]):
            one_line = self._columns[index].is_strict
            trimmed = cell.strip(" \t\r\n") if one_line else cell
            if one_line and _LINE_BREAK.search(trimmed):
                return self._bad(RowProblem.LINE_BREAK, record, index)
            found = CONTROL.search(trimmed) or (re.search("\t", trimmed) if one_line else None)
            if found:
                code = f"U+{ord(found[0]):04X}"
                return self._bad(RowProblem.CONTROL_CHARACTER, record, index, character=code)
            if len(cell) > self._longest_cell:
                return self._bad(RowProblem.CELL_TOO_LONG, record, index, limit=self._longest_cell)
        return None

    def _first_where(
        self, pattern: re.Pattern[str], problem: RowProblem, record: Record
    ) -> BadRow | None:
        for index, cell in enumerate(record.cells):
            if pattern.search(cell):
                return self._bad(problem, record, index)
        return None

    def _bad(
        self, problem: RowProblem, record: Record, index: int | None, **fields: str | int
    ) -> BadRow:
        line = record.trouble_line or record.line
        column, cell = None, ""
        if index is not None:
            header = self._columns[index].header if index < len(self._columns) else ""
            column = header or str(index + 1)
            cell = record.cells[index] if index < len(record.cells) else record.fragment
            fields["column"] = column
        return BadRow(
            line=line,
            column=column,
            cell=showable(cell),
            problem=problem,
            fields={"line": line, **fields},
        )


def showable(cell: str) -> str:
    """The beginning of a cell, safe to store and show."""
    return _NOT_SHOWABLE.sub("\N{REPLACEMENT CHARACTER}", cell[:_SHOWN_CELL])


def _locale_code(written: str) -> str | None:
    found = _LOCALE.match(written)
    if not found:
        return None
    language, script, region = found.groups()
    parts = (language.lower(), (script or "").title(), (region or "").upper())
    return "-".join(part for part in parts if part)
