"""The SQL by which messages move: every move names the states it may come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import (
    SETTLED,
    AttemptState,
    MessageState,
    Mover,
    sources,
)
from clinic_dispatch_plugin.messages.tables import Attempt, Audit, Block, Message

#: Runs that died holding a message before it is claimed alone, and before it is given up.
SUSPECT_RUNS = 2
HARMFUL_RUNS = 4


def _is_one_of(column: Any, states: Iterable[StrEnum]) -> ColumnElement[bool]:
    """``column IN (…)`` in the form that statements run for many rows at once accept."""
    return or_(*(column == literal(state.value) for state in states))


def add_messages(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert planned messages."""
    if rows:
        connection.execute(insert(Message), list(rows))


def due_work(connection: Connection) -> list[tuple[int, int, int]]:
    """Which mailing has due messages on which account: ``(mailing_id, account_id, priority)``, urgent ones first."""
    due = exists().where(
        Message.mailing_id == Mailing.id,
        Message.state == MessageState.QUEUED.value,
        Message.account_id.is_not(None),
        Message.due_at <= db_now(),
    )
    query = (
        select(Mailing.id, Mailing.priority)
        .where(Mailing.state == MailingState.RUNNING.value, due)
        .order_by(Mailing.priority.desc(), Mailing.id)
    )
    work = []
    for mailing_id, priority in connection.execute(query).all():
        accounts = connection.scalars(
            select(Message.account_id)
            .where(
                Message.mailing_id == mailing_id,
                Message.state == MessageState.QUEUED.value,
                Message.account_id.is_not(None),
                Message.due_at <= db_now(),
            )
            .group_by(Message.account_id)
        )
        work += [(mailing_id, found, priority) for found in accounts if found is not None]
    return work


def sendable_work(connection: Connection) -> bool:
    """Whether something is due on an account that may send."""
    ready = set(connection.scalars(select(AccountRow.id).where(AccountRow.state == "ready")))
    return any(account_id in ready for _, account_id, _ in due_work(connection))


def claim(
    connection: Connection,
    *,
    run_id: int,
    mailing_id: int,
    account_id: int,
    limit: int,
    suspects: bool = False,
) -> list[int]:
    """Lease due messages to a run; no two runs ever get the same one."""
    lost = Message.lost_runs >= SUSPECT_RUNS if suspects else Message.lost_runs < SUSPECT_RUNS
    due = (
        select(Message.id)
        .where(
            Message.mailing_id == mailing_id,
            Message.account_id == account_id,
            Message.state == MessageState.QUEUED.value,
            Message.due_at <= db_now(),
            lost,
        )
        .order_by(Message.due_at, Message.id)
        .limit(limit)
    )
    values = {"state": MessageState.LEASED.value, "run_id": run_id}
    name = connection.dialect.name
    if name in {"mysql", "mariadb"}:
        ids = list(connection.scalars(due.with_for_update(skip_locked=True)))
        if ids:
            connection.execute(update(Message).where(Message.id.in_(ids)).values(**values))
        return ids
    if name == "postgresql":
        # Materialised by its row locks: the sub-query runs once, or LIMIT would not be kept.
        chosen = due.with_for_update(skip_locked=True).cte("due")
        query = update(Message).where(Message.id.in_(select(chosen.c.id)))
    else:
        query = update(Message).where(
            Message.id.in_(due.scalar_subquery()), Message.state == MessageState.QUEUED.value
        )
    claimed = connection.scalars(query.values(**values).returning(Message.id))
    return sorted(claimed)


def leased(connection: Connection, *, run_id: int, ids: Iterable[int]) -> Sequence[RowMapping]:
    """What a run needs to send these messages of its own."""
    query = (
        select(Message.__table__)
        .where(Message.id.in_(list(ids)), Message.run_id == run_id)
        .where(Message.state == MessageState.LEASED.value)
        .order_by(Message.due_at, Message.id)
    )
    return connection.execute(query).mappings().all()


