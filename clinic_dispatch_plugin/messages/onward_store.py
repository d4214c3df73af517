"""The SQL by which a message goes to its next channel: every move names the attempt or the run it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    func,
    literal,
    or_,
    select,
    update,
)

from clinic_dispatch_plugin.database.base import Json, db_now
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.routes import Onward, Route
from clinic_dispatch_plugin.messages.rules import MessageState, Mover, sources
from clinic_dispatch_plugin.messages.tables import Attempt, Message


def _anew(**more: Any) -> dict[str, Any]:
    """What changes for every message that goes on: tries and fingerprint belong to the channel it leaves."""
    return {
        "state": MessageState.QUEUED.value,
        "run_id": None,
        "due_at": db_now(),
        "tries": 0,
        "lost_runs": 0,
        "duplicate_key": None,
        "provider_id": None,
        "final_at": None,
        "sent_at": None,
        **more,
    }


def _bound(**more: Any) -> dict[str, Any]:
    """The same for many messages at once, each with its own values."""
    return _anew(
        channel=bindparam("b_channel"),
        account_id=bindparam("b_account"),
        address=bindparam("b_address"),
        answer_id=bindparam("b_answer"),
        route=bindparam("b_route", type_=Json),
        **more,
    )


def _row(message_id: int, onward: Onward, route: Route, answer_id: int | None) -> dict[str, Any]:
    return {
        "b_message": message_id,
        "b_channel": onward.channel,
        "b_account": onward.account_id,
        "b_address": onward.address,
        "b_answer": answer_id,
        "b_route": route.stored(),
    }


def go_on_refused(
    connection: Connection,
    rows: Sequence[tuple[int, int, Onward, Route, int | None]],
    mover: Mover,
) -> None:
    """Messages whose current attempt was refused for good.

    :param rows: ``(message, attempt, where to, route so far, answer)``.
    """
    in_flight = [
        source
        for source in sources(MessageState.QUEUED, mover)
        if source in (MessageState.SENDING, MessageState.UNCERTAIN)
    ]
    if not rows:
        return
    connection.execute(
        update(Message)
        .where(
            Message.id == bindparam("b_message"),
            Message.attempt_id == bindparam("b_attempt"),
            or_(*(Message.state == literal(source.value) for source in in_flight)),
        )
        .values(**_bound()),
        [
            {**_row(message_id, onward, route, answer_id), "b_attempt": attempt_id}
            for message_id, attempt_id, onward, route, answer_id in rows
        ],
    )


def go_on_untried(
    connection: Connection,
    rows: Sequence[tuple[int, Onward, Route, int]],
    *,
    run_id: int,
) -> None:
    """Leased messages that cannot go out through their channel: ``(message, where to, route so far, answer)``."""
    if not rows:
        return
    connection.execute(
        update(Message)
        .where(
            Message.id == bindparam("b_message"),
            Message.run_id == run_id,
            Message.state == MessageState.LEASED.value,
        )
        .values(**_bound()),
        [
            _row(message_id, onward, route, answer_id)
            for message_id, onward, route, answer_id in rows
        ],
    )


def go_on_reported(
    connection: Connection,
    message_id: int,
    attempt_id: int,
    onward: Onward,
    route: Route,
    answer_id: int,
) -> bool:
    """A report says no of the message's current attempt; False: it is not current, or the message moved on."""
    # What was in doubt is proved by the report to have been handed over.
    connection.execute(
        update(Message)
        .where(Message.id == message_id, Message.attempt_id == attempt_id)
        .where(Message.state == MessageState.UNCERTAIN.value)
        .values(state=MessageState.SENT.value)
    )
    return go_on_sent(connection, message_id, attempt_id, onward, route, answer_id)


def go_on_sent(
    connection: Connection,
    message_id: int,
    attempt_id: int,
    onward: Onward,
    route: Route,
    answer_id: int,
) -> bool:
    """A message a gateway took goes on; False: this attempt is not its current one, or its end became known."""
    mine = (Message.id == message_id, Message.attempt_id == attempt_id)
    values = _anew(
        channel=onward.channel,
        account_id=onward.account_id,
        address=onward.address,
        answer_id=answer_id,
        route=route.stored(),
    )
    done = connection.execute(
        update(Message).where(*mine, Message.state == MessageState.SENT.value).values(**values)
    )
    return done.rowcount > 0


#: Nothing of the next try has left yet.
_NOT_YET = [
    state
    for state in sources(MessageState.DELIVERED, Mover.REPORT)
    if state in (MessageState.QUEUED, MessageState.LEASED)
]


def arrived_before(connection: Connection, message_id: int, attempt_id: int) -> bool:
    """A message that waits for its next try arrived through the one before, or by a way it left: it waits no longer."""
    said = select(
        Attempt.channel, Attempt.address, Attempt.account_id, Attempt.opened_at, Message.route
    ).join(Message, Message.id == Attempt.message_id)
    attempt = connection.execute(said.where(Attempt.id == attempt_id)).one()
    known = Route.read(attempt.route)
    mine: ColumnElement[bool] = Message.attempt_id == attempt_id
    if any(each.channel == attempt.channel for each in known.passed):
        mine = literal(True)
    route = known.back_on(attempt.channel)
    done = connection.execute(
        update(Message)
        .where(Message.id == message_id, mine)
        .where(Message.state.in_([state.value for state in _NOT_YET]))
        .values(
            state=MessageState.DELIVERED.value,
            run_id=None,
            channel=attempt.channel,
            address=attempt.address,
            account_id=attempt.account_id,
            route=route.stored() if attempt.route else None,
            answer_id=None,
            due_at=None,
            sent_at=func.coalesce(Message.sent_at, attempt.opened_at),
            final_at=db_now(),
        )
    )
    return done.rowcount > 0


def _in_time() -> ColumnElement[bool]:
    return or_(Mailing.not_after.is_(None), Mailing.not_after > db_now())


def of_message(
    connection: Connection, message_id: int, *, within: float
) -> Mapping[str, Any] | None:
    """What a message needs to go on after a report; None: its mailing ended it, or it was made too long ago.

    :param within: seconds since the message was made in which a report may still send it on.
    """
    query = (
        select(
            Message.channel,
            Message.route,
            Mailing.purpose,
            Mailing.channel.label("first"),
            Mailing.fallbacks,
        )
        .join(Mailing, Mailing.id == Message.mailing_id)
        .where(
            Message.id == message_id,
            Message.created_at > db_now(-within),
            Mailing.state != MailingState.CANCELLED.value,
            _in_time(),
        )
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def start_over(connection: Connection, message_id: int, onward: Onward, route: Route) -> None:
    """A person sends a message again: it begins at this channel, whatever was passed over before."""
    connection.execute(
        update(Message)
        .where(Message.id == message_id)
        .values(
            channel=onward.channel,
            account_id=onward.account_id,
            address=onward.address,
            duplicate_key=None,
            route=route.stored(),
        )
    )


def set_route(connection: Connection, message_id: int, route: Route) -> None:
    """What a message knows of its channels, after somebody corrected an address of it."""
    connection.execute(update(Message).where(Message.id == message_id).values(route=route.stored()))
