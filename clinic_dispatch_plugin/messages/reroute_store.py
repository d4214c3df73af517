"""The SQL by which what waits for one account goes to another: unsent and in nobody's hands, or it stays."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, func, select, update

from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import AttemptState, MessageState
from clinic_dispatch_plugin.messages.tables import Attempt, Audit, Message

#: What people read on a mailing's page and in the trail.
ACTION = "account_moved"
_ENDED = (MailingState.CANCELLED.value,)


def waiting_for(connection: Connection, account_id: int) -> Sequence[RowMapping]:
    """The mailings of which something waits for an account, with their purposes."""
    query = (
        select(Mailing.id, Mailing.purpose)
        .join(Message, Message.mailing_id == Mailing.id)
        .where(
            Message.account_id == account_id,
            Message.state == MessageState.QUEUED.value,
            Mailing.state.not_in(_ENDED),
        )
        .group_by(Mailing.id, Mailing.purpose)
        .order_by(Mailing.id)
    )
    return connection.execute(query).mappings().all()


def move(
    connection: Connection, mailing_id: int, *, from_account: int, to_account: int, limit: int
) -> int:
    """Let at most ``limit`` messages wait for another account; returns how many do.

    One whose last attempt is open or in doubt stays: nobody knows whether it went out.
    """
    in_doubt = (
        select(Attempt.id)
        .where(
            Attempt.id == Message.attempt_id,
            Attempt.state.in_([AttemptState.OPEN.value, AttemptState.UNCERTAIN.value]),
        )
        .exists()
    )
    waits = (
        Message.mailing_id == mailing_id,
        Message.account_id == from_account,
        Message.state == MessageState.QUEUED.value,
    )
    query = select(Message.id).where(*waits, ~in_doubt).order_by(Message.id).limit(limit)
    ids = list(connection.execute(query).scalars())
    if not ids:
        return 0
    done = connection.execute(
        update(Message).where(Message.id.in_(ids), *waits).values(account_id=to_account)
    )
    return done.rowcount


def moved(connection: Connection, mailing_id: int) -> Sequence[RowMapping]:
    """What the trail says of a mailing's moves, the oldest first."""
    query = select(Audit.__table__).where(Audit.mailing_id == mailing_id, Audit.action == ACTION)
    return connection.execute(query.order_by(Audit.id)).mappings().all()


def deeds(connection: Connection, actions: Sequence[str], *, limit: int) -> Sequence[RowMapping]:
    """What people did to settings, the newest first."""
    query = select(Audit.__table__).where(Audit.action.in_(list(actions)))
    return connection.execute(query.order_by(Audit.id.desc()).limit(limit)).mappings().all()


def number_waiting(connection: Connection, account_id: int) -> int:
    """Messages that wait for an account."""
    query = select(func.count()).select_from(Message)
    query = query.where(
        Message.account_id == account_id, Message.state == MessageState.QUEUED.value
    )
    return int(connection.execute(query).scalar_one())
