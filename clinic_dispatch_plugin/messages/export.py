"""The list as a CSV file for a spreadsheet: streamed, and no cell of it is ever a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime

from clinic_dispatch_plugin.channels.types import Money
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages.lists import Line, MessageFilter, Page, list_messages
from clinic_dispatch_plugin.messages.money import Sum, of_lines
from clinic_dispatch_plugin.messages.showing import left_behind
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.i18n import N_, _, language, zone

#: Messages read at once.
PORTION = 500
#: A cell that begins so is run as a formula by spreadsheets (OWASP, CSV injection).
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
BOM = "\ufeff"
HEADINGS = (
    N_("Number"),
    N_("Mailing list"),
    N_("Recipient"),
    N_("Channel"),
    N_("Address"),
    N_("Status"),
    N_("Note"),
    N_("Code"),
    N_("Tries"),
    N_("Planned at"),
    N_("Sent at"),
    N_("Decided at"),
    N_("Ways before"),
    N_("Price"),
    N_("Price not confirmed"),
    N_("Currency"),
)


def csv_of_messages(dispatch: Dispatch, actor: Actor, wanted: MessageFilter) -> Iterator[str]:
    """The file in pieces, in the reader's language; German and Russian spreadsheets want semicolons."""
    # The first page is asked for before anything is sent: what fails then is a page that says so, no broken file.
    page = list_messages(dispatch, actor, wanted, limit=PORTION)
    return _pieces(dispatch, actor, wanted, page)


def _pieces(dispatch: Dispatch, actor: Actor, wanted: MessageFilter, page: Page) -> Iterator[str]:
    separator = "," if language() == "en" else ";"
    yield BOM + written([[_(heading) for heading in HEADINGS]], separator)
    while True:
        if page.lines:
            costs = of_lines(dispatch, page.lines)
            cells = [[*_cells(line), *_price_cells(costs.get(line.id))] for line in page.lines]
            yield written(cells, separator)
        if page.after is None:
            return
        page = list_messages(dispatch, actor, wanted, cursor=page.after, limit=PORTION)


def safe_cell(value: str) -> str:
    """The value as text for a spreadsheet, whatever it begins with."""
    return f"'{value}" if value.startswith(DANGEROUS) else value


def _cells(line: Line) -> list[str]:
    answer = line.answer
    return [
        str(line.id),
        line.mailing_name,
        line.name,
        words.channel(line.channel),
        line.address,
        words.message_said(line.state, line.report).label,
        answer.text("short", language()) if answer else "",
        f"{answer.system} {answer.code}" if answer else "",
        str(line.attempts),
        _time(line.created_at),
        _time(line.sent_at),
        _time(line.final_at),
        left_behind(line),
    ]


def _price_cells(found: Sum | None) -> list[str]:
    """Said price, estimate and currency; empty is unknown. One row has one currency, of several each in brackets."""
    if not found:
        return ["", "", ""]
    said = [cost.said for cost in found.costs]
    estimated = [cost.estimated for cost in found.costs]
    units = [
        each.currency for cost in found.costs if (each := cost.said or cost.estimated) is not None
    ]
    return [_amounts(said), _amounts(estimated), " + ".join(units)]


def _amounts(several: Sequence[Money | None]) -> str:
    """Figures a spreadsheet of the reader's language adds up; with the currency where there are several."""
    known = [each for each in several if each is not None]
    texts = [f"{each.amount.normalize():f}" for each in known]
    if language() != "en":
        texts = [text.replace(".", ",") for text in texts]
    if len(several) < 2:
        return "".join(texts)
    return " + ".join(f"{text} {each.currency}" for text, each in zip(texts, known, strict=True))


def _time(value: datetime | None) -> str:
    return value.astimezone(zone()).strftime("%Y-%m-%d %H:%M:%S") if value else ""


def written(rows: list[list[str]], separator: str) -> str:
    """Rows as lines of a CSV whose cells a spreadsheet takes as text."""
    held = io.StringIO()
    writer = csv.writer(held, delimiter=separator, lineterminator="\r\n")
    writer.writerows([[safe_cell(cell) for cell in row] for row in rows])
    return held.getvalue()
