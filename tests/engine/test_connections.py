"""The connections the clinic allows an account are never exceeded, whoever sends at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from clinic_dispatch_plugin.accounts import shares
from clinic_dispatch_plugin.api import Account, OutgoingMessage, Sender
from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.engine.tables import Run
from clinic_dispatch_plugin.testing import FakeChannel
from tests.engine.dispatching import Desk, make_dispatch, open_desk

LIMIT = 5


class Counting(FakeChannel):
    """Counts the connections its senders may hold at the same time; all of these channels together."""

    open_now = 0
    most = 0

    @contextmanager
    def open(self, account: Account) -> Iterator[Sender]:
        Counting.open_now += account.connections
        Counting.most = max(Counting.most, Counting.open_now)
        try:
            with super().open(account) as sender:
                yield sender
        finally:
            Counting.open_now -= account.connections


def run(connection: Connection, lease: float = 60.0) -> int:
    return store.start_run(connection, worker="w", host="h", boot_id="b", lease=lease)


def test_runs_share_them_and_what_a_dead_one_held_is_free(
    database_url: str,
    tmp_path: Path,
) -> None:
    desk = open_desk(database_url, tmp_path, channel=FakeChannel())
    desk.mailing(1)
    account = desk.account()["id"]

    def take(connection: Connection, run_id: int, hands: int = 2) -> int:
        live = store.live_run_ids(connection)
        return shares.take(connection, account, run_id, limit=LIMIT, live=live, hands=hands)

    with desk.dispatch.database.begin() as connection:
        one, two, three = (run(connection) for _ in range(3))
        assert [take(connection, each) for each in (one, two, three)] == [3, 2, 0]
        assert take(connection, one) == 3  # again: not twice
        store.end_run(connection, two)
        assert take(connection, three) == 2
        shares.give_back(connection, three)
        connection.execute(update(Run).where(Run.id == one).values(state="lost"))
        assert take(connection, three, hands=0) == LIMIT
    desk.dispatch.database.dispose()


def test_a_second_worker_never_opens_more_than_are_left(
    database_url: str,
    tmp_path: Path,
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one sending process at a time")
    Counting.open_now = Counting.most = 0
    options = {"connections": 4, "connection_limit": LIMIT}
    first, second = Counting(), Counting()
    first.options, second.options = options, options
    desk = open_desk(database_url, tmp_path, channel=first)
    with desk.dispatch.database.begin() as connection:
        store.sign_of_life(connection, name="a", host="h", version="1", concurrency=2)
    other = make_dispatch(database_url, tmp_path / "b", channel=second, tables=False)
    mailing = desk.mailing(60)
    helped: list[int] = []

    def meanwhile(message: OutgoingMessage) -> None:
        if not helped:
            helped.append(1)
            Desk(dispatch=other, channel=second, host=desk.host).pump()

    first.before = meanwhile
    desk.pump()
    desk.pump()
    assert Counting.most <= LIMIT
    assert Counting.open_now == 0
    assert desk.states(mailing) == {"sent": 60}
    for each in (desk.dispatch, other):
        each.database.dispose()
