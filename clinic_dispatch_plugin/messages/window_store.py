"""The SQL of a window: attempts opened and closed, and their messages moved, many rows at a time.

On PostgreSQL every step is one statement for all rows; elsewhere a statement is run row by row, which costs less there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    bindparam,
    insert,
    literal,
    or_,
    select,
    update,
)

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.database.rows import adding, given_rows, rows_of
from clinic_dispatch_plugin.messages.rules import (
    SETTLED,
    AttemptState,
    MessageState,
    Mover,
    sources,
)
from clinic_dispatch_plugin.messages.tables import Attempt, Message

_ATTEMPT, _MESSAGE = Attempt.__table__.c, Message.__table__.c
#: What is known of an attempt when it opens.
_OPENING = (
    "id",
    "message_id",
    "number",
    "key",
    "channel",
    "address",
    "account_id",
    "run_id",
    "state",
    "answer_text",
    "opened_at",
    "estimate",
    "currency",
)
_OF_ATTEMPT = {
    "b_attempt": _ATTEMPT.id.type,
    "b_state": _ATTEMPT.state.type,
    "b_answer": _ATTEMPT.answer_id.type,
    "b_text": _ATTEMPT.answer_text.type,
    "b_provider": _ATTEMPT.provider_id.type,
}
_OF_MESSAGE = {
    "b_message": _MESSAGE.id.type,
    "b_attempt": _MESSAGE.attempt_id.type,
    "b_due": _MESSAGE.due_at.type,
    "b_tries": _MESSAGE.tries.type,
    "b_answer": _MESSAGE.answer_id.type,
    "b_provider": _MESSAGE.provider_id.type,
}
_WITHDRAWN = AttemptState.WITHDRAWN.value
_UNCOUNTING = (
    update(Message)
    .where(Message.id == bindparam("b_message"), Message.attempts > 0)
    .values(attempts=Message.attempts - 1)
)
_MOVING = {
    "b_message": _MESSAGE.id.type,
    "b_attempt": _MESSAGE.attempt_id.type,
    "b_number": _MESSAGE.last_number.type,
    "b_run": _MESSAGE.run_id.type,
}


def open_attempts(connection: Connection, attempts: Sequence[Mapping[str, Any]]) -> set[int]:
    """Write attempts down, before any byte of them leaves, and mark their messages as being sent.

    :returns: the ids of the attempts that are open; a message that was cancelled meanwhile gets none.
    """
    moving = [
        {
            "b_message": attempt["message_id"],
            "b_run": attempt["run_id"],
            "b_attempt": attempt["id"],
            "b_number": attempt["number"],
        }
        for attempt in attempts
    ]
    at_once = _at_once(connection)
    if at_once:
        moved = set(connection.scalars(_moving(at_once=True), given_rows(moving)))
    else:
        connection.execute(_moving(at_once=False), moving)
        moved = _moved(connection, attempts)
    rows = [
        {**attempt, "state": AttemptState.OPEN.value}
        for attempt in attempts
        if attempt["id"] in moved
    ]
    if rows and at_once:
        connection.execute(adding(Attempt, _OPENING), given_rows(rows))
    elif rows:
        connection.execute(insert(Attempt), rows)
    return {row["id"] for row in rows}


def close_attempts(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record results on their own attempts: ``attempt, state, answer_id, answer_text, provider_id``.

    What is withdrawn was no try: it counts for its message no more, wherever that is by now.
    """
    at_once = _at_once(connection)
    taken_back = [row for row in rows if row["b_state"] == _WITHDRAWN]
    others = [row for row in rows if row["b_state"] != _WITHDRAWN]
    if others:
        values = given_rows(others) if at_once else others
        connection.execute(_closing(at_once=at_once), values)
    closed = [
        row["b_attempt"]
        for row in taken_back
        if connection.execute(_closing(at_once=False), row).rowcount
    ]
    if closed:
        query = select(Attempt.message_id).where(Attempt.id.in_(closed))
        uncount(connection, connection.scalars(query).all())


def uncount(connection: Connection, message_ids: Sequence[int]) -> None:
    """One try less for each of these: it was never made."""
    if message_ids:
        connection.execute(_UNCOUNTING, [{"b_message": each} for each in message_ids])


def settle_sent(connection: Connection, rows: Sequence[Mapping[str, Any]], mover: Mover) -> None:
    """Move messages by the results of their current attempts; an older attempt's result changes nothing here."""
    by_state: dict[MessageState, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_state.setdefault(MessageState(row["b_state"]), []).append(row)
    at_once = _at_once(connection)
    for state, several in by_state.items():
        values = given_rows(several) if at_once else several
        connection.execute(_settling(state, mover, at_once=at_once), values)


# -- the statements, each made once ---------------------------------------------------------------


def _at_once(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _is_one_of(column: Any, states: Iterable[StrEnum]) -> ColumnElement[bool]:
    """``column IN (…)`` in the form that statements run for many rows at once accept."""
    return or_(*(column == literal(state.value) for state in states))


@cache
def _moving(*, at_once: bool) -> Executable:
    given = rows_of(_MOVING) if at_once else _Bound()
    query = (
        update(Message)
        .where(
            Message.id == given["b_message"],
            Message.run_id == given["b_run"],
            Message.state == MessageState.LEASED.value,
        )
        .values(
            state=MessageState.SENDING.value,
            attempt_id=given["b_attempt"],
            last_number=given["b_number"],
            attempts=Message.attempts + 1,
        )
    )
    return query.returning(Message.attempt_id) if at_once else query


def _moved(connection: Connection, attempts: Sequence[Mapping[str, Any]]) -> set[int]:
    query = select(Message.attempt_id).where(
        Message.id.in_([attempt["message_id"] for attempt in attempts]),
        Message.attempt_id.in_([attempt["id"] for attempt in attempts]),
    )
    return {found for found in connection.scalars(query) if found is not None}


@cache
def _closing(*, at_once: bool) -> Executable:
    given = rows_of(_OF_ATTEMPT) if at_once else _Bound()
    return (
        update(Attempt)
        .where(
            Attempt.id == given["b_attempt"],
            _is_one_of(Attempt.state, [AttemptState.OPEN, AttemptState.UNCERTAIN]),
        )
        .values(
            state=given["b_state"],
            answer_id=given["b_answer"],
            answer_text=given["b_text"],
            provider_id=given["b_provider"],
            closed_at=db_now(),
        )
    )


@cache
def _settling(state: MessageState, mover: Mover, *, at_once: bool) -> Executable:
    given = rows_of(_OF_MESSAGE) if at_once else _Bound()
    in_flight = [
        source
        for source in sources(state, mover)
        if source in (MessageState.SENDING, MessageState.UNCERTAIN)
    ]
    values: dict[str, Any] = {
        "state": state.value,
        "run_id": None,
        "due_at": given["b_due"],
        "tries": given["b_tries"],
        "answer_id": given["b_answer"],
        "provider_id": given["b_provider"],
    }
    if state is MessageState.SENT:
        values["sent_at"] = db_now()
    values["final_at"] = db_now() if state in SETTLED else None
    return (
        update(Message)
        .where(
            Message.id == given["b_message"],
            Message.attempt_id == given["b_attempt"],
            _is_one_of(Message.state, in_flight),
        )
        .values(**values)
    )


class _Bound:
    """The same names as parameters of a statement for one row."""

    def __getitem__(self, name: str) -> Any:
        return bindparam(name)
