"""What people see of messages: pages of a list, one at a time, and always only those they may see."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.error_reference.answers import Explained, answers_of_cause, explained
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import lists_store as store
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.messages.reported_store import reports_of_messages
from clinic_dispatch_plugin.messages.routes import Route
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.registry import Dispatch

LIMIT = 50
#: Spans of ids one page of a search looks at before it offers to search on.
MOST_SPANS = 10
#: Rows looked at for one page where the host hides some.
MOST_LOOKED_AT = 5_000
#: A mailing's list: what wants a person's eye first.
ORDER = (
    MessageState.UNDELIVERED,
    MessageState.UNCERTAIN,
    MessageState.QUEUED,
    MessageState.LEASED,
    MessageState.SENDING,
    MessageState.SKIPPED,
    MessageState.SENT,
    MessageState.DELIVERED,
)
#: States whose word a report makes clearer.
_REPORTED = (MessageState.SENT, MessageState.DELIVERED)
#: States of an account through which nothing goes out.
ON_HOLD = frozenset({"stopped", "resting", "disabled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages to list. Times are aware; ``until`` is not included any more."""

    channel: str = ""
    #: One of the states; waiting ones are found under ``queued``, leased or not.
    state: str = ""
    #: ``smtp:5.1.1``, ``entry:7``, ``draft:smtp:5.9.9`` or ``answer:12``.
    cause: str = ""
    mailing_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    #: Words; all of them have to occur in name, address or patient number.
    search: str = ""

    def __bool__(self) -> bool:
        """Whether anything is filtered."""
        return self != MessageFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a page begins: past this message, in this stretch of the list."""

    segment: int
    id: int

    def __str__(self) -> str:
        return f"{self.segment}.{self.id}"

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        """The cursor of an address; None for an empty one.

        :raises ValueError: this is no cursor.
        """
        if not text:
            return None
        segment, _, row = text.partition(".")
        if not (segment.isascii() and segment.isdigit() and row.isascii() and row.isdigit()):
            raise ValueError(text)
        if len(segment) > 2 or len(row) > 19 or int(row) > 2**63 - 1:
            raise ValueError(text)
        return cls(segment=int(segment), id=int(row))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A message as a list shows it."""

    id: int
    mailing_id: int
    mailing_name: str
    mailing_state: str
    channel: str
    ref: str
    name: str
    address: str
    state: str
    due_at: datetime | None
    attempts: int
    account_id: int | None
    answer: Explained | None
    created_at: datetime
    sent_at: datetime | None
    final_at: datetime | None
    #: What was reported of its current try: ``read``, ``no_report`` …; empty: nothing yet.
    report: str = ""
    #: The channels it left behind, each with what explains that.
    passed: Sequence[tuple[str, Explained | None]] = ()
    #: When its address and words were removed.
    stripped_at: datetime | None = None
    #: Why a waiting message does not go out now: ``mailing``, ``account``; empty: nothing holds it.
    held_by: str = ""

    @property
    def waits(self) -> bool:
        """Whether it is still to be sent."""
        return self.state in (MessageState.QUEUED, MessageState.LEASED)

    @property
    def quiet_until(self) -> datetime | None:
        """Until when it waits for the end of quiet hours; None: it does not."""
        quiet = self.answer is not None and self.answer.is_ours("quiet_hours")
        return self.due_at if self.waits and quiet else None

    @property
    def at(self) -> datetime:
        """When what it shows came about."""
        return self.final_at or self.sent_at or self.created_at

    @property
    def can_be_corrected(self) -> bool:
        """Whether a new address would put it right."""
        return self.can_be_resent and not (self.answer and self.answer.is_ours("superseded"))

    @property
    def can_be_resent(self) -> bool:
        """Whether a person may send it again from here."""
        failed = self.state in (MessageState.UNDELIVERED, MessageState.SKIPPED)
        return failed and self.mailing_state != "cancelled" and self.stripped_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list; ``before`` and ``after`` lead to its neighbours, None where there is none."""

    lines: Sequence[Line]
    before: Cursor | None = None
    after: Cursor | None = None
    #: The search stopped early: further matches may come at ``after``.
    unfinished: bool = False


def list_messages(
    dispatch: Dispatch,
    actor: Actor,
    wanted: MessageFilter,
    *,
    cursor: Cursor | None = None,
    newer: bool = False,
    limit: int = LIMIT,
) -> Page:
    """One page of messages, the newest first; of one mailing: failures first.

    :param cursor: begin past this one; None: at the top.
    :param newer: go up the list from the cursor instead of down.
    """
    with dispatch.database.begin() as connection:
        segments = segments_of(dispatch, connection, wanted)
    walk = _Walk(dispatch, Sight(dispatch, actor), segments, newer=newer)
    rows = walk.collect(cursor, limit + 1)
    more = len(rows) > limit
    if (
        newer and not more and walk.stopped_at is None
    ):  # the top of the list: show a full first page
        return list_messages(dispatch, actor, wanted, limit=limit)
    rows = rows[:limit]
    if newer:
        rows.reverse()
    lines = _lines(dispatch, [row for _, row in rows])
    first = _cursor(rows[0]) if rows else None
    last = _cursor(rows[-1]) if rows else None
    if newer:
        return Page(lines=lines, before=first if more else walk.stopped_at, after=last)
    after = last if more else walk.stopped_at
    return Page(
        lines=lines,
        before=first if cursor else None,
        after=after,
        unfinished=not more and walk.stopped_at is not None,
    )


def _cursor(placed: tuple[int, RowMapping]) -> Cursor:
    return Cursor(segment=placed[0], id=placed[1]["id"])


def segments_of(
    dispatch: Dispatch, connection: Connection, wanted: MessageFilter
) -> list[store.Segment]:
    """The stretches a list consists of."""
    answers = None
    if wanted.cause:
        answers = tuple(answers_of_cause(dispatch, connection, wanted.cause))
    whole = store.Segment(
        mailing_id=wanted.mailing_id,
        channel=wanted.channel,
        answer_ids=answers,
        since=wanted.since,
        until=wanted.until,
        words=tuple(wanted.search.split())[:6],
    )
    whole = store.bounded(connection, whole)
    if wanted.state:
        states = [MessageState(wanted.state)]
        states += [MessageState.LEASED] if wanted.state == MessageState.QUEUED else []
    elif wanted.mailing_id is not None:
        states = list(ORDER)
    else:
        return [whole]
    return [replace(whole, state=state.value) for state in states]


class _Walk:
    """Goes along the segments until a page is full; short statements, and the host is asked between them."""

    def __init__(
        self, dispatch: Dispatch, sight: Sight, segments: Sequence[store.Segment], *, newer: bool
    ) -> None:
        self._dispatch = dispatch
        self._sight = sight
        self._segments = segments
        self._newer = newer
        self._looked_at = 0
        self._spans = 0
        #: Where the patience ended; None: the list did.
        self.stopped_at: Cursor | None = None

    def collect(self, cursor: Cursor | None, wanted: int) -> list[tuple[int, RowMapping]]:
        """At most ``wanted`` rows past the cursor, each with its segment's number."""
        numbers = list(range(len(self._segments)))
        if self._newer:
            numbers.reverse()
        found: list[tuple[int, RowMapping]] = []
        for number in numbers:
            beyond = None
            if cursor is not None:
                passed = number > cursor.segment if self._newer else number < cursor.segment
                if passed:
                    continue
                beyond = cursor.id if number == cursor.segment else None
            for row in self._rows(number, beyond, wanted):
                found.append((number, row))
                if len(found) >= wanted:
                    return found
            if self.stopped_at is not None:
                return found
        return found

    def _rows(self, number: int, beyond: int | None, wanted: int) -> Iterator[RowMapping]:
        segment = self._segments[number]
        if not segment.spanned:
            yield from self._paged(number, segment, beyond, wanted)
            return
        with self._dispatch.database.begin() as connection:
            top = store.last_id(connection)
        low, high = segment.first_id, top if segment.last_id is None else min(top, segment.last_id)
        if beyond is not None:
            low, high = (beyond + 1, high) if self._newer else (low, beyond - 1)
        for first, last in store.spans(top=high, bottom=low, newer=self._newer):
            if self._spans >= MOST_SPANS:
                edge = first - 1 if self._newer else last + 1
                self.stopped_at = Cursor(segment=number, id=edge)
                return
            self._spans += 1
            narrow = replace(segment, first_id=first, last_id=last)
            yield from self._paged(number, narrow, None, wanted)
            if self.stopped_at is not None:
                return

    def _paged(
        self, number: int, segment: store.Segment, beyond: int | None, wanted: int
    ) -> Iterator[RowMapping]:
        while True:
            with self._dispatch.database.begin() as connection:
                rows = store.page(
                    connection, segment, beyond=beyond, limit=wanted, newer=self._newer
                )
            yield from self._sight.of(rows, lambda row: str(row["ref"]))
            if len(rows) < wanted:
                return
            beyond = rows[-1]["id"]
            self._looked_at += len(rows)
            if self._looked_at >= MOST_LOOKED_AT:
                self.stopped_at = Cursor(segment=number, id=int(rows[-1]["id"]))
                return


