"""What can be wrong with a file of recipients, or with one of its rows, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class RowProblem(StrEnum):
    """Why one row cannot be used; the value is stable and may be stored."""

    TOO_FEW_CELLS = "too_few_cells"
    TOO_MANY_CELLS = "too_many_cells"
    EMPTY_ADDRESS = "empty_address"
    #: Found by the channel; its row becomes a message that says so.
    MALFORMED_ADDRESS = "malformed_address"
    UNREADABLE = "unreadable"
    CONTROL_CHARACTER = "control_character"
    LINE_BREAK = "line_break"
    CELL_TOO_LONG = "cell_too_long"
    ROW_TOO_LONG = "row_too_long"
    UNCLOSED_QUOTE = "unclosed_quote"
    STRAY_QUOTE = "stray_quote"
    UNKNOWN_LOCALE = "unknown_locale"


class FileProblem(StrEnum):
    """Why a whole file cannot be used; the value is stable and may be stored."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    TOO_MANY_ROWS = "too_many_rows"
    TOO_MANY_LINES = "too_many_lines"
    TOO_MANY_COLUMNS = "too_many_columns"
    LONG_HEADER = "long_header"
    EXCEL = "excel"
    SPREADSHEET = "spreadsheet"
    PDF = "pdf"
    ARCHIVE = "archive"
    WEB_PAGE = "web_page"
    NOT_TEXT = "not_text"
    NO_HEADER = "no_header"
    UNREADABLE_HEADER = "unreadable_header"
    HEADER_QUOTES = "header_quotes"
    NO_ADDRESS_COLUMN = "no_address_column"
    DUPLICATE_HEADER = "duplicate_header"
    BROKEN_QUOTES = "broken_quotes"


@dataclass(frozen=True, slots=True)
class ProblemText:
    """English message and advice: msgids for translations, with named fields for ``str.format``."""

    message: str
    advice: str


_SAVE_AS_CSV: Final = (
    "Open it in the program it comes from and save it as “CSV UTF-8”, then choose that file."
)
_CELLS_ADVICE: Final = (
    "Give the row as many cells as the first line has, and put a cell that contains the separator "
    "between double quotes."
)

ROW_TEXTS: Final[Mapping[RowProblem, ProblemText]] = MappingProxyType(
    {
        RowProblem.TOO_FEW_CELLS: ProblemText(
            "Line {line}: {found} cells, but the first line has {expected}.", _CELLS_ADVICE
        ),
        RowProblem.TOO_MANY_CELLS: ProblemText(
            "Line {line}: {found} cells, but the first line has {expected}.", _CELLS_ADVICE
        ),
        RowProblem.EMPTY_ADDRESS: ProblemText(
            "Line {line}: the column {column} is empty.", "Enter the address or delete the row."
        ),
        RowProblem.MALFORMED_ADDRESS: ProblemText(
            "Line {line}: the column {column} holds no valid address.",
            "Correct the address; one row holds one.",
        ),
        RowProblem.UNREADABLE: ProblemText(
            "Line {line}: the column {column} has characters that cannot be read.",
            "Type the cell anew and save the file as “CSV UTF-8”.",
        ),
        RowProblem.CONTROL_CHARACTER: ProblemText(
            "Line {line}: the column {column} has the invisible character {character}.",
            "Type the cell anew instead of copying it.",
        ),
        RowProblem.LINE_BREAK: ProblemText(
            "Line {line}: the column {column} has a line break.", "Write the cell in one line."
        ),
        RowProblem.CELL_TOO_LONG: ProblemText(
            "Line {line}: the column {column} is longer than {limit} characters.",
            "Shorten the cell.",
        ),
        RowProblem.ROW_TOO_LONG: ProblemText(
            "Line {line}: the row is longer than {limit} characters.",
            "Shorten the row, or look for a missing line break.",
        ),
        RowProblem.UNCLOSED_QUOTE: ProblemText(
            "Line {line}: a double quote is opened in the column {column} and never closed.",
            "Close the quote at the end of the cell or delete it.",
        ),
        RowProblem.STRAY_QUOTE: ProblemText(
            "Line {line}: in the column {column} text follows after the closing double quote.",
            "Write a double quote inside a cell twice, or delete it.",
        ),
        RowProblem.UNKNOWN_LOCALE: ProblemText(
            "Line {line}: the column {column} is no language code.",
            "Write a code such as de, en or ru, or leave the cell empty.",
        ),
    }
)

