"""The SQL of messages that wait because of an answer, and of what stands still for the same reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, select, update

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.tables import Attempt, Message

#: Ids one statement names.
PORTION = 500


def answers_with_waiting(connection: Connection) -> set[int]:
    """Because of which answers messages wait for another try."""
    query = select(Message.answer_id).where(
        Message.state == MessageState.QUEUED.value, Message.answer_id.is_not(None)
    )
    return {found for found in connection.scalars(query.distinct()) if found is not None}


def waiting_of_answers(connection: Connection, answer_ids: Iterable[int]) -> list[RowMapping]:
    """The messages that wait because of these answers."""
    found: list[RowMapping] = []
    for portion in _portions(answer_ids):
        query = _facts().where(Message.answer_id.in_(portion)).order_by(Message.id)
        found += connection.execute(query).mappings().all()
    return found


def waiting_after(
    connection: Connection,
    answer_ids: Iterable[int],
    *,
    after: int,
    until: datetime,
    limit: int,
) -> list[RowMapping]:
    """So many of them with a higher id than ``after``, refused until then, the lowest first."""
    found: list[RowMapping] = []
    for portion in _portions(answer_ids):
        query = _facts().where(
            Message.answer_id.in_(portion), Message.id > after, Attempt.closed_at <= until
        )
        found += connection.execute(query.order_by(Message.id).limit(limit)).mappings().all()
    return sorted(found, key=lambda row: int(row["id"]))[:limit]


def waiting_of_ids(connection: Connection, ids: Sequence[int]) -> Sequence[RowMapping]:
    """Those of ``ids`` that wait, with what a policy asks about them."""
    query = _facts().where(Message.id.in_(list(ids))).order_by(Message.id)
    return connection.execute(query).mappings().all()


def _facts() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Message.id,
            Message.mailing_id,
            Message.ref,
            Message.channel,
            Message.address,
            Message.account_id,
            Message.answer_id,
            Message.tries,
            Message.due_at,
            Message.created_at,
            Mailing.not_after,
            Attempt.closed_at.label("refused_at"),
        )
        .join(Mailing, Mailing.id == Message.mailing_id)
        .outerjoin(Attempt, Attempt.id == Message.attempt_id)
        .where(Message.state == MessageState.QUEUED.value)
    )


def give_up(connection: Connection, ids: Sequence[int], *, answer_id: int | None = None) -> None:
    """Waiting messages are not tried again; what explains their wait explains that, unless another answer does."""
    values: dict[str, object] = {
        "state": MessageState.UNDELIVERED.value,
        "due_at": None,
        "final_at": db_now(),
    }
    if answer_id is not None:
        values["answer_id"] = answer_id
    if ids:
        connection.execute(
            update(Message)
            .where(Message.id.in_(list(ids)), Message.state == MessageState.QUEUED.value)
            .values(**values)
        )


def put_at(connection: Connection, times: Sequence[tuple[int, datetime]]) -> None:
    """Waiting messages get another time for their next try."""
    if times:
        connection.execute(
            update(Message)
            .where(
                Message.id == bindparam("b_message"),
                Message.state == MessageState.QUEUED.value,
            )
            .values(due_at=bindparam("b_due")),
            [{"b_message": found, "b_due": due} for found, due in times],
        )


def paused_by(connection: Connection, causes: Iterable[str]) -> Sequence[RowMapping]:
    """Mailings the program put on hold because too many messages failed so; the newest first.

    :param causes: ``system:code`` of the answers.
    """
    query = (
        select(Mailing.id, Mailing.name)
        .where(
            Mailing.state == MailingState.PAUSED.value,
            Mailing.pause_reason == "spam",
            Mailing.pause_text.in_(sorted(causes)),
        )
        .order_by(Mailing.id.desc())
        .limit(20)
    )
    return connection.execute(query).mappings().all()


def _portions(ids: Iterable[int]) -> Iterator[list[int]]:
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), PORTION):
        yield wanted[start : start + PORTION]
