"""The SQL by which a person puts messages right: every move names the states it may come from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    case,
    func,
    select,
    update,
)

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import AttemptState, MessageState
from clinic_dispatch_plugin.messages.tables import Attempt, Message


def hold(connection: Connection, message_ids: Iterable[int]) -> None:
    """Keep the mailings of these messages as they are until the transaction ends.

    A mailing that is being finished at this moment is finished first, and then reopened by us; as the first
    statement of a transaction it is a write, which SQLite needs.
    """
    mailings = select(Message.mailing_id).where(Message.id.in_(list(message_ids)))
    connection.execute(
        update(Mailing)
        .where(Mailing.id.in_(mailings.scalar_subquery()))
        .values(priority=Mailing.priority)
    )


def locked(
    connection: Connection, ids: Iterable[int], states: Collection[MessageState]
) -> Sequence[RowMapping]:
    """Those of ``ids`` in one of these states, with their mailings' state, held until the transaction ends."""
    wanted = [state.value for state in states]
    mine = (Message.id.in_(list(ids)), Message.state.in_(wanted))
    connection.execute(update(Message).where(*mine).values(tries=Message.tries))
    query = (
        select(
            Message.__table__,
            Mailing.state.label("mailing_state"),
            Mailing.purpose.label("purpose"),
            (Mailing.not_after <= db_now()).label("too_late"),
        )
        .join(Mailing, Mailing.id == Message.mailing_id)
        .where(*mine)
        .order_by(Message.id)
    )
    return connection.execute(query).mappings().all()


def reopen(connection: Connection, mailing_ids: Iterable[int]) -> None:
    """Finished mailings run again: something of them is sent once more. The end of the first pass stays."""
    connection.execute(
        update(Mailing)
        .where(
            Mailing.id.in_(sorted(set(mailing_ids))),
            Mailing.state == MailingState.FINISHED.value,
        )
        .values(state=MailingState.RUNNING.value, finished_at=None)
    )


def give_account(connection: Connection, ids: Iterable[int], account_id: int) -> None:
    """Messages planned while no account was configured get one."""
    connection.execute(
        update(Message)
        .where(Message.id.in_(list(ids)), Message.account_id.is_(None))
        .values(account_id=account_id)
    )


def set_address(connection: Connection, message_id: int, address: str) -> None:
    """A corrected address; what was found about the old one holds no longer."""
    connection.execute(
        update(Message).where(Message.id == message_id).values(address=address, duplicate_key=None)
    )


def set_data(connection: Connection, message_id: int, data: Mapping[str, Any]) -> None:
    """Values of placeholders as the host knows them now."""
    connection.execute(update(Message).where(Message.id == message_id).values(data=dict(data)))


def settle(
    connection: Connection, ids: Iterable[int], *, to: MessageState, answer_id: int | None
) -> None:
    """A person knows what became of uncertain messages."""
    arrived = to is MessageState.DELIVERED
    opened = select(Attempt.opened_at).where(Attempt.id == Message.attempt_id).scalar_subquery()
    values: dict[str, Any] = {"state": to.value, "final_at": db_now(), "answer_id": answer_id}
    if arrived:
        values["sent_at"] = func.coalesce(Message.sent_at, opened)
    wanted = list(ids)
    connection.execute(
        update(Message)
        .where(Message.id.in_(wanted), Message.state == MessageState.UNCERTAIN.value)
        .values(**values)
    )
    if arrived:
        current = select(Message.attempt_id).where(Message.id.in_(wanted))
        connection.execute(
            update(Attempt)
            .where(
                Attempt.id.in_(current.scalar_subquery()),
                Attempt.state == AttemptState.UNCERTAIN.value,
            )
            .values(state=AttemptState.ACCEPTED.value)
        )


def due_now(connection: Connection, ids: Iterable[int]) -> None:
    """Waiting messages are tried at once."""
    connection.execute(
        update(Message)
        .where(Message.id.in_(list(ids)), Message.state == MessageState.QUEUED.value)
        .values(due_at=case((Message.due_at > db_now(), db_now()), else_=Message.due_at))
    )


def waiting_until_later(connection: Connection, ids: Iterable[int]) -> list[int]:
    """Those of ``ids`` that wait for a later try."""
    query = select(Message.id).where(
        Message.id.in_(list(ids)),
        Message.state == MessageState.QUEUED.value,
        Message.due_at > db_now(),
    )
    return list(connection.scalars(query))


def database_version(connection: Connection) -> str:
    """What the database says of itself."""
    name = connection.dialect.name
    asked = func.sqlite_version() if name == "sqlite" else func.version()
    said = str(connection.execute(select(asked)).scalar_one())
    return f"{name} {said.split(',')[0][:80]}"


def database_clock(connection: Connection) -> datetime:
    """The database's time, UTC."""
    return connection.execute(select(db_now())).scalar_one()
