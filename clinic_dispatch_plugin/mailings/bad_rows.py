"""Every row of a recipient file that needs a look, one by one: for the command line, and as a file to mend it by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from clinic_dispatch_plugin.channels.errors import InvalidAddress
from clinic_dispatch_plugin.mailings.forms import row_in_words
from clinic_dispatch_plugin.mailings.list_rows import is_reached, open_list, places_of
from clinic_dispatch_plugin.mailings.recipient_file import BadRow, Role, RowProblem
from clinic_dispatch_plugin.mailings.recipient_rows import showable
from clinic_dispatch_plugin.messages.export import BOM, written
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.i18n import N_, _, language

HEADINGS = (
    N_("Line"),
    N_("Column"),
    N_("What stands there"),
    N_("What is wrong"),
    N_("What to do"),
)
#: Rows written at once.
_PORTION = 500
_SHOWN_LETTERS = 60


def bad_rows_of(dispatch: Dispatch, path: Path, *, order: Sequence[str]) -> Iterator[BadRow]:
    """The rows that cannot be used, and those whose address the channel refuses, in the order of the file.

    :param order: the channels of the mailing, the first one first: a row may begin with a later one.
    :raises RecipientFileError: the file as a whole cannot be used.
    :raises OSError: it cannot be read.
    """
    normalise = dispatch.channels[order[0]].normalise_address
    with open_list(path, order) as file:
        places = places_of(file, order)
        column = next((each.header for each in file.columns if each.role is Role.ADDRESS), None)
        for row in file.rows():
            if isinstance(row, BadRow):
                if row.rest is None or not is_reached(row.rest, places):
                    yield row
                continue
            if column is None:
                continue
            try:
                normalise(row.address, region=dispatch.settings.region)
            except InvalidAddress:
                yield BadRow(
                    line=row.line,
                    column=column,
                    cell=showable(row.address),
                    problem=RowProblem.MALFORMED_ADDRESS,
                    fields={"line": row.line, "column": column},
                )


def on_one_line(row: BadRow) -> str:
    """An English sentence for a terminal: where, what stands there, what to do; no cell can draw on the screen."""
    shown = "".join(
        each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in row.cell
    )
    if len(shown) > _SHOWN_LETTERS:
        shown = f"{shown[:_SHOWN_LETTERS]}…"
    there = f" There stands: “{shown}”." if shown.strip() else ""
    return f"{row.message.format_map(row.fields)}{there} {row.advice.format_map(row.fields)}"


def csv_of_bad_rows(rows: Iterable[BadRow]) -> Iterator[str]:
    """The file in pieces, in the reader's language."""
    separator = "," if language() == "en" else ";"
    yield BOM + written([[_(heading) for heading in HEADINGS]], separator)
    every = iter(rows)
    while portion := list(islice(every, _PORTION)):
        yield written([_cells(row) for row in portion], separator)


def _cells(row: BadRow) -> list[str]:
    return [str(row.line), row.column or "", row.cell, *row_in_words(row)]
