"""The SQL of mailings, their drafts, texts and plans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    case,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine.tables import Lock
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.mailing_tables import Mailing, Revision
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.tables import Audit, Message

_STREAM = 1_000


def write_first(connection: Connection) -> None:
    """Make the transaction a writing one: SQLite then waits its turn now and never fails half-way."""
    connection.execute(update(Mailing).where(Mailing.id == 0).values(planned=0))


def add_mailing(connection: Connection, values: Mapping[str, Any]) -> int:
    """A new mailing; returns its id."""
    done = connection.execute(insert(Mailing).values(created_at=db_now(), **values))
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def add_mailing_once(connection: Connection, values: Mapping[str, Any]) -> int | None:
    """A new mailing with an idempotency key; None: there is one with this key.

    Waits for another transaction that inserts the same key at this moment.
    """
    try:
        with connection.begin_nested():
            return add_mailing(connection, values)
    except IntegrityError:
        return None


def mailing_by_idempotency_key(connection: Connection, key: str) -> int | None:
    """The mailing that was made under this key, as it is committed now, whatever this transaction saw before."""
    query = select(Mailing.id).where(Mailing.idempotency_key == key).with_for_update(read=True)
    found = connection.execute(query).scalar()
    return None if found is None else int(found)


def mailing(connection: Connection, mailing_id: int) -> RowMapping | None:
    """One mailing's row."""
    query = select(Mailing.__table__).where(Mailing.id == mailing_id)
    return connection.execute(query).mappings().first()


def change_mailing(
    connection: Connection,
    mailing_id: int,
    values: Mapping[str, Any],
    *,
    in_states: Iterable[MailingState],
) -> bool:
    """Change a mailing that is in one of these states; False: it is not, or there is none."""
    states = [state.value for state in in_states]
    done = connection.execute(
        update(Mailing).where(Mailing.id == mailing_id, Mailing.state.in_(states)).values(**values)
    )
    return bool(done.rowcount)


def remove_draft(connection: Connection, mailing_id: int) -> bool:
    """Remove a draft for good; no message can belong to it."""
    done = connection.execute(
        delete(Mailing).where(Mailing.id == mailing_id, Mailing.state == MailingState.DRAFT.value)
    )
    return bool(done.rowcount)


def add_revision(
    connection: Connection,
    *,
    channel: str,
    subject: str,
    body: str,
    html: str,
    created_by: str,
    template_id: int | None = None,
) -> int:
    """One state of a text, for ever."""
    done = connection.execute(
        insert(Revision).values(
            template_id=template_id,
            channel=channel,
            subject=subject,
            body=body,
            html=html,
            created_at=db_now(),
            created_by=created_by[:255],
        )
    )
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def revision(connection: Connection, revision_id: int) -> RowMapping | None:
    """One revision's row."""
    query = select(Revision.__table__).where(Revision.id == revision_id)
    return connection.execute(query).mappings().first()


def mailings(connection: Connection, *, before: int | None, limit: int) -> Sequence[RowMapping]:
    """Newest first, without drafts."""
    query = select(Mailing.__table__).order_by(Mailing.id.desc()).limit(limit)
    query = query.where(Mailing.state != MailingState.DRAFT.value)
    if before is not None:
        query = query.where(Mailing.id < before)
    return connection.execute(query).mappings().all()


def drafts(connection: Connection, *, created_by: str | None, limit: int) -> Sequence[RowMapping]:
    """Drafts, newest first; None: whoever began them."""
    query = select(Mailing.__table__).order_by(Mailing.id.desc()).limit(limit)
    query = query.where(Mailing.state == MailingState.DRAFT.value)
    if created_by is not None:
        query = query.where(Mailing.created_by == created_by)
    return connection.execute(query).mappings().all()


def scheduled_uploads(connection: Connection) -> set[str]:
    """The lists of mailings that wait for their time."""
    query = select(Mailing.selection).where(Mailing.state == MailingState.SCHEDULED.value)
    return {str(found.get("upload")) for found in connection.scalars(query) if found}


