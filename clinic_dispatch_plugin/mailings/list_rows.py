"""Which rows of a recipient list become messages, and where each has its addresses for the channels of its mailing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from clinic_dispatch_plugin.mailings.recipient_columns import Place, address_place
from clinic_dispatch_plugin.mailings.recipient_file import (
    BadRow,
    RecipientFile,
    RecipientRow,
    Role,
    RowProblem,
    open_recipients,
)


class BadRows:
    """The first rows of a file that cannot be used, and how many there are.

    :param whole_rows_only: leave out those that lack nothing but their address, for they become messages.
    """

    def __init__(self, *, most: int = 200, whole_rows_only: bool = False) -> None:
        self.rows: list[BadRow] = []
        self.count = 0
        self.whole_rows_only = whole_rows_only
        self._most = most

    def add(self, row: BadRow) -> None:
        """Count one more, and keep it where there is room."""
        self.count += 1
        if len(self.rows) < self._most:
            self.rows.append(row)


def open_list(path: Path, order: Sequence[str]) -> RecipientFile:
    """A list for a mailing through these channels.

    :raises RecipientFileError: the file as a whole cannot be used.
    """
    return open_recipients(path, channel_key=order[0], further=order[1:])


def places_of(file: RecipientFile, order: Sequence[str]) -> Mapping[str, Place]:
    """Where each channel of a mailing has its addresses; a file may leave the first one's to the cards."""
    places: dict[str, Place] = {
        key: address_place(file.columns, channel_key=key) for key in order[1:]
    }
    if any(column.role is Role.ADDRESS for column in file.columns):
        places[order[0]] = Role.ADDRESS
    return places


def usable(
    rows: Iterable[RecipientRow | BadRow], bad_rows: BadRows | None, places: Mapping[str, Place]
) -> Iterator[RecipientRow]:
    """The rows that become messages: one that lacks nothing but its address says so, or begins with a later channel.

    :param bad_rows: gets every other row.
    """
    for row in rows:
        if isinstance(row, RecipientRow):
            yield row
            continue
        without_address = row.problem is RowProblem.EMPTY_ADDRESS
        if without_address and row.rest is not None and is_reached(row.rest, places):
            yield row.rest  # by a later channel
            continue
        if bad_rows is not None and not (without_address and bad_rows.whole_rows_only):
            bad_rows.add(row)
        if without_address and row.rest is not None:
            yield row.rest


def is_reached(row: RecipientRow, places: Mapping[str, Place]) -> bool:
    """Whether a row has an address on one of the channels."""
    return any(in_file(row, place) for place in places.values())


def in_file(row: RecipientRow, place: Place) -> str:
    """What a row has at one place; empty: nothing."""
    return row.address if place is Role.ADDRESS else row.values.get(place or "", "")
