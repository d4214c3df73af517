"""The SQL by which reports that come later find their attempts and move messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    SQLColumnExpression,
    case,
    func,
    or_,
    select,
    update,
)

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import AttemptState, MessageState, Mover, sources
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.messages.window_store import uncount

#: Reports by weight: one never overwrites a heavier one.
WEIGHTS = ("delayed", "no_report", "failed", "delivered", "read")

#: States of attempts whose gateway may still say something.
_IN_QUESTION = (AttemptState.ACCEPTED.value, AttemptState.UNCERTAIN.value)


def _with_messages() -> Select[*tuple[Any, ...]]:
    return select(
        Attempt.id,
        Attempt.message_id,
        Attempt.number,
        Attempt.state,
        Attempt.channel,
        Attempt.address,
        Attempt.opened_at,
        Attempt.closed_at,
        Attempt.account_id,
        Attempt.provider_id,
        Attempt.report,
        Attempt.currency,
        Message.attempt_id.label("current"),
        Message.mailing_id,
        Message.state.label("message_state"),
        Message.ref,
        Message.name,
    ).join(Message, Message.id == Attempt.message_id)


def attempts_by_key(connection: Connection, keys: Iterable[str]) -> Sequence[RowMapping]:
    """The attempts of these keys, with their messages."""
    query = _with_messages().where(Attempt.key.in_(list(keys)))
    return connection.execute(query).mappings().all()


def attempts_of_message_key(connection: Connection, keys: Iterable[str]) -> Sequence[RowMapping]:
    """All attempts of the messages of these keys, the oldest first."""
    query = _with_messages().where(Message.key.in_(list(keys))).order_by(Attempt.number)
    return connection.execute(query).mappings().all()


def attempts_of_message(connection: Connection, message_id: int) -> Sequence[RowMapping]:
    """All attempts of one message, the oldest first."""
    query = _with_messages().where(Message.id == message_id).order_by(Attempt.number)
    return connection.execute(query).mappings().all()


def attempts_by_id(connection: Connection, ids: Iterable[int]) -> Sequence[RowMapping]:
    """These attempts, with their messages."""
    query = _with_messages().where(Attempt.id.in_(list(ids)))
    return connection.execute(query).mappings().all()


def attempt_ids_of(connection: Connection, message_ids: Sequence[int]) -> list[int]:
    """The attempts of these messages."""
    return list(connection.scalars(select(Attempt.id).where(Attempt.message_id.in_(message_ids))))


def attempts_by_provider_id(
    connection: Connection, account_id: int, ids: Iterable[str]
) -> Sequence[RowMapping]:
    """The attempts of an account that have one of these ids of its gateway."""
    query = _with_messages().where(
        Attempt.provider_id.in_(list(ids)), Attempt.account_id == account_id
    )
    return connection.execute(query).mappings().all()


def in_parts(
    connection: Connection, account_id: int, *, between: str, within: float, limit: int
) -> Sequence[tuple[int, str]]:
    """The newest attempts that went out in several parts: id, and the ids of the parts in one text."""
    query = select(Attempt.id, func.coalesce(Attempt.provider_id, "")).where(
        Attempt.account_id == account_id,
        Attempt.opened_at > db_now(-within),
        Attempt.provider_id.contains(between, autoescape=True),
    )
    rows = connection.execute(query.order_by(Attempt.id.desc()).limit(limit))
    return [(row[0], row[1]) for row in rows]


def opened_before(seconds: float) -> ColumnElement[bool]:
    """Whether an attempt was handed over so many seconds ago."""
    return Attempt.opened_at <= db_now(-seconds)


def explained_by(answer_ids: Iterable[int]) -> ColumnElement[bool]:
    """Whether one of these answers explains the message's state."""
    return Message.answer_id.in_(list(answer_ids))


