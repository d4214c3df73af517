"""The SQL that removes what gateways and bounce mails said about messages whose time is over."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, delete, select

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages import reported_store
from clinic_dispatch_plugin.reports.tables import Asking, Bounce, Report

Table = type[Report] | type[Bounce]


def forget_messages(connection: Connection, ids: Sequence[int]) -> None:
    """Remove reports, bounce mails and questions about these messages."""
    for table in (Report, Bounce):
        connection.execute(delete(table).where(table.message_id.in_(ids)))
    attempts = reported_store.attempt_ids_of(connection, ids)
    if attempts:
        connection.execute(delete(Asking).where(Asking.attempt_id.in_(attempts)))


def forget_old(connection: Connection, table: Table, *, seconds: float, limit: int) -> int:
    """Remove the oldest rows that came so many seconds ago, whatever they speak of; returns how many."""
    # Ids grow with time: the oldest stand in front, and the first that is young ends the look.
    front = connection.execute(
        select(table.id, (table.received_at < db_now(-seconds)).label("old"))
        .order_by(table.id)
        .limit(limit)
    )
    ids = [row.id for row in front if row.old]
    if ids:
        connection.execute(delete(table).where(table.id.in_(ids)))
    return len(ids)


def about(
    connection: Connection, ids: Sequence[int]
) -> tuple[Sequence[RowMapping], Sequence[RowMapping]]:
    """Reports and bounce mails about these messages."""
    found = [
        connection.execute(
            select(table.__table__).where(table.message_id.in_(ids)).order_by(table.id)
        )
        .mappings()
        .all()
        for table in (Report, Bounce)
    ]
    return found[0], found[1]
