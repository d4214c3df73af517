"""The SQL that compares messages with their attempts: what is counted beside the rows must be what the rows say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select

from clinic_dispatch_plugin.messages.rules import AttemptState, MessageState
from clinic_dispatch_plugin.messages.tables import Attempt, Message


def _made() -> Any:
    mine = (Attempt.message_id == Message.id, Attempt.state != AttemptState.WITHDRAWN.value)
    return select(func.count()).select_from(Attempt).where(*mine).scalar_subquery()


def _newest() -> Any:
    mine = Attempt.message_id == Message.id
    return select(func.coalesce(func.max(Attempt.number), 0)).where(mine).scalar_subquery()


def _current(state: AttemptState) -> ColumnElement[bool]:
    return exists().where(
        Attempt.id == Message.attempt_id,
        Attempt.message_id == Message.id,
        Attempt.state == state.value,
    )


def _has_open() -> ColumnElement[bool]:
    mine = (Attempt.message_id == Message.id, Attempt.state == AttemptState.OPEN.value)
    return exists().where(*mine)


def _disagreements() -> Mapping[str, ColumnElement[bool]]:
    sending, sent = MessageState.SENDING.value, MessageState.SENT.value
    return {
        "counted tries": Message.attempts != _made(),
        "last number": Message.last_number != _newest(),
        "sending without an open attempt": and_(
            Message.state == sending, ~_current(AttemptState.OPEN)
        ),
        "an open attempt of what is not sending": and_(Message.state != sending, _has_open()),
        "sent without an acceptance": and_(Message.state == sent, ~_current(AttemptState.ACCEPTED)),
    }


def disagreements(connection: Connection) -> dict[str, int]:
    """Messages that say something else than their attempts, by what it is; empty: all agree."""
    found = {
        name: connection.execute(
            select(func.count()).select_from(Message).where(where)
        ).scalar_one()
        for name, where in _disagreements().items()
    }
    return {name: number for name, number in found.items() if number}


def how_many(connection: Connection) -> int:
    """All messages."""
    return int(connection.execute(select(func.count()).select_from(Message)).scalar_one())