def unreported(
    connection: Connection,
    account_id: int,
    *,
    within: float,
    limit: int,
    join: tuple[FromClause, SQLColumnExpression[int]] | None = None,
    only: ColumnElement[bool] | None = None,
    more: Sequence[SQLColumnExpression[Any]] = (),
    mailing_id: int | None = None,
    message_id: int | None = None,
) -> Sequence[RowMapping]:
    """An account's attempts that no last word is known of, handed over within so many seconds, the oldest first.

    :param join: a table with a row for some of them, and its column with the attempt's id.
    """
    query = _with_messages().add_columns(Attempt.key, *more)
    if join is not None:
        query = query.outerjoin(join[0], join[1] == Attempt.id)
    query = query.where(
        Attempt.account_id == account_id,
        Attempt.report.is_(None),
        Attempt.opened_at > db_now(-within),
        Attempt.state.in_(_IN_QUESTION),
    )
    if only is not None:
        query = query.where(only)
    if mailing_id is not None:
        query = query.where(Message.mailing_id == mailing_id)
    if message_id is not None:
        query = query.where(Message.id == message_id)
    return connection.execute(query.order_by(Attempt.opened_at).limit(limit)).mappings().all()


def _unreported_of(
    query: Select[*tuple[Any, ...]],
    account_id: int,
    *,
    within: float,
    mailing_id: int | None,
    message_id: int | None,
) -> Select[*tuple[Any, ...]]:
    query = query.where(
        Attempt.account_id == account_id,
        Attempt.report.is_(None),
        Attempt.opened_at > db_now(-within),
        Attempt.state.in_(_IN_QUESTION),
    )
    if message_id is not None:
        query = query.where(Attempt.message_id == message_id)
    if mailing_id is not None:
        mine = (Message.id == Attempt.message_id, Message.mailing_id == mailing_id)
        query = query.where(select(Message.id).where(*mine).exists())
    return query


def last_unreported(
    connection: Connection,
    account_id: int,
    *,
    within: float,
    mailing_id: int | None = None,
    message_id: int | None = None,
) -> datetime | None:
    """When the newest of the attempts was handed over that no last word is known of; None: there is none."""
    query = _unreported_of(
        select(Attempt.opened_at),
        account_id,
        within=within,
        mailing_id=mailing_id,
        message_id=message_id,
    )
    return connection.execute(query.order_by(Attempt.opened_at.desc()).limit(1)).scalar()


def count_unreported(
    connection: Connection, account_id: int, *, within: float, mailing_id: int | None = None
) -> int:
    """How many attempts no last word is known of."""
    query = _unreported_of(
        select(func.count()).select_from(Attempt),
        account_id,
        within=within,
        mailing_id=mailing_id,
        message_id=None,
    )
    return int(connection.execute(query).scalar_one())


def give_up_waiting(connection: Connection, account_id: int, *, window: float, limit: int) -> int:
    """Accepted attempts nobody can be asked about any more: there is no report; returns how many."""
    query = select(Attempt.id).where(
        Attempt.account_id == account_id,
        Attempt.report.is_(None),
        Attempt.opened_at <= db_now(-window),
        Attempt.state == AttemptState.ACCEPTED.value,
    )
    ids = connection.scalars(query.limit(limit)).all()
    if ids:
        connection.execute(
            update(Attempt)
            .where(Attempt.id.in_(ids), Attempt.report.is_(None))
            .values(report="no_report", report_at=db_now())
        )
    return len(ids)


def reports_of_messages(connection: Connection, message_ids: Iterable[int]) -> dict[int, str]:
    """What was reported of the current attempts of these messages, where something was."""
    query = (
        select(Message.id, Attempt.report)
        .join(Attempt, Attempt.id == Message.attempt_id)
        .where(Message.id.in_(list(message_ids)), Attempt.report.is_not(None))
    )
    return {row[0]: str(row[1]) for row in connection.execute(query)}


def note_report(connection: Connection, attempt_id: int, report: str) -> bool:
    """Write down what was reported of an attempt; False: something heavier was said already, or the same."""
    lighter = WEIGHTS[: WEIGHTS.index(report)]
    done = connection.execute(
        update(Attempt)
        .where(
            Attempt.id == attempt_id,
            or_(Attempt.report.is_(None), Attempt.report.in_(lighter)),
        )
        .values(report=report, report_at=db_now())
    )
    return done.rowcount > 0


def went_out(connection: Connection, attempt_id: int) -> None:
    """A report about an attempt in doubt proves that it was handed over."""
    connection.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id, Attempt.state == AttemptState.UNCERTAIN.value)
        .values(state=AttemptState.ACCEPTED.value)
    )


