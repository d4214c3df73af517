"""The SQL of tries: those a dead run left open, and those an account's fault used up and that are given back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, RowMapping, case, select, update

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import AttemptState, MessageState
from clinic_dispatch_plugin.messages.tables import Attempt, Message

#: What decides about a message when word comes of one of its attempts.
DECIDING = (
    Attempt.id,
    Attempt.message_id,
    Attempt.number,
    Attempt.channel,
    Attempt.address,
    Attempt.estimate,
    Message.tries,
    Message.attempts,
    Message.name,
    Message.created_at,
    Message.route,
    Mailing.not_after,
    Mailing.purpose,
    Mailing.channel.label("first"),
    Mailing.fallbacks,
)


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


def open_attempts_of_run(connection: Connection, run_id: int) -> Sequence[RowMapping]:
    """The attempts of a dead run that have no result, with their messages' counts."""
    query = (
        select(
            *DECIDING,
            Attempt.state,
            Message.attempt_id.label("current"),
            Message.answer_id.label("explained_by"),
        )
        .join(Message, Message.id == Attempt.message_id)
        .join(Mailing, Mailing.id == Message.mailing_id)
        .where(Attempt.run_id == run_id)
        .where(Attempt.state.in_([AttemptState.OPEN.value, AttemptState.UNCERTAIN.value]))
    )
    return connection.execute(query).mappings().all()
