"""The SQL that counts what failed in a time, by answer: along the indexes of answers, past all that went well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, or_, select

from clinic_dispatch_plugin.messages.rules import FAILED, AttemptState
from clinic_dispatch_plugin.messages.tables import Attempt, Message

_REFUSALS = (AttemptState.REFUSED.value, AttemptState.UNCERTAIN.value)


def failures_by_answer(
    connection: Connection, starts: Sequence[datetime]
) -> Iterator[tuple[int, int, int]]:
    """``(answer, stretch, failures)``: tries that were refused or are in doubt, and messages that failed otherwise.

    :param starts: where each stretch of time begins, the latest first; before the last one nothing is counted.
    """
    for query in (tries_query(starts), messages_query(starts)):
        for row in connection.execute(query):
            yield int(row[0]), int(row[1]), int(row[2])


def tries_query(starts: Sequence[datetime]) -> Select[*tuple[Any, ...]]:
    """Tries that a gateway refused, or that are in doubt."""
    stretch = _stretch(Attempt.closed_at, starts)
    return (
        select(Attempt.answer_id, stretch.label("stretch"), func.count())
        .where(
            Attempt.answer_id.is_not(None),
            Attempt.closed_at >= starts[-1],
            Attempt.state.in_(_REFUSALS),
        )
        .group_by(Attempt.answer_id, stretch)
    )


def messages_query(starts: Sequence[datetime]) -> Select[*tuple[Any, ...]]:
    """Messages that failed by a later report or by a decision of ours: no try of theirs has this answer."""
    stretch = _stretch(Message.final_at, starts)
    by_its_try = and_(
        Attempt.id == Message.attempt_id,
        Attempt.answer_id == Message.answer_id,
        Attempt.state.in_(_REFUSALS),
    )
    return (
        select(Message.answer_id, stretch.label("stretch"), func.count())
        .outerjoin(Attempt, by_its_try)
        .where(
            Message.answer_id.is_not(None),
            Message.final_at >= starts[-1],
            or_(*(Message.state == state.value for state in FAILED)),
            Attempt.id.is_(None),
        )
        .group_by(Message.answer_id, stretch)
    )


def _stretch(at: Any, starts: Sequence[datetime]) -> ColumnElement[int]:
    return case(*((at >= start, number) for number, start in enumerate(starts)), else_=len(starts))
