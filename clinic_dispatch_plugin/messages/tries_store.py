"""The SQL that gives tries back which an account's fault used up."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, case, update

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.tables import Message


def give_tries_back(connection: Connection, account_id: int, answer_ids: Iterable[int]) -> None:
    """Messages that wait for another try because of these answers are due at once, with one try less used."""
    connection.execute(
        update(Message)
        .where(
            Message.state == MessageState.QUEUED.value,
            Message.account_id == account_id,
            Message.answer_id.in_(sorted(answer_ids)),
            Message.tries > 0,
        )
        .values(
            tries=Message.tries - 1,
            due_at=case((Message.due_at > db_now(), db_now()), else_=Message.due_at),
        )
    )
