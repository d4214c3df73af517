"""The SQL by which people look at blocked addresses and end or lengthen their blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, or_, select, update

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.tables import Audit, Block, Message

#: What people did to blocks, by the name in the audit trail.
DEEDS = ("block_address", "change_block", "lift_block")


def _holds() -> ColumnElement[bool]:
    return or_(Block.until.is_(None), Block.until > db_now())


def page(
    connection: Connection,
    *,
    channel: str,
    answer_ids: Sequence[int] | None,
    digests: Sequence[str] | None,
    before: int | None,
    limit: int,
) -> Sequence[RowMapping]:
    """Blocks that hold, the newest first.

    :param before: only those with a smaller id.
    """
    query = select(Block.__table__).where(_holds()).order_by(Block.id.desc()).limit(limit)
    if channel:
        query = query.where(Block.channel == channel)
    if answer_ids is not None:
        query = query.where(Block.answer_id.in_(list(answer_ids)))
    if digests is not None:
        query = query.where(Block.address_digest.in_(list(digests)))
    if before is not None:
        query = query.where(Block.id < before)
    return connection.execute(query).mappings().all()


def reasons(connection: Connection) -> list[int]:
    """The answers because of which addresses are blocked."""
    query = select(Block.answer_id).where(_holds(), Block.answer_id.is_not(None)).distinct()
    return sorted(found for found in connection.scalars(query) if found is not None)


def one(connection: Connection, block_id: int) -> RowMapping | None:
    """One block, also one that has ended."""
    query = select(Block.__table__, _holds().label("holds")).where(Block.id == block_id)
    return connection.execute(query).mappings().first()


def several(connection: Connection, ids: Iterable[int]) -> Sequence[RowMapping]:
    """Some blocks, also those that have ended."""
    query = select(Block.__table__).where(Block.id.in_(list(ids))).order_by(Block.id)
    return connection.execute(query).mappings().all()


def of_addresses(
    connection: Connection, channel: str, digests: Iterable[str]
) -> Sequence[RowMapping]:
    """Blocks for everything that hold for these addresses; not what recipients asked for themselves."""
    query = select(Block.__table__).where(
        Block.channel == channel,
        Block.address_digest.in_(list(digests)),
        Block.scope == "",
        _holds(),
    )
    return connection.execute(query).mappings().all()


def held(connection: Connection, ids: Iterable[int]) -> Sequence[RowMapping]:
    """Those of ``ids`` that hold, kept as they are until the transaction ends."""
    wanted = list(ids)
    connection.execute(update(Block).where(Block.id.in_(wanted)).values(scope=Block.scope))
    query = select(Block.__table__).where(Block.id.in_(wanted), _holds()).order_by(Block.id)
    return connection.execute(query).mappings().all()


def end(connection: Connection, ids: Iterable[int]) -> None:
    """These blocks end now."""
    connection.execute(update(Block).where(Block.id.in_(list(ids))).values(until=db_now()))


def set_end(connection: Connection, block_id: int, until: datetime | None) -> None:
    """A block holds until then; None: until somebody changes the address or lifts it."""
    connection.execute(update(Block).where(Block.id == block_id).values(until=until))


def trail(connection: Connection) -> Sequence[RowMapping]:
    """What people did to blocks, the first deed first; each names its block."""
    query = select(Audit.__table__).where(
        # Deeds that belong to no message are few, and the index finds them.
        Audit.message_id.is_(None),
        Audit.action.in_(DEEDS),
    )
    return connection.execute(query.order_by(Audit.id)).mappings().all()


def kept_back(
    connection: Connection,
    *,
    channels: Iterable[str],
    answer_ids: Sequence[int],
    limit: int,
) -> Sequence[RowMapping]:
    """Messages that did not go out for one of these reasons, the newest first, with their mailing's purpose."""
    states = [MessageState.SKIPPED.value, MessageState.UNDELIVERED.value]
    query = (
        select(Message.__table__, Mailing.purpose)
        .join(Mailing, Mailing.id == Message.mailing_id)
        .where(
            Message.answer_id.in_(list(answer_ids)),
            Message.state.in_(states),
            Message.channel.in_(sorted(channels)),
        )
        .order_by(Message.id.desc())
        .limit(limit)
    )
    return connection.execute(query).mappings().all()
