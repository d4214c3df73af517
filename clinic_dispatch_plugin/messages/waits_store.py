"""The SQL of messages that were taken too early: they wait again, with what explains it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, update

from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.tables import Message


def wait_until(
    connection: Connection, rows: Iterable[tuple[int, datetime]], *, run_id: int, answer_id: int
) -> None:
    """Leased messages of a run wait again until each one's time; no try is used."""
    values = [{"b_message": message_id, "b_due": due_at} for message_id, due_at in rows]
    if not values:
        return
    connection.execute(
        update(Message)
        .where(
            Message.id == bindparam("b_message"),
            Message.run_id == run_id,
            Message.state == MessageState.LEASED.value,
        )
        .values(
            state=MessageState.QUEUED.value,
            run_id=None,
            due_at=bindparam("b_due"),
            answer_id=answer_id,
        ),
        values,
    )
