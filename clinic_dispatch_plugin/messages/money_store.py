"""The SQL of what attempts cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from sqlalchemy import Connection, RowMapping, case, func, select, update

from clinic_dispatch_plugin.database.rows import among
from clinic_dispatch_plugin.messages.lists_store import Segment
from clinic_dispatch_plugin.messages.rules import AttemptState, MessageState
from clinic_dispatch_plugin.messages.tables import Attempt, Message

#: States in which an attempt costs something, or may.
_WENT_OUT = tuple(
    state.value for state in (AttemptState.OPEN, AttemptState.ACCEPTED, AttemptState.UNCERTAIN)
)


def costs(connection: Connection, attempt_ids: Iterable[int]) -> Sequence[RowMapping]:
    """What these attempts are counted for; nobody else changes them before this transaction ends."""
    query = (
        select(
            Attempt.id,
            Attempt.account_id,
            Attempt.opened_at,
            Attempt.state,
            Attempt.price,
            Attempt.estimate,
            Attempt.currency,
            Attempt.parts,
        )
        .where(among(connection, Attempt.__table__.c.id, attempt_ids))
        .order_by(Attempt.id)
        .with_for_update()
    )
    return connection.execute(query).mappings().all()


def waiting_by_account(connection: Connection, mailing_id: int) -> dict[int, int]:
    """How many messages of a mailing wait for each account; none where something of it was tried already."""
    mine = Message.mailing_id == mailing_id
    tried = select(Message.id).where(mine, Message.attempt_id.is_not(None)).limit(1)
    if connection.execute(tried).first() is not None:
        return {}
    states = [MessageState.QUEUED.value, MessageState.LEASED.value]
    query = (
        select(Message.account_id, func.count())
        .where(mine, Message.state.in_(states), Message.account_id.is_not(None))
        .group_by(Message.account_id)
    )
    return {row[0]: row[1] for row in connection.execute(query) if row[0] is not None}


def set_price(
    connection: Connection, attempt_id: int, *, price: Decimal, currency: str, parts: int | None
) -> None:
    """What the gateway says that an attempt cost."""
    connection.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id)
        .values(
            price=price,
            currency=currency,
            # What was set aside in another currency says nothing in this one.
            estimate=case((Attempt.currency == currency, Attempt.estimate), else_=None),
            parts=func.coalesce(parts, Attempt.parts),
        )
    )


def sums(connection: Connection, segment: Segment) -> Sequence[RowMapping]:
    """What the attempts of these messages cost, by currency and by whether anybody knows it."""
    known = case(
        (Attempt.price.is_not(None), "said"),
        (Attempt.estimate.is_not(None), "estimated"),
        else_="unknown",
    ).label("known")
    query = (
        select(
            known,
            Attempt.currency,
            func.count().label("attempts"),
            func.sum(func.coalesce(Attempt.price, Attempt.estimate)).label("amount"),
        )
        .join(Message, Message.id == Attempt.message_id)
        .where(*segment.conditions())
        .where(Attempt.price.is_not(None) | Attempt.state.in_(_WENT_OUT))
        .group_by(known, Attempt.currency)
    )
    return connection.execute(query).mappings().all()


def of_messages(connection: Connection, message_ids: Iterable[int]) -> Sequence[RowMapping]:
    """What each attempt of these messages cost that went out."""
    query = select(
        Attempt.message_id, Attempt.price, Attempt.estimate, Attempt.currency, Attempt.account_id
    ).where(
        Attempt.message_id.in_(list(message_ids)),
        Attempt.price.is_not(None) | Attempt.state.in_(_WENT_OUT),
    )
    return connection.execute(query.order_by(Attempt.id)).mappings().all()
