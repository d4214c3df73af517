"""The SQL that asks how far mailings are: what is due, what is left, what has ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    and_,
    column,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    table,
    update,
)

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.blocks_store import write_audit
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.mailing_tables import Mailing, Revision
from clinic_dispatch_plugin.messages.routes import legs_of
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.tables import Message

#: What a message's account points to; its rows are another concern's.
_ACCOUNT = table("dispatch_account", column("id"))
#: Runs that died holding a message before it is given up.
HARMFUL_RUNS = 4


def due_work(connection: Connection) -> list[tuple[int, int, int]]:
    """Which mailing has due messages on which account: ``(mailing_id, account_id, priority)``, urgent ones first.

    One statement, in which each pair is one look at the first due row: neither many that wait in one mailing nor
    hundreds of single messages make a turn slow.
    """
    due = (
        select(Message.id)
        .where(
            Message.mailing_id == Mailing.id,
            Message.account_id == _ACCOUNT.c.id,
            Message.state == MessageState.QUEUED.value,
            Message.due_at <= db_now(),
        )
        .order_by(Message.due_at)
        .limit(1)
        .correlate(Mailing, _ACCOUNT)
        .scalar_subquery()
    )
    query = (
        select(Mailing.id, _ACCOUNT.c.id, Mailing.priority)
        .join_from(Mailing, _ACCOUNT, literal(True))
        .where(Mailing.state == MailingState.RUNNING.value, due.is_not(None))
        .order_by(Mailing.priority.desc(), Mailing.id, _ACCOUNT.c.id)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def first_pass_ended(connection: Connection, mailing_id: int) -> bool:
    """Write down that every message was tried or decided once; True where this call did."""
    unfinished = exists().where(
        Message.mailing_id == mailing_id,
        or_(
            Message.state.in_([MessageState.LEASED.value, MessageState.SENDING.value]),
            and_(
                Message.state == MessageState.QUEUED.value,
                or_(Message.tries == 0, Message.due_at <= db_now()),
            ),
        ),
    )
    return _mark(
        connection,
        mailing_id,
        unfinished,
        Mailing.first_pass_at.is_(None),
        # Its last window may have paused it: nothing is left that a pause could hold.
        states=(MailingState.RUNNING, MailingState.PAUSED),
        first_pass_at=db_now(),
    )


def mailing_finished(connection: Connection, mailing_id: int) -> bool:
    """Finish a mailing nothing of which is queued, leased or sending; True where this call did."""
    unfinished = exists().where(
        Message.mailing_id == mailing_id,
        Message.state.in_(
            [MessageState.QUEUED.value, MessageState.LEASED.value, MessageState.SENDING.value]
        ),
    )
    return _mark(
        connection,
        mailing_id,
        unfinished,
        literal(True),
        state=MailingState.FINISHED.value,
        finished_at=db_now(),
        first_pass_at=func.coalesce(Mailing.first_pass_at, db_now()),
    )


def _mark(
    connection: Connection,
    mailing_id: int,
    unfinished: Any,
    also: Any,
    *,
    states: Iterable[MailingState] = (MailingState.RUNNING,),
    **values: Any,
) -> bool:
    if connection.dialect.name != "sqlite":
        # Whoever queues a message again holds this row: its messages are counted only after that.
        connection.execute(select(Mailing.id).where(Mailing.id == mailing_id).with_for_update())
    done = connection.execute(
        update(Mailing)
        .where(Mailing.id == mailing_id, Mailing.state.in_([state.value for state in states]))
        .where(also, ~unfinished)
        .values(**values)
    )
    return bool(done.rowcount)


def counts(connection: Connection, mailing_id: int) -> dict[str, int]:
    """Messages of a mailing by state."""
    query = (
        select(Message.state, func.count().label("number"))
        .where(Message.mailing_id == mailing_id)
        .group_by(Message.state)
    )
    return {row.state: row.number for row in connection.execute(query)}


def next_due(connection: Connection) -> datetime | None:
    """When the next waiting message of a running mailing is due, or the next scheduled mailing starts."""
    query = (
        select(func.min(Message.due_at))
        .join(Mailing, Mailing.id == Message.mailing_id)
        .where(
            Message.state == MessageState.QUEUED.value,
            Mailing.state == MailingState.RUNNING.value,
        )
    )
    first = connection.execute(query).scalar()
    start = connection.execute(
        select(func.min(Mailing.started_at)).where(Mailing.state == MailingState.SCHEDULED.value)
    ).scalar()
    return min((each for each in (first, start) if each is not None), default=None)


def waiting(connection: Connection) -> tuple[int, datetime | None]:
    """How many messages are due now, and since when the oldest of them is."""
    query = (
        select(func.count(), func.min(Message.due_at))
        .join(Mailing, Mailing.id == Message.mailing_id)
        .where(
            Message.state == MessageState.QUEUED.value,
            Message.due_at <= db_now(),
            Mailing.state == MailingState.RUNNING.value,
        )
    )
    count, oldest = connection.execute(query).one()
    return int(count), oldest


def mailings_at_work(connection: Connection) -> list[int]:
    """Mailings that run and may have ended."""
    query = select(Mailing.id).where(Mailing.state == MailingState.RUNNING.value)
    return list(connection.scalars(query.order_by(Mailing.id)))


def start_scheduled(connection: Connection) -> int:
    """Scheduled mailings whose time has come are planned next; returns how many this call started."""
    done = connection.execute(
        update(Mailing)
        .where(Mailing.state == MailingState.SCHEDULED.value, Mailing.started_at <= db_now())
        .values(state=MailingState.PLANNING.value, draft=null())
    )
    return done.rowcount


def plans_left(connection: Connection) -> list[int]:
    """Mailings whose messages are still to be written."""
    query = select(Mailing.id).where(Mailing.state == MailingState.PLANNING.value)
    return list(connection.scalars(query.order_by(Mailing.id)))


def overdue(connection: Connection, limit: int = 500) -> list[tuple[int, int]]:
    """Waiting messages whose mailing's ``not_after`` passed: ``(id, attempts)``."""
    query = (
        select(Message.id, Message.attempts)
        .join(Mailing, Mailing.id == Message.mailing_id)
        .where(Message.state == MessageState.QUEUED.value, Mailing.not_after <= db_now())
        .where(Mailing.state.in_([MailingState.RUNNING.value, MailingState.PAUSED.value]))
        .limit(limit)
    )
    return [(row.id, row.attempts) for row in connection.execute(query)]