def _lines(dispatch: Dispatch, rows: Sequence[RowMapping]) -> list[Line]:
    with dispatch.database.begin() as connection:
        return lines(dispatch, connection, rows)


def lines(dispatch: Dispatch, connection: Connection, rows: Sequence[RowMapping]) -> list[Line]:
    """Rows with their mailings, explanations and what holds them."""
    routes = {row["id"]: Route.read(row["route"]) for row in rows}
    wanted = [row["answer_id"] for row in rows]
    wanted += [each.answer_id for route in routes.values() for each in route.passed]
    answers = explained(dispatch, connection, wanted)
    mailings = store.mailings(connection, (row["mailing_id"] for row in rows))
    held = accounts_on_hold(connection)
    told = reports_of_messages(connection, [row["id"] for row in rows if row["state"] in _REPORTED])
    found = [
        _line(row, mailings[row["mailing_id"]], answers, held, routes[row["id"]]) for row in rows
    ]
    return [replace(line, report=told.get(line.id, "")) for line in found]


def accounts_on_hold(connection: Connection) -> dict[int, RowMapping]:
    """Accounts through which nothing goes out now, by id."""
    return {row["id"]: row for row in accounts.accounts(connection) if row["state"] in ON_HOLD}


def _line(
    row: RowMapping,
    mailing: RowMapping,
    answers: Mapping[int, Explained],
    held: Mapping[int, RowMapping],
    route: Route,
) -> Line:
    names = (
        "id mailing_id channel ref name address state due_at attempts account_id "
        "created_at sent_at final_at stripped_at"
    )
    values: dict[str, Any] = {name: row[name] for name in names.split()}
    return Line(
        **values,
        mailing_name=mailing["name"],
        mailing_state=mailing["state"],
        answer=answers.get(row["answer_id"]) if row["answer_id"] else None,
        passed=[(each.channel, answers.get(each.answer_id)) for each in route.passed],
        held_by=_held_by(row, mailing, held),
    )


def _held_by(row: RowMapping, mailing: RowMapping, held: Container[int]) -> str:
    if row["state"] not in (MessageState.QUEUED, MessageState.LEASED):
        return ""
    if mailing["state"] == "paused":
        return "mailing"
    return "account" if row["account_id"] in held else ""
