"""Forgets what was reported about messages whose time is over."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.reports import forgetting_store as store
from clinic_dispatch_plugin.reports.tables import Bounce, Report


def forget_messages(connection: Connection, ids: Sequence[int]) -> None:
    """Remove reports, bounce mails and questions about these messages."""
    store.forget_messages(connection, ids)


def forget_old(connection: Connection, *, days: int, limit: int) -> int:
    """Remove reports and bounce mails that came so long ago, also those nobody could tie to a message; how many."""
    seconds = days * 86_400.0
    return sum(
        store.forget_old(connection, table, seconds=seconds, limit=limit)
        for table in (Report, Bounce)
    )


def about(
    connection: Connection, ids: Sequence[int]
) -> tuple[Sequence[RowMapping], Sequence[RowMapping]]:
    """Reports and bounce mails about these messages."""
    return store.about(connection, ids)
