"""How often an answer occurred, ever and of late, counted along an index on each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete

from clinic_dispatch_plugin.messages.occurrences_store import count_occurrences, first_of_last
from clinic_dispatch_plugin.messages.tables import Message
from clinic_dispatch_plugin.registry import Dispatch
from tests.clinic.mailbag import STRANGE, UNKNOWN_USER, Mailbag


def test_messages_are_counted_ever_and_of_the_last_days(dispatch: Dispatch) -> None:
    bag = Mailbag(dispatch, channel="pigeon")
    mailing = bag.mailing()
    now = datetime.now(tz=UTC)
    ids = []
    for days, answer in ((90, UNKNOWN_USER), (60, STRANGE), (31, UNKNOWN_USER), (29, UNKNOWN_USER)):
        made = now - timedelta(days=days)
        ids.append(bag.message(mailing, "undelivered", answer=answer, created_at=made))
    bag.message(mailing, "delivered")
    bag.message(mailing, "undelivered", answer=UNKNOWN_USER)
    with dispatch.database.begin() as connection:
        known, strange = sorted(count_occurrences(connection, 30).values(), reverse=True)
        assert (known, strange) == ((4, 2), (1, 0))
        assert first_of_last(connection, 30) in range(ids[2] + 1, ids[3] + 1)
        # Old ones that were cleared away leave gaps.
        connection.execute(delete(Message).where(Message.id.in_([ids[0], ids[2]])))
        assert sorted(count_occurrences(connection, 30).values()) == [(1, 0), (2, 2)]


@pytest.mark.parametrize("days_ago", [0, 400])
def test_a_list_that_is_all_young_or_all_old(dispatch: Dispatch, days_ago: int) -> None:
    with dispatch.database.begin() as connection:
        assert count_occurrences(connection, 30) == {}
    bag = Mailbag(dispatch, channel="pigeon")
    mailing = bag.mailing()
    made = datetime.now(tz=UTC) - timedelta(days=days_ago)
    for _ in range(5):
        bag.message(mailing, "undelivered", answer=STRANGE, created_at=made)
    with dispatch.database.begin() as connection:
        assert list(count_occurrences(connection, 30).values()) == [(5, 0 if days_ago else 5)]
