"""The SQL of messages whose gateway is asked before anything follows from its refusal."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, FromClause, RowMapping, SQLColumnExpression, and_, select

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.messages.tries_store import DECIDING


def waiting_for_word(
    connection: Connection,
    answer_id: int,
    *,
    since: float,
    limit: int,
    join: tuple[FromClause, SQLColumnExpression[int]],
    more: Sequence[SQLColumnExpression[object]],
    after: int = 0,
) -> Sequence[RowMapping]:
    """Messages in doubt that this answer explains, refused so many seconds ago, with what decides about them.

    :param join: a table with a row for some attempts, and its column with the attempt's id.
    :param after: only messages with a higher id.
    """
    query = (
        select(
            *DECIDING,
            Attempt.account_id,
            Attempt.answer_id.label("refusal_id"),
            Attempt.answer_text,
            Attempt.opened_at,
            Attempt.closed_at,
            *more,
        )
        .select_from(Message)
        .join(Attempt, Attempt.id == Message.attempt_id)
        .join(Mailing, Mailing.id == Message.mailing_id)
        .outerjoin(join[0], join[1] == Attempt.id)
        .where(
            Message.answer_id == answer_id,
            Message.id > after,
            Message.state == MessageState.UNCERTAIN.value,
            Attempt.closed_at <= db_now(-since),
        )
    )
    return connection.execute(query.order_by(Message.id).limit(limit)).mappings().all()


def waits_for_word(connection: Connection, message_id: int, answer_id: int | None) -> bool:
    """Whether this answer explains the message's doubt."""
    if answer_id is None:
        return False
    here = and_(Message.id == message_id, Message.answer_id == answer_id)
    return connection.execute(select(Message.id).where(here)).first() is not None
