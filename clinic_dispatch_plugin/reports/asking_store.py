"""The SQL of questions: which attempts a gateway has not said its last word about, and when it is asked again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages import reported_store
from clinic_dispatch_plugin.reports.tables import Asking


def due(
    connection: Connection,
    account_id: int,
    *,
    window: float,
    first: float,
    limit: int,
    at_once: Collection[int] = (),
) -> Sequence[RowMapping]:
    """Attempts whose gateway is to be asked now, those handed over first in front.

    :param at_once: answers of messages for which the first question waits no time.
    """
    ripe = reported_store.opened_before(first)
    if at_once:
        ripe = ripe | reported_store.explained_by(at_once)
    return reported_store.unreported(
        connection,
        account_id,
        within=window,
        limit=limit,
        join=(Asking.__table__, Asking.attempt_id),
        only=(Asking.next_at <= db_now()) | (Asking.attempt_id.is_(None) & ripe),
        more=(Asking.not_found, Asking.counted_at),
    )


def asked(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write down that these were asked for: ``attempt_id, next_at``."""
    ids = [row["attempt_id"] for row in rows]
    known = set(connection.scalars(select(Asking.attempt_id).where(Asking.attempt_id.in_(ids))))
    for row in rows:
        values = {"next_at": row["next_at"], "asked_at": db_now()}
        if row["attempt_id"] in known:
            connection.execute(
                update(Asking).where(Asking.attempt_id == row["attempt_id"]).values(**values)
            )
        else:
            connection.execute(
                insert(Asking).values(attempt_id=row["attempt_id"], not_found=0, **values)
            )


def count_not_found(connection: Connection, attempt_id: int) -> int:
    """The gateway knows of no such message once more; returns how often that was. It was asked before."""
    connection.execute(
        update(Asking)
        .where(Asking.attempt_id == attempt_id)
        .values(not_found=Asking.not_found + 1, counted_at=db_now())
    )
    query = select(Asking.not_found).where(Asking.attempt_id == attempt_id)
    return int(connection.execute(query).scalar_one())


def want_now(connection: Connection, attempt_ids: Sequence[int]) -> int:
    """Ask for these as soon as it may be; returns how many."""
    known = set(
        connection.scalars(select(Asking.attempt_id).where(Asking.attempt_id.in_(attempt_ids)))
    )
    if known:
        connection.execute(
            update(Asking).where(Asking.attempt_id.in_(known)).values(next_at=db_now())
        )
    new = [{"attempt_id": each, "not_found": 0} for each in attempt_ids if each not in known]
    if new:
        connection.execute(insert(Asking).values(next_at=db_now()), new)
    return len(attempt_ids)
