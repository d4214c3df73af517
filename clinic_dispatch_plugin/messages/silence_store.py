"""The SQL that finds messages of which no report came in the time their mailing waits for one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    FromClause,
    RowMapping,
    SQLColumnExpression,
    String,
    cast,
    func,
    or_,
    select,
    update,
)

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import AttemptState, MessageState
from clinic_dispatch_plugin.messages.tables import Attempt, Message

#: What a gateway may have said and still be silent about the end.
_NO_WORD = ("delayed", "no_report")


def oldest_mailing(connection: Connection, *, within: float) -> int | None:
    """The first mailing that is not started yet, or was within so many seconds; None: there is none."""
    query = select(func.min(Mailing.id)).where(
        or_(Mailing.started_at.is_(None), Mailing.started_at > db_now(-within))
    )
    return connection.execute(query).scalar()


def waiting_mailings(connection: Connection, *, since: int, within: float) -> Sequence[RowMapping]:
    """Mailings that do not wait for every report without end, and may still send.

    :param since: none before this one can be among them.
    :param within: seconds since the mailing was started.
    """
    states = [MailingState.RUNNING.value, MailingState.FINISHED.value]
    wanted = (Mailing.id, Mailing.channel, Mailing.fallbacks, Mailing.purpose, Mailing.source)
    query = select(*wanted).where(
        Mailing.id >= since,
        Mailing.state.in_(states),
        Mailing.started_at > db_now(-within),
        or_(Mailing.not_after.is_(None), Mailing.not_after > db_now()),
        cast(Mailing.fallbacks, String).contains("silence"),
    )
    return connection.execute(query.order_by(Mailing.id)).mappings().all()


def silent(
    connection: Connection,
    mailing_id: int,
    channel: str,
    *,
    seconds: float,
    since: tuple[datetime, int] | None,
    limit: int,
    join: tuple[FromClause, SQLColumnExpression[int]],
    more: Sequence[SQLColumnExpression[Any]],
) -> Sequence[RowMapping]:
    """Messages a gateway of this channel took so many seconds ago, and did not report the end of; the oldest first.

    :param since: when the last one looked at was sent, and its id.
    :param join: a table with a row for some attempts, and its column with the attempt's id.
    """
    query = (
        select(
            Message.id,
            Message.attempt_id,
            Message.ref,
            Message.route,
            Message.sent_at,
            Attempt.account_id,
            Attempt.opened_at,
            Attempt.report,
            *more,
        )
        .select_from(Message)
        .join(Attempt, Attempt.id == Message.attempt_id)
        .outerjoin(join[0], join[1] == Attempt.id)
        .where(
            Message.mailing_id == mailing_id,
            Message.state == MessageState.SENT.value,
            Message.channel == channel,
            Message.sent_at <= db_now(-seconds),
            Attempt.channel == channel,
            Attempt.state == AttemptState.ACCEPTED.value,
            or_(Attempt.report.is_(None), Attempt.report.in_(_NO_WORD)),
        )
    )
    if since is not None:
        moment, last = since
        query = query.where(
            or_(Message.sent_at > moment, (Message.sent_at == moment) & (Message.id > last))
        )
    query = query.order_by(Message.sent_at, Message.id).limit(limit)
    return connection.execute(query).mappings().all()


def hold_mailing(connection: Connection, mailing_id: int) -> None:
    """Keep a mailing as it is until the transaction ends; a write, which SQLite needs first."""
    connection.execute(
        update(Mailing).where(Mailing.id == mailing_id).values(priority=Mailing.priority)
    )
