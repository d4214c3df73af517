"""Whether somebody would get the same message twice, when it is given another address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.messages import lists_store
from clinic_dispatch_plugin.messages.contents import render
from clinic_dispatch_plugin.registry import Dispatch

Row = Mapping[Any, Any]


def goes_there_already(
    dispatch: Dispatch, connection: Connection, row: Row, beside: Iterable[Row] = ()
) -> bool:
    """The same patient at the same address, or the same text to the same address: once is enough.

    :param row: the message as it would go out.
    :param beside: messages that go out with it and are not in the database like that yet.
    """
    others: list[Row] = [*lists_store.same_address(connection, row)]
    others += [other for other in beside if _place(other) == _place(row)]
    if not others:
        return False
    mine = render(dispatch, connection, row)
    return any(
        (bool(row["ref"]) and other["ref"] == row["ref"])
        or render(dispatch, connection, other) == mine
        for other in others
    )


def _place(row: Row) -> tuple[int, str, str]:
    return row["mailing_id"], row["channel"], row["address"].lower()