def open_attempts(connection: Connection, attempts: Sequence[Mapping[str, Any]]) -> None:
    """Write attempts down, before any byte of them leaves, and mark their messages as being sent."""
    connection.execute(
        insert(Attempt), [{**attempt, "state": AttemptState.OPEN.value} for attempt in attempts]
    )
    connection.execute(
        update(Message)
        .where(
            Message.id == bindparam("b_message"),
            Message.run_id == bindparam("b_run"),
            Message.state == MessageState.LEASED.value,
        )
        .values(
            state=MessageState.SENDING.value,
            attempt_id=bindparam("b_attempt"),
            last_number=bindparam("b_number"),
            attempts=Message.attempts + 1,
        ),
        [
            {
                "b_message": attempt["message_id"],
                "b_run": attempt["run_id"],
                "b_attempt": attempt["id"],
                "b_number": attempt["number"],
            }
            for attempt in attempts
        ],
    )


def close_attempts(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record results on their own attempts: ``attempt, state, answer_id, answer_text, provider_id``."""
    connection.execute(
        update(Attempt)
        .where(
            Attempt.id == bindparam("b_attempt"),
            _is_one_of(Attempt.state, [AttemptState.OPEN, AttemptState.UNCERTAIN]),
        )
        .values(
            state=bindparam("b_state"),
            answer_id=bindparam("b_answer"),
            answer_text=bindparam("b_text"),
            provider_id=bindparam("b_provider"),
            closed_at=db_now(),
        ),
        list(rows),
    )


def settle_sent(connection: Connection, rows: Sequence[Mapping[str, Any]], mover: Mover) -> None:
    """Move messages by the results of their current attempts; an older attempt's result changes nothing here."""
    by_state: dict[MessageState, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_state.setdefault(MessageState(row["b_state"]), []).append(row)
    for state, several in by_state.items():
        in_flight = [
            source
            for source in sources(state, mover)
            if source in (MessageState.SENDING, MessageState.UNCERTAIN)
        ]
        values: dict[str, Any] = {
            "state": state.value,
            "run_id": None,
            "due_at": bindparam("b_due"),
            "tries": bindparam("b_tries"),
            "attempts": bindparam("b_attempts"),
            "answer_id": bindparam("b_answer"),
            "provider_id": bindparam("b_provider"),
        }
        if state is MessageState.SENT:
            values["sent_at"] = db_now()
        if state in SETTLED:
            values["final_at"] = db_now()
        connection.execute(
            update(Message)
            .where(
                Message.id == bindparam("b_message"),
                Message.attempt_id == bindparam("b_attempt"),
                _is_one_of(Message.state, in_flight),
            )
            .values(**values),
            several,
        )


def skip_leased(connection: Connection, rows: Sequence[Mapping[str, Any]], *, run_id: int) -> None:
    """Messages a run decided not to send: ``b_message, b_answer``; after a refusal it counts as undelivered."""
    connection.execute(
        update(Message)
        .where(
            Message.id == bindparam("b_message"),
            Message.run_id == run_id,
            Message.state == MessageState.LEASED.value,
        )
        .values(
            state=bindparam("b_state"),
            run_id=None,
            due_at=None,
            answer_id=bindparam("b_answer"),
            final_at=db_now(),
        ),
        list(rows),
    )


def give_back(
    connection: Connection, *, run_id: int, ids: Iterable[int] | None = None, lost: bool = False
) -> int:
    """Leased messages of a run wait again, untouched; ``lost`` counts the run against them."""
    query = update(Message).where(
        Message.run_id == run_id, Message.state == MessageState.LEASED.value
    )
    if ids is not None:
        query = query.where(Message.id.in_(list(ids)))
    values: dict[str, Any] = {"state": MessageState.QUEUED.value, "run_id": None}
    if lost:
        values["lost_runs"] = Message.lost_runs + 1
    return connection.execute(query.values(**values)).rowcount


def put_off(connection: Connection, *, run_id: int, ids: Iterable[int], seconds: float) -> None:
    """Leased messages wait again and are due later: the host could not be asked."""
    connection.execute(
        update(Message)
        .where(
            Message.run_id == run_id,
            Message.state == MessageState.LEASED.value,
            Message.id.in_(list(ids)),
        )
        .values(state=MessageState.QUEUED.value, run_id=None, due_at=db_now(seconds))
    )


def open_attempts_of_run(connection: Connection, run_id: int) -> Sequence[RowMapping]:
    """The attempts of a dead run that have no result, with their messages' counts."""
    query = (
        select(
            Attempt.id,
            Attempt.message_id,
            Attempt.number,
            Attempt.state,
            Attempt.channel,
            Attempt.address,
            Message.attempt_id.label("current"),
            Message.tries,
            Message.attempts,
            Mailing.not_after,
        )
        .join(Message, Message.id == Attempt.message_id)
        .join(Mailing, Mailing.id == Message.mailing_id)
        .where(Attempt.run_id == run_id)
        .where(Attempt.state.in_([AttemptState.OPEN.value, AttemptState.UNCERTAIN.value]))
    )
    return connection.execute(query).mappings().all()


def overdue(connection: Connection, limit: int = 500) -> Sequence[Row[Any]]:
    """Waiting messages whose mailing's ``not_after`` passed: ``(id, attempts)``."""
    query = (
        select(Message.id, Message.attempts)
        .join(Mailing, Mailing.id == Message.mailing_id)
        .where(Message.state == MessageState.QUEUED.value, Mailing.not_after <= db_now())
        .where(Mailing.state.in_([MailingState.RUNNING.value, MailingState.PAUSED.value]))
        .limit(limit)
    )
    return connection.execute(query).all()


def harmful(connection: Connection, limit: int = 500) -> Sequence[Row[Any]]:
    """Waiting messages that died with too many runs: ``(id, attempts)``."""
    query = (
        select(Message.id, Message.attempts)
        .where(Message.state == MessageState.QUEUED.value, Message.lost_runs >= HARMFUL_RUNS)
        .limit(limit)
    )
    return connection.execute(query).all()


def decide_queued(connection: Connection, rows: Iterable[Row[Any]], answer_id: int) -> None:
    """Waiting messages that will not be sent: skipped, or undelivered where a try was refused before."""
    ids: dict[MessageState, list[int]] = {MessageState.SKIPPED: [], MessageState.UNDELIVERED: []}
    for message_id, attempts in rows:
        state = MessageState.UNDELIVERED if attempts else MessageState.SKIPPED
        ids[state].append(message_id)
    for state, several in ids.items():
        if several:
            connection.execute(
                update(Message)
                .where(Message.id.in_(several), Message.state == MessageState.QUEUED.value)
                .values(state=state.value, due_at=None, answer_id=answer_id, final_at=db_now())
            )


def skip_rest(connection: Connection, mailing_id: int, answer_id: int) -> int:
    """A cancelled mailing's waiting messages are skipped, or undelivered where a try was refused."""
    waiting = [MessageState.QUEUED.value, MessageState.LEASED.value]
    done = connection.execute(
        update(Message)
        .where(Message.mailing_id == mailing_id, Message.state.in_(waiting))
        .values(
            state=case(
                (Message.attempts > 0, literal(MessageState.UNDELIVERED.value)),
                else_=literal(MessageState.SKIPPED.value),
            ),
            run_id=None,
            due_at=None,
            answer_id=answer_id,
            final_at=db_now(),
        )
    )
    return done.rowcount


def requeue(
    connection: Connection, ids: Iterable[int], *, from_states: Iterable[MessageState]
) -> int:
    """A person sends these again: due now, with all tries anew; what failed before stays on its attempts."""
    return connection.execute(
        update(Message)
        .where(Message.id.in_(list(ids)))
        .where(Message.state.in_([state.value for state in from_states]))
        .values(
            state=MessageState.QUEUED.value,
            due_at=db_now(),
            run_id=None,
            tries=0,
            lost_runs=0,
            answer_id=None,
            final_at=None,
        )
    ).rowcount


def blocked(
    connection: Connection, channel: str, digests: Iterable[str], purpose: str
) -> dict[str, int | None]:
    """Which of these addresses we do not write to, and the answer that says why."""
    query = select(Block.address_digest, Block.answer_id).where(
        Block.channel == channel,
        Block.address_digest.in_(list(digests)),
        Block.scope.in_(["", purpose]),
        or_(Block.until.is_(None), Block.until > db_now()),
    )
    return {row.address_digest: row.answer_id for row in connection.execute(query)}


def block(
    connection: Connection, *, channel: str, digest: str, answer_id: int | None, scope: str = ""
) -> None:
    """Do not write to this address any more."""
    try:
        with connection.begin_nested():
            connection.execute(
                insert(Block).values(
                    channel=channel,
                    address_digest=digest,
                    scope=scope,
                    answer_id=answer_id,
                    created_at=db_now(),
                )
            )
    except IntegrityError:
        connection.execute(
            update(Block)
            .where(
                Block.channel == channel, Block.address_digest == digest, Block.scope == scope
            )
            .values(answer_id=answer_id, until=None)
        )


def unblock(connection: Connection, channel: str, digests: Iterable[str]) -> None:
    """A person writes to these addresses again; what the recipient asked for themselves stays."""
    connection.execute(
        update(Block)
        .where(
            Block.channel == channel,
            Block.address_digest.in_(list(digests)),
            Block.scope == "",
        )
        .values(until=db_now())
    )


def write_audit(
    connection: Connection,
    *,
    actor_ref: str,
    actor_name: str,
    action: str,
    mailing_id: int | None = None,
    message_ids: Iterable[int | None] = (None,),
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add to the trail; one line a message."""
    rows = [
        {
            "actor_ref": actor_ref[:128],
            "actor_name": actor_name[:255],
            "action": action,
            "mailing_id": mailing_id,
            "message_id": message_id,
            "details": dict(details or {}),
        }
        for message_id in message_ids
    ]
    if rows:
        connection.execute(insert(Audit).values(at=db_now()), rows)


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
    return _mark(connection, mailing_id, unfinished, Mailing.first_pass_at.is_(None), first_pass_at=db_now())


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


def _mark(connection: Connection, mailing_id: int, unfinished: Any, also: Any, **values: Any) -> bool:
    done = connection.execute(
        update(Mailing)
        .where(Mailing.id == mailing_id, Mailing.state == MailingState.RUNNING.value)
        .where(also, ~unfinished)
        .values(**values)
    )
    return bool(done.rowcount)


def counts(connection: Connection, mailing_id: int) -> dict[str, int]:
    """Messages of a mailing by state."""
    query = (
        select(Message.state, func.count())
        .where(Message.mailing_id == mailing_id)
        .group_by(Message.state)
    )
    return {state: count for state, count in connection.execute(query).tuples()}


def next_due(connection: Connection) -> datetime | None:
    """When the next waiting message of a running mailing is due."""
    query = (
        select(func.min(Message.due_at))
        .join(Mailing, Mailing.id == Message.mailing_id)
        .where(
            Message.state == MessageState.QUEUED.value,
            Mailing.state == MailingState.RUNNING.value,
        )
    )
    return connection.execute(query).scalar()


def mailings_at_work(connection: Connection) -> list[int]:
    """Mailings that run and may have ended."""
    query = select(Mailing.id).where(Mailing.state == MailingState.RUNNING.value)
    return list(connection.scalars(query.order_by(Mailing.id)))


def plans_left(connection: Connection) -> list[int]:
    """Mailings whose messages are still to be written."""
    query = select(Mailing.id).where(Mailing.state == MailingState.PLANNING.value)
    return list(connection.scalars(query.order_by(Mailing.id)))


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