def name_attempt(connection: Connection, attempt_id: int, provider_id: str) -> None:
    """The gateway's id of an attempt whose answer, and the id with it, was lost."""
    connection.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id, Attempt.provider_id.is_(None))
        .values(provider_id=provider_id)
    )


def prove_sent(connection: Connection, message_id: int, attempt_id: int) -> bool:
    """A gateway knows a message that was in doubt: it was handed over."""
    done = connection.execute(
        update(Message)
        .where(
            Message.id == message_id,
            Message.attempt_id == attempt_id,
            Message.state == MessageState.UNCERTAIN.value,
        )
        .values(
            state=MessageState.SENT.value,
            answer_id=None,
            sent_at=func.coalesce(Message.sent_at, db_now()),
            final_at=db_now(),
        )
    )
    return done.rowcount > 0


def never_taken(connection: Connection, message_id: int, attempt_id: int) -> bool:
    """A gateway proves that it never had a message in doubt: it waits again, as if it had not been tried."""
    done = connection.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id, Attempt.state == AttemptState.UNCERTAIN.value)
        .values(state=AttemptState.WITHDRAWN.value)
    )
    if not done.rowcount:
        return False
    uncount(connection, [message_id])
    moved = connection.execute(
        update(Message)
        .where(
            Message.id == message_id,
            Message.attempt_id == attempt_id,
            Message.state.in_([s.value for s in sources(MessageState.QUEUED, Mover.TENDER)]),
            Message.state == MessageState.UNCERTAIN.value,
        )
        .values(
            state=MessageState.QUEUED.value,
            due_at=db_now(),
            answer_id=None,
            provider_id=None,
            final_at=None,
            tries=case((Message.tries > 0, Message.tries - 1), else_=0),
        )
    )
    return moved.rowcount > 0


def undeliver(connection: Connection, message_id: int, attempt_id: int, answer_id: int) -> bool:
    """A report says no of the message's current attempt; a message that arrived stays so."""
    done = connection.execute(
        update(Message)
        .where(
            Message.id == message_id,
            Message.attempt_id == attempt_id,
            Message.state.in_(
                [state.value for state in sources(MessageState.UNDELIVERED, Mover.REPORT)]
            ),
        )
        .values(
            state=MessageState.UNDELIVERED.value,
            answer_id=answer_id,
            due_at=None,
            final_at=db_now(),
        )
    )
    return done.rowcount > 0


def deliver(connection: Connection, message_id: int, attempt_id: int) -> bool:
    """A report says that the message's current attempt arrived."""
    done = connection.execute(
        update(Message)
        .where(
            Message.id == message_id,
            Message.attempt_id == attempt_id,
            Message.state.in_(
                [state.value for state in sources(MessageState.DELIVERED, Mover.REPORT)]
            ),
        )
        .values(
            state=MessageState.DELIVERED.value,
            answer_id=None,
            sent_at=func.coalesce(Message.sent_at, db_now()),
            final_at=db_now(),
        )
    )
    return done.rowcount > 0


def failed_share(
    connection: Connection, mailing_id: int, answer_ids: Sequence[int]
) -> tuple[int, int]:
    """Of a mailing's messages that were handed over: how many failed with one of these answers, and how many in all."""
    done = [MessageState.SENT.value, MessageState.DELIVERED.value, MessageState.UNDELIVERED.value]
    failed = case((Message.answer_id.in_(list(answer_ids)), 1), else_=0)
    query = select(func.coalesce(func.sum(failed), 0), func.count()).where(
        Message.mailing_id == mailing_id, Message.state.in_(done)
    )
    bad, all_of_them = connection.execute(query).one()
    return int(bad), int(all_of_them)


def hold_mailing_of(connection: Connection, message_id: int) -> None:
    """Keep the message's mailing as it is until the transaction ends; a write, which SQLite needs first."""
    mailing = select(Message.mailing_id).where(Message.id == message_id).scalar_subquery()
    connection.execute(
        update(Mailing).where(Mailing.id == mailing).values(priority=Mailing.priority)
    )
