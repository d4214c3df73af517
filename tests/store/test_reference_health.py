"""The state of the reference: each failure counted once, in its week, on every database and cheaply."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text, update

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.database.base import Base
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.error_reference import editing, service
from clinic_dispatch_plugin.error_reference.health import DAYS, Health, health, health_json
from clinic_dispatch_plugin.error_reference.health_views import bars, percent
from clinic_dispatch_plugin.messages.access import CommandLine
from clinic_dispatch_plugin.messages.failures import failures_by_answer
from clinic_dispatch_plugin.messages.failures_store import messages_query, tries_query
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.registry import Dispatch
from tests.clinic.host import make_clinic
from tests.clinic.mailbag import MAILBOX_FULL, STRANGE, UNKNOWN_USER, Mailbag
from tests.store.letters import LetterPlugin
from tests.store.test_list_plans import walks

OURS = Answer(system="dispatch", code="no_address")
BOUNCED = Answer(system="smtp", code="5.2.2", text="552 5.2.2 Mailbox full")


@pytest.fixture
def dispatch(database_url: str, tmp_path: Path) -> Iterator[Dispatch]:
    config = {"SQLALCHEMY_DATABASE_URI": database_url, "CLINIC_DISPATCH_BLOCKED_PLUGINS": "sms"}
    clinic = make_clinic(tmp_path, config=config, plugins=[LetterPlugin()])
    yield clinic.dispatch
    clinic.dispatch.database.dispose()


def state(dispatch: Dispatch) -> Health:
    return health(dispatch, partial(failures_by_answer, dispatch, CommandLine()))


def moved(dispatch: Dispatch, message_id: int, days: float) -> None:
    """A message failed so many days ago."""
    at = datetime.now(tz=UTC) - timedelta(days=days)
    with dispatch.database.begin() as connection:
        connection.execute(
            update(Message).where(Message.id == message_id).values(created_at=at, final_at=at)
        )
        connection.execute(
            update(Attempt)
            .where(Attempt.message_id == message_id)
            .values(opened_at=at, closed_at=at)
        )


def test_each_failure_counts_once_and_only_in_its_time(dispatch: Dispatch) -> None:
    assert state(dispatch).share is None
    assert state(dispatch).reached
    bag = Mailbag(dispatch, channel="letter")
    mailing = bag.mailing()
    add = partial(bag.message, mailing)
    add("undelivered", answer=UNKNOWN_USER, attempt="refused")
    add("undelivered", answer=STRANGE, attempt="refused")
    add("queued", answer=MAILBOX_FULL, attempt="refused", due_in=60)  # tries again: refused once
    add("skipped", answer=OURS)  # decided by us, no try
    add("sent", attempt="accepted")
    add("queued")
    resent = add("undelivered", answer=UNKNOWN_USER, attempt="refused")  # was put right meanwhile
    bounced = add("sent", attempt="accepted")  # a report said no later
    with dispatch.database.begin() as connection:
        connection.execute(
            update(Message)
            .where(Message.id == resent)
            .values(state="queued", answer_id=None, final_at=None, due_at=now(connection))
        )
        answer_id, _ = service.note_answer(dispatch, connection, BOUNCED)
        connection.execute(
            update(Message)
            .where(Message.id == bounced)
            .values(state="undelivered", answer_id=answer_id, final_at=now(connection))
        )
    moved(dispatch, add("undelivered", answer=UNKNOWN_USER, attempt="refused"), DAYS + 1)
    moved(dispatch, add("undelivered", answer=OURS), 200)

    found = state(dispatch)
    assert (found.failures, found.served, found.drafts) == (6, 5, 1)
    counts = {cause.answer.category: cause.count for cause in found.causes if cause.served}
    assert counts == {"unknown_recipient": 2, "recipient_full": 2, "bad_address": 1}
    assert [cause.served for cause in found.causes if cause.answer.draft] == [False]
    assert sum(week.failures for week in found.weeks) == 7
    assert len(found.weeks) == 8
    assert found.weeks[-1].failures + found.weeks[-2].failures >= 6
    said = health_json(found, "en")
    assert (said["share"], said["goal"], said["goal_reached"]) == (0.8333, 0.95, False)
    assert said["entries"] - said["never_seen"] == 4, (
        "an entry that speaks for a draft was seen too"
    )


def test_describing_a_draft_serves_its_failures_unless_it_says_not_what_helps(
    dispatch: Dispatch,
) -> None:
    bag = Mailbag(dispatch, channel="letter")
    bag.message(bag.mailing(), "undelivered", answer=STRANGE, attempt="refused")
    words = {"short.de": "Zorgon", "what_happened.de": "Zorgon streikt"}
    entry = editing.add_entry(dispatch, system="smtp", code="5.9.9", content=words, by="x")
    assert (state(dispatch).served, state(dispatch).drafts) == (0, 0)
    editing.change_entry(dispatch, entry.id, content={"what_helps.de": "Warten."}, by="x")
    assert state(dispatch).served == 1


def test_what_failed_is_found_along_an_index(dispatch: Dispatch) -> None:
    bag = Mailbag(dispatch, channel="letter")
    mailing = bag.mailing()
    for number in range(200):
        bad = number % 20 == 0
        bag.message(
            mailing,
            "undelivered" if bad else "sent",
            answer=UNKNOWN_USER if bad else None,
            attempt="refused" if bad else "accepted",
        )
    starts = [datetime.now(tz=UTC) - timedelta(days=7 * n) for n in range(9)]
    with dispatch.database.begin() as connection:
        if connection.dialect.name == "mysql":
            connection.execute(text("ANALYZE TABLE dispatch_message, dispatch_attempt"))
        else:
            connection.execute(text("ANALYZE"))
        steps = walks(connection, messages_query(starts)) + walks(connection, tries_query(starts))
    assert [step for step in steps if "GROUP BY" not in step] == []


FAILURES = 100_000


def test_a_hundred_thousand_failures_are_counted_at_once(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path, plugins=[LetterPlugin()])
    dispatch = clinic.dispatch
    bag = Mailbag(dispatch, channel="letter")
    first = bag.message(bag.mailing(), "undelivered", answer=UNKNOWN_USER, attempt="refused")
    more = f"WITH RECURSIVE n (n) AS (SELECT {first} + 1 UNION ALL SELECT n + 1 FROM n LIMIT {FAILURES - 1})"
    with dispatch.database.begin() as connection:
        _copies(connection, Message, more, {"id": "n", "attempt_id": "n * 1000"})
        _copies(connection, Attempt, more, {"id": "n * 1000", "message_id": "n"})
    begin = time.process_time()
    found = state(dispatch)
    assert found.failures == FAILURES
    assert found.causes[0].count == FAILURES
    # Processor time, and ten times what it takes: a walk for each failure would take minutes.
    assert time.process_time() - begin < 10
    dispatch.database.dispose()


def _copies(
    connection: Connection, table: type[Base], numbers: str, values: dict[str, str]
) -> None:
    """As many rows like the one that is there, each with its own number and key."""
    own = {**values, "key": "lower(hex(randomblob(13)))"}
    names = [column.name for column in table.__table__.columns]
    said = ", ".join(own.get(name, f't."{name}"') for name in names)
    into = ", ".join(f'"{name}"' for name in names)
    name = table.__tablename__
    connection.exec_driver_sql(
        f"INSERT INTO {name} ({into}) {numbers} SELECT {said} FROM n, {name} t"
    )


# Pictures and words


def test_not_quite_all_never_reads_as_all() -> None:
    said = {0.9999: "99.9", 1.0: "100", 0.0: "0", 0.9499: "94.9"}
    assert {share: percent(share) for share in said} == said


def test_the_highest_week_fills_the_picture(dispatch: Dispatch) -> None:
    bag = Mailbag(dispatch, channel="letter")
    mailing = bag.mailing()
    for answer in (UNKNOWN_USER, UNKNOWN_USER, UNKNOWN_USER, STRANGE):
        bag.message(mailing, "undelivered", answer=answer, attempt="refused")
    drawn = bars(state(dispatch))
    last = drawn[-1]
    assert (last.served_high, last.open_high, last.open_y) == (75, 25, 0)
    assert {bar.served_high for bar in drawn[:-1]} == {0}
    assert (drawn[0].share, bool(last.share)) == ("", True)