def harmful(connection: Connection, limit: int = 500) -> list[tuple[int, int]]:
    """Waiting messages that died with too many runs: ``(id, attempts)``."""
    query = (
        select(Message.id, Message.attempts)
        .where(Message.state == MessageState.QUEUED.value, Message.lost_runs >= HARMFUL_RUNS)
        .limit(limit)
    )
    return [(row.id, row.attempts) for row in connection.execute(query)]


def left_in_cancelled(connection: Connection, limit: int = 500) -> list[tuple[int, int]]:
    """Waiting messages of cancelled mailings, ``(id, attempts)``: their windows were open when somebody cancelled."""
    cancelled = select(Mailing.id).where(Mailing.state == MailingState.CANCELLED.value)
    query = (
        select(Message.id, Message.attempts)
        .where(Message.state == MessageState.QUEUED.value, Message.mailing_id.in_(cancelled))
        .limit(limit)
    )
    return [(row.id, row.attempts) for row in connection.execute(query)]


def reopen_unfinished(connection: Connection) -> int:
    """Finished mailings of which something waits again, because a late word proved it unsent, run again."""
    waiting_in = select(Message.mailing_id).where(Message.state == MessageState.QUEUED.value)
    done = connection.execute(
        update(Mailing)
        .where(Mailing.state == MailingState.FINISHED.value, Mailing.id.in_(waiting_in))
        .values(state=MailingState.RUNNING.value, finished_at=None)
    )
    return done.rowcount


def text_of(connection: Connection, mailing_id: int, channel: str) -> dict[str, Any]:
    """What a mailing says to whom: purpose, channels, ``not_after``, and the revision of its text for one channel.

    :raises LookupError: it says nothing on this channel.
    """
    mailing = (
        connection.execute(select(Mailing.__table__).where(Mailing.id == mailing_id))
        .mappings()
        .one()
    )
    leg = next((each for each in legs_of(mailing) if each.channel == channel), None)
    query = select(Revision.subject, Revision.body, Revision.html)
    found = (
        connection.execute(query.where(Revision.id == (leg.revision_id if leg else None)))
        .mappings()
        .first()
    )
    if found is None:
        raise LookupError(f"mailing {mailing_id} has no text for {channel}")
    wanted = ("purpose", "channel", "fallbacks", "not_after", "source", "selection")
    return {**{name: mailing[name] for name in wanted}, **found}


def runs_still(connection: Connection, mailing_id: int) -> tuple[bool, datetime | None]:
    """Whether a mailing may send, and until when; who changes it meanwhile waits for this transaction."""
    query = select(Mailing.state, Mailing.not_after).where(Mailing.id == mailing_id)
    row = connection.execute(query.with_for_update(read=True)).one_or_none()
    if row is None:
        return False, None
    return row.state == MailingState.RUNNING.value, row.not_after


def pause_mailing(connection: Connection, mailing_id: int, *, reason: str, text: str) -> bool:
    """Open no new window of a mailing that runs; True where this call paused it."""
    done = connection.execute(
        update(Mailing)
        .where(Mailing.id == mailing_id, Mailing.state == MailingState.RUNNING.value)
        .values(state=MailingState.PAUSED.value, pause_reason=reason, pause_text=text)
    )
    return bool(done.rowcount)


def pause_by_itself(
    connection: Connection, mailing_id: int, *, reason: str, text: str, details: Mapping[str, Any]
) -> bool:
    """The program pauses a mailing that runs, and its trail says why; True where this call paused it."""
    paused = pause_mailing(connection, mailing_id, reason=reason, text=text)
    if paused:
        write_audit(
            connection,
            actor_ref="system",
            actor_name="",
            action="pause",
            mailing_id=mailing_id,
            details=details,
        )
    return paused


def paused_for(connection: Connection, reasons: Iterable[str]) -> Sequence[RowMapping]:
    """The mailings that stand still for one of these reasons."""
    query = select(Mailing.id, Mailing.pause_reason, Mailing.pause_text).where(
        Mailing.state == MailingState.PAUSED.value, Mailing.pause_reason.in_(list(reasons))
    )
    return connection.execute(query).mappings().all()


def go_on(connection: Connection, row: RowMapping) -> bool:
    """A mailing runs again, if it still stands still for this very reason; True: this call did it."""
    done = connection.execute(
        update(Mailing)
        .where(
            Mailing.id == row["id"],
            Mailing.state == MailingState.PAUSED.value,
            Mailing.pause_reason == row["pause_reason"],
        )
        .values(state=MailingState.RUNNING.value, pause_reason="", pause_text="")
    )
    return bool(done.rowcount)
