"""The SQL by which messages move: every move names the states it may come from.

What asks how far mailings are stands in ``progress_store``, what keeps us from writing to an address in
``blocks_store``; their names can be had from here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    bindparam,
    case,
    insert,
    literal,
    select,
    update,
)

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.database.rows import adding, among, given_rows
from clinic_dispatch_plugin.messages.blocks_store import (
    block,
    blocked,
    subscribe_again,
    unblock,
    unsubscribed,
    write_audit,
)
from clinic_dispatch_plugin.messages.progress_store import (
    HARMFUL_RUNS,
    counts,
    due_work,
    first_pass_ended,
    harmful,
    left_in_cancelled,
    mailing_finished,
    mailings_at_work,
    next_due,
    overdue,
    pause_by_itself,
    pause_mailing,
    plans_left,
    reopen_unfinished,
    runs_still,
    start_scheduled,
    text_of,
    waiting,
)
from clinic_dispatch_plugin.messages.rules import (
    MessageState,
)
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.messages.tries_store import open_attempts_of_run
from clinic_dispatch_plugin.messages.window_store import (
    close_attempts,
    open_attempts,
    settle_sent,
)

__all__ = [
    "HARMFUL_RUNS",
    "SUSPECT_RUNS",
    "add_messages",
    "block",
    "blocked",
    "claim",
    "close_attempts",
    "counts",
    "decide_queued",
    "due_work",
    "first_pass_ended",
    "give_back",
    "harmful",
    "leased",
    "left_in_cancelled",
    "mailing_finished",
    "mailings_at_work",
    "next_due",
    "open_attempts",
    "open_attempts_of_run",
    "overdue",
    "pause_by_itself",
    "pause_mailing",
    "plans_left",
    "put_off",
    "reopen_unfinished",
    "requeue",
    "runs_still",
    "settle_sent",
    "skip_leased",
    "skip_rest",
    "start_scheduled",
    "subscribe_again",
    "text_of",
    "those_there",
    "unblock",
    "unsubscribed",
    "waiting",
    "write_audit",
]

#: Runs that died holding a message before it is claimed alone.
SUSPECT_RUNS = 2

#: What sending a message needs of its row.
_TO_SEND = tuple(
    Message.__table__.c[name]
    for name in (
        "id",
        "key",
        "mailing_id",
        "account_id",
        "channel",
        "ref",
        "name",
        "locale",
        "address",
        "route",
        "data",
        "duplicate_key",
        "attempts",
        "last_number",
        "tries",
        "created_at",
    )
)


def add_messages(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert planned messages; all rows tell the same columns."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(adding(Message, tuple(rows[0])), given_rows(rows))
    else:
        connection.execute(insert(Message), list(rows))


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
        select(*_TO_SEND)
        .where(among(connection, Message.__table__.c.id, ids), Message.run_id == run_id)
        .where(Message.state == MessageState.LEASED.value)
        .order_by(Message.due_at, Message.id)
    )
    return connection.execute(query).mappings().all()


def those_there(connection: Connection, attempt_ids: Iterable[int]) -> set[int]:
    """Which of these attempts were written down."""
    query = select(Attempt.id).where(among(connection, Attempt.__table__.c.id, attempt_ids))
    return set(connection.scalars(query))


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


def decide_queued(connection: Connection, rows: Iterable[tuple[int, int]], answer_id: int) -> None:
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
