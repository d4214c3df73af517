"""The SQL that counts what failed in a time, by answer: along the indexes of answers, past all that went well."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, func, or_, select

from clinic_dispatch_plugin.messages.rules import FAILED, AttemptState
from clinic_dispatch_plugin.messages.tables import Attempt, Message

_REFUSALS = (AttemptState.REFUSED.value, AttemptState.UNCERTAIN.value)


def failures(
    connection: Connection, starts: Sequence[datetime], *, by_ref: bool = False
) -> list[Row[*tuple[Any, ...]]]:
    """``(answer_id, stretch, n)``, and with ``by_ref`` whose they are: see the two statements.

    :param starts: where each stretch of time begins, the latest first; before the last one nothing is counted.
    """
    return [
        row
        for query in (tries_query(starts, by_ref=by_ref), messages_query(starts, by_ref=by_ref))
        for row in connection.execute(query)
    ]


def tries_query(starts: Sequence[datetime], *, by_ref: bool = False) -> Select[*tuple[Any, ...]]:
    """Tries that a gateway refused, or that are in doubt."""
    query = select(Attempt.answer_id, _stretch(Attempt.closed_at, starts), func.count().label("n"))
    query = query.where(
        Attempt.answer_id.is_not(None),
        Attempt.closed_at >= starts[-1],
        Attempt.state.in_(_REFUSALS),
    ).group_by(Attempt.answer_id, "stretch")
    if by_ref:
        query = query.join(Message, Message.id == Attempt.message_id)
        query = query.add_columns(Message.ref).group_by(Message.ref)
    return query


def messages_query(starts: Sequence[datetime], *, by_ref: bool = False) -> Select[*tuple[Any, ...]]:
    """Messages that failed by a later report or by a decision of ours: no try of theirs has this answer."""
    by_its_try = and_(
        Attempt.id == Message.attempt_id,
        Attempt.answer_id == Message.answer_id,
        Attempt.state.in_(_REFUSALS),
    )
    query = (
        select(Message.answer_id, _stretch(Message.final_at, starts), func.count().label("n"))
        .outerjoin(Attempt, by_its_try)
        .where(
            Message.answer_id.is_not(None),
            Message.final_at >= starts[-1],
            or_(*(Message.state == state.value for state in FAILED)),
            Attempt.id.is_(None),
        )
        .group_by(Message.answer_id, "stretch")
    )
    return query.add_columns(Message.ref).group_by(Message.ref) if by_ref else query


def _stretch(at: Any, starts: Sequence[datetime]) -> Any:
    """The number of the stretch a time falls into."""
    whens = [(at >= start, number) for number, start in enumerate(starts)]
    return case(*whens, else_=len(starts)).label("stretch")