def counts_of(connection: Connection, mailing_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Messages by state, for several mailings."""
    found: dict[int, dict[str, int]] = {mailing_id: {} for mailing_id in mailing_ids}
    if not found:
        return found
    query = (
        select(Message.mailing_id, Message.state, func.count())
        .where(Message.mailing_id.in_(list(mailing_ids)))
        .group_by(Message.mailing_id, Message.state)
    )
    for row in connection.execute(query):
        found[row[0]][row[1]] = row[2]
    return found


def retried(connection: Connection, mailing_id: int) -> int:
    """Messages that wait for another try."""
    query = select(func.count()).where(*_tried_again(mailing_id))
    return int(connection.execute(query).scalar_one())


def retried_refs(connection: Connection, mailing_id: int) -> Sequence[Row[str, int]]:
    """``(ref, count)`` of messages that wait for another try."""
    query = select(Message.ref, func.count()).where(*_tried_again(mailing_id))
    return connection.execute(query.group_by(Message.ref)).all()


def _tried_again(mailing_id: int) -> tuple[ColumnElement[bool], ...]:
    return (
        Message.mailing_id == mailing_id,
        Message.state == MessageState.QUEUED.value,
        Message.tries > 0,
    )


def account_ids(connection: Connection, mailing_id: int) -> list[int]:
    """Accounts that messages of this mailing still wait for."""
    query = (
        select(Message.account_id)
        .where(
            Message.mailing_id == mailing_id,
            Message.state.in_([MessageState.QUEUED.value, MessageState.LEASED.value]),
            Message.account_id.is_not(None),
        )
        .distinct()
    )
    return [int(found) for found in connection.scalars(query) if found is not None]


# What a plan needs.


def advance_plan(connection: Connection, mailing_id: int, *, at: int, by: int) -> bool:
    """Move a plan forward from ``at``; False: it is not there any more, or no longer planned at all."""
    done = connection.execute(
        update(Mailing)
        .where(
            Mailing.id == mailing_id,
            Mailing.state == MailingState.PLANNING.value,
            Mailing.planned == at,
        )
        .values(planned=at + by)
    )
    return bool(done.rowcount)


def last_message(connection: Connection, mailing_id: int) -> int:
    """The highest id of a mailing's messages; 0: there is none."""
    found = connection.execute(
        select(func.max(Message.id)).where(Message.mailing_id == mailing_id)
    ).scalar()
    return int(found or 0)


def planned_refs(
    connection: Connection, mailing_id: int, refs: Iterable[str], *, up_to: int
) -> set[str]:
    """Those of these patients who have a message in this mailing with an id up to ``up_to``."""
    query = select(Message.ref).where(
        Message.mailing_id == mailing_id, Message.id <= up_to, Message.ref.in_(list(refs))
    )
    return set(connection.scalars(query))


def planned_people(connection: Connection, mailing_id: int) -> Iterator[Row[str, str, str | None]]:
    """``(ref, address, duplicate_key)`` of what will be sent, streamed."""
    query = select(Message.ref, Message.address, Message.duplicate_key).where(
        Message.mailing_id == mailing_id, Message.duplicate_key.is_not(None)
    )
    for portion in (
        connection.execution_options(yield_per=_STREAM)
        .execute(query.where(Message.state != MessageState.SKIPPED.value))
        .partitions()
    ):
        yield from portion


def remove_lock(connection: Connection, name: str, owner: str) -> None:
    """Give a lock back for good."""
    connection.execute(delete(Lock).where(Lock.name == name, Lock.owner == owner))


def actions_since(connection: Connection, *, actor_ref: str, action: str, seconds: float) -> int:
    """How often somebody did this lately."""
    query = select(func.count()).where(
        Audit.actor_ref == actor_ref, Audit.action == action, Audit.at > db_now(-seconds)
    )
    return int(connection.execute(query).scalar_one())


def tally(connection: Connection, mailing_id: int) -> tuple[int, int]:
    """``(messages, skipped ones)``."""
    skipped = func.sum(case((Message.state == MessageState.SKIPPED.value, 1), else_=0))
    query = select(func.count(), func.coalesce(skipped, 0)).where(Message.mailing_id == mailing_id)
    row = connection.execute(query).one()
    return int(row[0]), int(row[1])
