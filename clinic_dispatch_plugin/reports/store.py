"""The SQL of kept bounce mails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.reports.rules import BounceState
from clinic_dispatch_plugin.reports.tables import Bounce

#: Everything but the mail itself, which lists never hold.
_SHOWN = tuple(column for column in Bounce.__table__.columns if column.name != "raw")


def add(connection: Connection, values: Mapping[str, Any]) -> int | None:
    """Keep a mail; None: it is kept already."""
    try:
        with connection.begin_nested():
            done = connection.execute(insert(Bounce).values(received_at=db_now(), **values))
    except IntegrityError:
        return None
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def by_digest(connection: Connection, digest: str) -> RowMapping | None:
    """The kept mail of this fingerprint."""
    query = select(*_SHOWN).where(Bounce.digest == digest)
    return connection.execute(query).mappings().one_or_none()


def bounce(connection: Connection, bounce_id: int) -> RowMapping | None:
    """One kept mail without its text."""
    query = select(*_SHOWN).where(Bounce.id == bounce_id)
    return connection.execute(query).mappings().one_or_none()


def raw(connection: Connection, bounce_id: int) -> str | None:
    """The text of one."""
    return connection.execute(select(Bounce.raw).where(Bounce.id == bounce_id)).scalar_one_or_none()


def change(
    connection: Connection,
    bounce_id: int,
    values: Mapping[str, Any],
    *,
    only: Iterable[BounceState],
) -> bool:
    """Change one that is in one of these states; False: it is not."""
    done = connection.execute(
        update(Bounce)
        .where(Bounce.id == bounce_id, Bounce.state.in_([state.value for state in only]))
        .values(**values)
    )
    return done.rowcount > 0


def page(
    connection: Connection, *, state: str = "", before: int | None = None, limit: int
) -> Sequence[RowMapping]:
    """The newest, from ``before`` downwards."""
    query = select(*_SHOWN).order_by(Bounce.id.desc()).limit(limit)
    if state:
        query = query.where(Bounce.state == state)
    if before is not None:
        query = query.where(Bounce.id < before)
    return connection.execute(query).mappings().all()


def of_message(connection: Connection, message_id: int) -> Sequence[RowMapping]:
    """Those that speak of a message, in the order they came."""
    query = select(*_SHOWN).where(Bounce.message_id == message_id).order_by(Bounce.id)
    return connection.execute(query).mappings().all()


def early(connection: Connection, limit: int) -> Sequence[RowMapping]:
    """Those whose message was being handed over when they came."""
    query = select(*_SHOWN).where(Bounce.state == BounceState.EARLY.value).order_by(Bounce.id)
    return connection.execute(query.limit(limit)).mappings().all()


def counts(connection: Connection) -> dict[str, int]:
    """How many there are by state."""
    query = select(Bounce.state, func.count()).group_by(Bounce.state)
    return dict(connection.execute(query).tuples())
