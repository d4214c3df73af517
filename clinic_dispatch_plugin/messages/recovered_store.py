"""The SQL by which everything that was not final in a backup becomes uncertain."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import AttemptState, MessageState, Mover, sources
from clinic_dispatch_plugin.messages.tables import Attempt, Message

_NOT_FINAL = [state.value for state in sources(MessageState.UNCERTAIN, Mover.RECOVERY)]


def has_messages(connection: Connection) -> bool:
    """Whether there is any message at all."""
    return connection.execute(select(Message.id).limit(1)).first() is not None


def not_final(connection: Connection, limit: int) -> list[int]:
    """Messages that would still go out, or were going out."""
    query = select(Message.id).where(Message.state.in_(_NOT_FINAL)).order_by(Message.id)
    return list(connection.scalars(query.limit(limit)))


def doubt(connection: Connection, ids: Sequence[int], answer_id: int) -> None:
    """Nobody knows whether these went out."""
    connection.execute(
        update(Attempt)
        .where(Attempt.message_id.in_(ids), Attempt.state == AttemptState.OPEN.value)
        .values(state=AttemptState.UNCERTAIN.value, answer_id=answer_id, closed_at=db_now())
    )
    connection.execute(
        update(Message)
        .where(Message.id.in_(ids), Message.state.in_(_NOT_FINAL))
        .values(
            state=MessageState.UNCERTAIN.value,
            run_id=None,
            due_at=None,
            answer_id=answer_id,
            final_at=db_now(),
        )
    )


def stop_plans(connection: Connection, why: str) -> int:
    """Mailings that were being prepared, or would begin by themselves, wait for a person; returns how many."""
    planning = (
        update(Mailing)
        .where(Mailing.state == MailingState.PLANNING.value)
        .values(state=MailingState.PAUSED.value, pause_reason="plan_failed", pause_text=why)
    )
    scheduled = (
        update(Mailing)
        .where(Mailing.state == MailingState.SCHEDULED.value)
        .values(state=MailingState.DRAFT.value)
    )
    return sum(connection.execute(query).rowcount for query in (planning, scheduled))
