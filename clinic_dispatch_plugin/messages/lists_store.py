"""The SQL that reads messages for people: pages by keys that an index holds, never by counting rows off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    Select,
    func,
    or_,
    select,
    union_all,
)

from clinic_dispatch_plugin.messages.mailing_tables import Mailing, Revision
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.tables import Attempt, Message

#: Ids one statement of a search without an index looks at, so that no page waits long.
SPAN = 100_000
#: Ids are given in the order of creation, but transactions overlap: how far two may be apart.
_OVERLAP = timedelta(hours=1)
#: Ids one statement asks for.
PORTION = 500
#: Answers of one cause that are looked for apart.
MOST_PARTS = 100

_SHOWN = (
    Message.id,
    Message.mailing_id,
    Message.account_id,
    Message.channel,
    Message.ref,
    Message.name,
    Message.address,
    Message.state,
    Message.due_at,
    Message.attempts,
    Message.tries,
    Message.answer_id,
    Message.created_at,
    Message.sent_at,
    Message.stripped_at,
    Message.final_at,
    Message.route,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of a list that one index holds in the order of ids."""

    state: str | None = None
    mailing_id: int | None = None
    channel: str = ""
    #: None: whatever the answer.
    answer_ids: tuple[int, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: tuple[str, ...] = ()
    #: Bounds of ids, both included; from the period, so that no other rows are looked at.
    first_id: int = 1
    last_id: int | None = None

    @property
    def spanned(self) -> bool:
        """Whether rows may have to be passed over one by one, in spans of ids."""
        return bool(self.words) or (bool(self.channel) and self.mailing_id is None)

    def conditions(self) -> list[ColumnElement[bool]]:
        """What its rows have in common."""
        found: list[ColumnElement[bool]] = []
        if self.mailing_id is not None:
            found.append(Message.mailing_id == self.mailing_id)
        if self.state is not None:
            found.append(Message.state == self.state)
        if self.channel:
            found.append(Message.channel == self.channel)
        if self.answer_ids is not None:
            one = len(self.answer_ids) == 1
            found.append(
                Message.answer_id == self.answer_ids[0]
                if one
                else Message.answer_id.in_(self.answer_ids)
            )
        if self.since is not None:
            found.append(Message.created_at >= self.since)
        if self.until is not None:
            found.append(Message.created_at < self.until)
        if self.first_id > 1:
            found.append(Message.id >= self.first_id)
        if self.last_id is not None:
            found.append(Message.id <= self.last_id)
        return [*found, *map(_holds, self.words)]


def _holds(word: str) -> ColumnElement[bool]:
    """Name, address or patient number hold a word; SQLite knows upper and lower case of Latin letters only."""
    ways = {word, word.lower(), word.upper(), word.title()}
    return or_(
        *(Message.name.icontains(way, autoescape=True) for way in sorted(ways)),
        Message.address.icontains(word, autoescape=True),
        Message.ref == word,
    )


def bounded(connection: Connection, segment: Segment) -> Segment:
    """The same segment with its period as bounds of ids: a few look-ups instead of a walk over all that is newer."""
    first, last = segment.first_id, segment.last_id
    if segment.since is not None:
        first = max(first, _first_id_after(connection, segment.since - _OVERLAP))
    if segment.until is not None:
        end = _first_id_after(connection, segment.until + _OVERLAP)
        last = end if last is None else min(last, end)
    return replace(segment, first_id=first, last_id=last)


def _first_id_after(connection: Connection, moment: datetime) -> int:
    """About the first id created at or after ``moment``, by halving; one past the last where there is none."""
    low, high = 1, last_id(connection) + 1
    while low < high:
        middle = (low + high) // 2
        query = (
            select(Message.id, Message.created_at)
            .where(Message.id >= middle)
            .order_by(Message.id)
            .limit(1)
        )
        row = connection.execute(query).first()
        if row is None or row.created_at >= moment:
            high = middle
        else:
            low = row.id + 1
    return low


def last_id(connection: Connection) -> int:
    """The newest message's id; 0 where there is none."""
    return int(connection.execute(select(func.max(Message.id))).scalar() or 0)


def page(
    connection: Connection, segment: Segment, *, beyond: int | None, limit: int, newer: bool
) -> Sequence[RowMapping]:
    """Rows of a segment past the id ``beyond``: older ones downwards, or newer ones upwards."""
    return (
        connection.execute(page_query(segment, beyond=beyond, limit=limit, newer=newer))
        .mappings()
        .all()
    )


def page_query(
    segment: Segment, *, beyond: int | None, limit: int, newer: bool
) -> Select[*tuple[Any, ...]]:
    """The statement of :func:`page`."""
    several = segment.answer_ids if segment.mailing_id is None else None
    if several is not None and 1 < len(several) <= MOST_PARTS:
        # Each answer's newest by its own index: together they would be sought by walking along all messages.
        parts = [
            select(
                _page_of_one(
                    replace(segment, answer_ids=(one,)), beyond, limit, newer=newer
                ).subquery()
            )
            for one in several
        ]
        whole = union_all(*parts).subquery()
        order = whole.c.id if newer else whole.c.id.desc()
        return select(whole).order_by(order).limit(limit)
    return _page_of_one(segment, beyond, limit, newer=newer)


def _page_of_one(
    segment: Segment, beyond: int | None, limit: int, *, newer: bool
) -> Select[*tuple[Any, ...]]:
    query: Select[*tuple[Any, ...]] = select(*_SHOWN).where(*segment.conditions()).limit(limit)
    if newer:
        query = query.order_by(Message.id)
        return query if beyond is None else query.where(Message.id > beyond)
    query = query.order_by(Message.id.desc())
    return query if beyond is None else query.where(Message.id < beyond)


def shown(connection: Connection, message_id: int) -> RowMapping | None:
    """One message as lists show it."""
    return connection.execute(select(*_SHOWN).where(Message.id == message_id)).mappings().first()


def message(connection: Connection, message_id: int) -> RowMapping | None:
    """One message's whole row."""
    query = select(Message.__table__).where(Message.id == message_id)
    return connection.execute(query).mappings().first()


def messages_by_id(connection: Connection, ids: Iterable[int]) -> list[RowMapping]:
    """Whole rows, in the order of ids."""
    wanted = sorted(set(ids))
    found: list[RowMapping] = []
    for start in range(0, len(wanted), PORTION):
        query = select(Message.__table__).where(Message.id.in_(wanted[start : start + PORTION]))
        found += connection.execute(query.order_by(Message.id)).mappings()
    return found


def mailing(connection: Connection, mailing_id: int) -> RowMapping | None:
    """One mailing's row."""
    query = select(Mailing.__table__).where(Mailing.id == mailing_id)
    return connection.execute(query).mappings().first()


def mailings(connection: Connection, ids: Iterable[int]) -> dict[int, RowMapping]:
    """What lists say of mailings, by id."""
    query = select(
        Mailing.id,
        Mailing.name,
        Mailing.state,
        Mailing.purpose,
        Mailing.not_after,
        Mailing.pause_reason,
        Mailing.pause_text,
    ).where(Mailing.id.in_(sorted(set(ids))))
    return {row["id"]: row for row in connection.execute(query).mappings()}


def recent_mailings(connection: Connection, limit: int, *, name: str = "") -> Sequence[RowMapping]:
    """The newest mailings, for choosing one; with a name those that have these words in theirs."""
    query = select(Mailing.id, Mailing.name).where(Mailing.state != "draft")
    for word in name.split()[:6]:
        ways = {word, word.lower(), word.upper(), word.title()}
        query = query.where(
            or_(*(Mailing.name.icontains(way, autoescape=True) for way in sorted(ways)))
        )
    return connection.execute(query.order_by(Mailing.id.desc()).limit(limit)).mappings().all()


def revision(connection: Connection, revision_id: int) -> RowMapping | None:
    """One state of a text."""
    query = select(Revision.__table__).where(Revision.id == revision_id)
    return connection.execute(query).mappings().first()


def cause_counts(connection: Connection, mailing_id: int) -> Sequence[Row[*tuple[Any, ...]]]:
    """``(state, answer_id, messages, next due, account_id)`` of a mailing, states and answers apart."""
    query = (
        select(
            Message.state,
            Message.answer_id,
            func.count().label("messages"),
            func.min(Message.due_at).label("due_at"),
            func.min(Message.account_id).label("account_id"),
        )
        .where(Message.mailing_id == mailing_id)
        .group_by(Message.state, Message.answer_id)
    )
    return connection.execute(query).all()


def id_bounds(connection: Connection, mailing_id: int | None) -> tuple[int, int]:
    """The lowest and highest id, of a mailing or of all; ``(1, 0)`` where there is none."""
    query = select(func.min(Message.id), func.max(Message.id))
    if mailing_id is not None:
        query = query.where(Message.mailing_id == mailing_id)
    low, high = connection.execute(query).one()
    return int(low or 1), int(high or 0)


def facts_of_mailing(
    connection: Connection, mailing_id: int, *, first: int, last: int
) -> Sequence[Row[*tuple[Any, ...]]]:
    """What counting needs of each message of a mailing between two ids, both included."""
    query = select(
        Message.id,
        Message.ref,
        Message.state,
        Message.answer_id,
        Message.due_at,
        Message.account_id,
    ).where(Message.id.between(first, last), _walked(mailing_id))
    return connection.execute(query).all()


def _walked(mailing_id: int) -> ColumnElement[bool]:
    """Of this mailing, found by walking along the ids: its index would give all its rows for every stretch."""
    return Message.mailing_id + 0 == mailing_id


def accounts_in_use(connection: Connection, mailing_id: int) -> list[int]:
    """The accounts whose messages of a mailing are still waiting."""
    query = (
        select(Message.account_id)
        .where(
            Message.mailing_id == mailing_id,
            Message.state.in_([MessageState.QUEUED.value, MessageState.LEASED.value]),
            Message.account_id.is_not(None),
        )
        .group_by(Message.account_id)
    )
    return [found for found in connection.scalars(query) if found is not None]


def attempts(connection: Connection, message_id: int) -> Sequence[RowMapping]:
    """Every handing-over of a message, the first one first."""
    query = select(Attempt.__table__).where(Attempt.message_id == message_id)
    return connection.execute(query.order_by(Attempt.number)).mappings().all()


def count_by_answer(connection: Connection, answer_ids: Iterable[int] | None) -> dict[int, int]:
    """How many messages each answer explains."""
    query = select(Message.answer_id, func.count()).where(Message.answer_id.is_not(None))
    if answer_ids is None:
        return _counted(connection, query)
    wanted, done = sorted(set(answer_ids)), dict[int, int]()
    for start in range(0, len(wanted), PORTION):
        portion = Message.answer_id.in_(wanted[start : start + PORTION])
        done.update(_counted(connection, query.where(portion)))
    return done


def _counted(connection: Connection, query: Select[*tuple[Any, ...]]) -> dict[int, int]:
    return {row[0]: row[1] for row in connection.execute(query.group_by(Message.answer_id))}


def for_command(
    connection: Connection, *, mailing_id: int | None, state: str | None, first: int, last: int
) -> Sequence[RowMapping]:
    """Messages between two ids, both included, with their last attempt's words, oldest first."""
    query = (
        select(
            Message.__table__,
            Attempt.answer_text.label("last_text"),
            Attempt.answer_id.label("last_answer_id"),
        )
        .outerjoin(Attempt, Attempt.id == Message.attempt_id)
        .where(Message.id.between(first, last))
        .order_by(Message.id)
    )
    if mailing_id is not None:
        query = query.where(_walked(mailing_id))
    if state is not None:
        query = query.where(Message.state == state)
    return connection.execute(query).mappings().all()


def chosen(
    connection: Connection,
    *,
    mailing_id: int,
    answer_ids: Sequence[int] | None,
    states: Iterable[str],
) -> Sequence[Row[*tuple[Any, ...]]]:
    """``(id, ref)`` of the messages of one cause in a mailing."""
    query = select(Message.id, Message.ref).where(
        Message.mailing_id == mailing_id, Message.state.in_(sorted(states))
    )
    if answer_ids is not None:
        query = query.where(Message.answer_id.in_(list(answer_ids)))
    return sorted(connection.execute(query).all())


def same_address(
    connection: Connection, row: Mapping[Any, Any], *, limit: int = 20
) -> Sequence[RowMapping]:
    """Other messages of a row's mailing to its address that went out or will."""
    query = (
        select(Message.__table__)
        .where(
            Message.mailing_id == row["mailing_id"],
            Message.channel == row["channel"],
            func.lower(Message.address) == row["address"].lower(),
            Message.id != row["id"],
            Message.state != MessageState.SKIPPED.value,
        )
        .limit(limit)
    )
    return connection.execute(query).mappings().all()


def spans(*, top: int, bottom: int, newer: bool) -> Iterator[tuple[int, int]]:
    """Bounds of ids from ``top`` down to ``bottom``, or upwards, each at most :data:`SPAN` wide."""
    if newer:
        for start in range(bottom, top + 1, SPAN):
            yield start, min(top, start + SPAN - 1)
    else:
        for end in range(top, bottom - 1, -SPAN):
            yield max(bottom, end - SPAN + 1), end
