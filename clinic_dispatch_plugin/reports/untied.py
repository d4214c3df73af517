"""Reports of gateways that belong to no message: how many there are, of whom, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.messages.detail import account_label
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports import inbox_store
from clinic_dispatch_plugin.reports.rules import ReportState


@dataclass(frozen=True, slots=True, kw_only=True)
class Untied:
    """The reports of one account that found no message."""

    channel: str
    account: str
    count: int
    first_at: datetime
    last_at: datetime
    #: They name more than one message; else none that is known.
    is_strange: bool


def untied(dispatch: Dispatch) -> Sequence[Untied]:
    """All of them, by account; they are forgotten after a day."""
    with dispatch.database.begin() as connection:
        rows = inbox_store.untied(connection)
        known = {row["id"]: row for row in accounts.accounts(connection)} if rows else {}
    return [
        Untied(
            channel=row["channel"],
            account=account_label(dispatch, known[row["account_id"]])
            if row["account_id"] in known
            else "",
            count=row["number"],
            first_at=row["first_at"],
            last_at=row["last_at"],
            is_strange=row["state"] == ReportState.STRANGE.value,
        )
        for row in rows
    ]
