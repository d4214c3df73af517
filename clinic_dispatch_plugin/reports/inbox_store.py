"""The SQL of kept reports of gateways."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.reports.rules import ReportState
from clinic_dispatch_plugin.reports.tables import Report

_WAITING = ReportState.WAITING.value


def add(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
    """Keep the reports that are not kept yet; returns how many.

    :raises IntegrityError: somebody keeps the same one at this moment.
    """
    new = {row["digest"]: row for row in rows}
    query = select(Report.digest).where(Report.digest.in_(list(new)))
    for known in connection.scalars(query).all():
        del new[known]
    if new:
        come = insert(Report).values(received_at=db_now(), look_at=db_now(), state=_WAITING)
        connection.execute(come, list(new.values()))
    return len(new)


def due(connection: Connection, limit: int) -> Sequence[int]:
    """Reports whose message is to be looked for now, those that came first in front."""
    query = select(Report.id).where(Report.state == _WAITING, Report.look_at <= db_now())
    return connection.scalars(query.order_by(Report.id).limit(limit)).all()


def answers_to_read(connection: Connection, account_ids: Collection[int]) -> bool:
    """Whether one of these gateways said something when it was asked that nobody has read yet."""
    query = select(Report.id).where(
        Report.state == _WAITING,
        Report.look_at <= db_now(),
        Report.source == "asked",
        Report.account_id.in_(account_ids),
    )
    return connection.execute(query.limit(1)).first() is not None


def take(connection: Connection, report_id: int) -> RowMapping | None:
    """Hold a report that is due until the transaction ends; None: somebody else saw to it."""
    done = connection.execute(
        update(Report)
        .where(Report.id == report_id, Report.state == _WAITING, Report.look_at <= db_now())
        .values(looks=Report.looks + 1)
    )
    if not done.rowcount:
        return None
    query = select(Report.__table__).where(Report.id == report_id)
    return connection.execute(query).mappings().one()


def change(connection: Connection, report_id: int, **values: Any) -> None:
    """Write down what became of a held report."""
    connection.execute(update(Report).where(Report.id == report_id).values(**values))


def put_off(connection: Connection, report_id: int, seconds: float) -> None:
    """Look for its message again so many seconds from now."""
    connection.execute(update(Report).where(Report.id == report_id).values(look_at=db_now(seconds)))


def said_of_parts(connection: Connection, attempt_id: int) -> dict[str, list[str]]:
    """What was said so far of each part of an attempt that went out in several."""
    query = select(Report.part, Report.action).where(
        Report.attempt_id == attempt_id, Report.part != ""
    )
    found: dict[str, list[str]] = {}
    for part, action in connection.execute(query):
        found.setdefault(part, []).append(action)
    return found


def last_of_account(connection: Connection, account_id: int, *, limit: int) -> Sequence[RowMapping]:
    """What an account's gateway reported, the newest first."""
    query = select(Report.__table__).where(Report.account_id == account_id)
    return connection.execute(query.order_by(Report.id.desc()).limit(limit)).mappings().all()


def waiting(connection: Connection, account_id: int | None = None, *, most: int = 0) -> int:
    """How many belong to no message yet; ``most``: no further than that is counted."""
    query = select(Report.id).where(Report.state == _WAITING)
    if account_id is not None:
        query = query.where(Report.account_id == account_id)
    if most:
        query = query.limit(most)
    return int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def forget(connection: Connection, *, older_than: float) -> int:
    """Remove what belongs to no message and came so many seconds ago; returns how many."""
    untied = [ReportState.WAITING.value, ReportState.STRANGE.value]
    done = connection.execute(
        delete(Report).where(
            Report.state.in_(untied), Report.received_at < db_now(-older_than), Report.looks > 0
        )
    )
    return done.rowcount


def forget_oldest(connection: Connection, *, beyond: int) -> int:
    """Remove the oldest that were looked for in vain where there are more than ``beyond``; returns how many."""
    in_vain = select(Report.id).where(Report.state == _WAITING, Report.looks > 0)
    newest = in_vain.order_by(Report.id.desc()).offset(beyond).limit(1)
    last = connection.execute(newest).scalar()
    if last is None:
        return 0
    done = connection.execute(
        delete(Report).where(Report.state == _WAITING, Report.looks > 0, Report.id <= last)
    )
    return done.rowcount


def untied(connection: Connection) -> Sequence[RowMapping]:
    """Reports that were looked for in vain, by account and state: how many, and when the first and last came."""
    states = [ReportState.WAITING.value, ReportState.STRANGE.value]
    query = (
        select(
            Report.channel,
            Report.account_id,
            Report.state,
            func.count().label("number"),
            func.min(Report.received_at).label("first_at"),
            func.max(Report.received_at).label("last_at"),
        )
        .where(Report.state.in_(states), Report.looks > 0)
        .group_by(Report.channel, Report.account_id, Report.state)
        .order_by(Report.channel, Report.account_id, Report.state)
    )
    return connection.execute(query).mappings().all()


def of_message(connection: Connection, message_id: int) -> Sequence[RowMapping]:
    """Those that speak of a message, in the order they came."""
    query = select(Report.__table__).where(Report.message_id == message_id).order_by(Report.id)
    return connection.execute(query).mappings().all()