FILE_TEXTS: Final[Mapping[FileProblem, ProblemText]] = MappingProxyType(
    {
        FileProblem.EMPTY: ProblemText(
            "The file is empty.", "Choose a file with a line of column names and the recipients."
        ),
        FileProblem.TOO_LARGE: ProblemText(
            "The file is larger than {limit} MiB.", "Divide it into several files."
        ),
        FileProblem.TOO_MANY_ROWS: ProblemText(
            "The file has more than {limit} rows.", "Divide it into several files."
        ),
        FileProblem.TOO_MANY_LINES: ProblemText(
            "The file has more than {limit} lines, blank ones included.", "Delete the blank lines."
        ),
        FileProblem.TOO_MANY_COLUMNS: ProblemText(
            "The first line names {found} columns; at most {limit} are possible.",
            "Delete the columns that the text does not need.",
        ),
        FileProblem.LONG_HEADER: ProblemText(
            "A column name is longer than {limit} characters: {headers}.",
            "Write the names of the columns, and nothing else, into the first line.",
        ),
        FileProblem.EXCEL: ProblemText("This is an Excel file, not a CSV file.", _SAVE_AS_CSV),
        FileProblem.SPREADSHEET: ProblemText(
            "This is an OpenDocument spreadsheet, not a CSV file.", _SAVE_AS_CSV
        ),
        FileProblem.PDF: ProblemText("This is a PDF document, not a CSV file.", _SAVE_AS_CSV),
        FileProblem.ARCHIVE: ProblemText(
            "This is a packed archive, not a CSV file.",
            "Unpack it and choose the CSV file inside.",
        ),
        FileProblem.WEB_PAGE: ProblemText(
            "This is a web page or an XML file, not a CSV file.", _SAVE_AS_CSV
        ),
        FileProblem.NOT_TEXT: ProblemText("This is not a text file.", _SAVE_AS_CSV),
        FileProblem.NO_HEADER: ProblemText(
            "Line {line}: the column names are missing.",
            "Write the names of the columns into the first line, such as “{example}”.",
        ),
        FileProblem.UNREADABLE_HEADER: ProblemText(
            "Line {line}: a column name has characters that cannot be read.",
            "Type the column names anew and save the file as “CSV UTF-8”.",
        ),
        FileProblem.HEADER_QUOTES: ProblemText(
            "Line {line}: a double quote among the column names is not closed.",
            "Close the quote or delete it.",
        ),
        FileProblem.NO_ADDRESS_COLUMN: ProblemText(
            "None of the columns is known to hold the addresses; found: {headers}.",
            "Call the column with the addresses “{example}” in the first line.",
        ),
        FileProblem.DUPLICATE_HEADER: ProblemText(
            "Two columns have the same name: {headers}.", "Give each column a name of its own."
        ),
        FileProblem.BROKEN_QUOTES: ProblemText(
            "Line {line}: too many double quotes up to here are not closed.",
            "Save the file anew as “CSV UTF-8” from the program it comes from.",
        ),
    }
)


class RecipientFileError(ValueError):
    """The file as a whole cannot be used; ``str()`` is the English sentence with the advice.

    :ivar problem: the stable code.
    :ivar message: English message with named fields, to be translated before formatting.
    :ivar advice: what to do; takes the same fields.
    :ivar fields: what the named fields stand for.
    """

    def __init__(self, problem: FileProblem, **fields: str | int) -> None:
        self.problem = problem
        self.fields: dict[str, str | int] = fields
        self.message = FILE_TEXTS[problem].message
        self.advice = FILE_TEXTS[problem].advice
        super().__init__(f"{self.message} {self.advice}".format_map(fields))
