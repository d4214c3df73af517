"""Parts that fail while messages go out: the rows of the fault matrix that need no process of their own."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import redis
from sqlalchemy import create_engine, event, text, update
from sqlalchemy.exc import DBAPIError

from clinic_dispatch_plugin.channels.text import Template
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine import journal, windows
from clinic_dispatch_plugin.engine.tables import Run
from clinic_dispatch_plugin.engine.tender import ring_for_work, tend
from clinic_dispatch_plugin.messages import truth_store
from clinic_dispatch_plugin.messages.tables import Message
from clinic_dispatch_plugin.queue.doorbell import Doorbell
from tests.conftest import DATABASES
from tests.engine.children import Gate, in_child, start, wait
from tests.engine.dispatching import Desk
from tests.servers.redis import Redis

ON_SQLITE = pytest.mark.parametrize("database_url", DATABASES[:1], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", DATABASES[1:2], indirect=True)
ON_BOTH = pytest.mark.parametrize("database_url", DATABASES[:2], indirect=True)
PEOPLE = 120


def all_sent_once(desk: Desk, people: int = PEOPLE) -> None:
    assert desk.states() == {"sent": people}
    assert set(desk.channel.counts.values()) == {1}
    with desk.dispatch.database.begin() as connection:
        assert truth_store.disagreements(connection) == {}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is away is asked again soon."""
    monkeypatch.setattr(windows, "random", SimpleNamespace(uniform=lambda least, most: 0.05))


@ON_POSTGRESQL
def test_tenders_at_once_end_where_one_would(desk: Desk) -> None:
    """Row 18."""
    desk.mailing(PEOPLE)
    desk.channel.before = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    in_child(desk, desk.pump)
    gate = Gate()

    def work() -> None:
        gate.wait()
        tend(desk.dispatch)

    pids = [start(desk, work) for _ in range(3)]
    gate.open()
    assert [wait(pid) for pid in pids] == [0, 0, 0]
    assert desk.states() == {"queued": PEOPLE - 1, "uncertain": 1}
    assert desk.runs()[0]["state"] == "lost"
    assert desk.count(Message, Message.lost_runs > 1) == 0, "one death counts once"


@pytest.fixture
def shut(desk: Desk) -> Iterator[Callable[[bool], None]]:
    """Shuts the database for everybody, and opens it again; both at once, as a server's restart would."""
    url = desk.dispatch.database.engine.url
    server = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")

    def work(closed: bool) -> None:
        with server.connect() as connection:
            word = "false" if closed else "true"
            connection.execute(text(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS {word}'))
            if closed:
                cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                connection.execute(text(cut), {"name": url.database})

    yield work
    work(False)
    server.dispose()


@ON_POSTGRESQL
def test_a_database_away_after_the_acceptance_costs_nothing_and_no_window_opens_meanwhile(
    desk: Desk, shut: Callable[[bool], None]
) -> None:
    """Row 26."""
    opened: list[int] = []

    def close(_: object) -> None:
        if len(desk.channel.handed) == 5:
            shut(True)
            threading.Timer(1.0, shut, [False]).start()

    desk.channel.before = close
    desk.mailing(PEOPLE)
    with contextlib.suppress(DBAPIError):  # its last word may be lost, and its journal stays
        desk.pump()
    opened.append(len(desk.channel.handed))
    desk.settle()
    all_sent_once(desk)


@ON_POSTGRESQL
def test_killed_while_the_database_is_away_the_journal_knows_what_was_taken(
    desk: Desk, shut: Callable[[bool], None], tmp_path: Path
) -> None:
    """Row 27."""
    desk.channel.ledger = tmp_path / "ledger"

    def close(_: object) -> None:
        if len(desk.channel.handed) == 5:
            shut(True)
        if len(desk.channel.handed) == 20:
            os.kill(os.getpid(), signal.SIGKILL)

    desk.channel.before = close
    desk.mailing(PEOPLE)
    assert in_child(desk, desk.pump) == -signal.SIGKILL
    shut(False)
    tend(desk.dispatch)
    assert desk.states() == {"sent": 20, "uncertain": 1, "queued": PEOPLE - 21}
    desk.channel.before = None
    desk.settle()
    handed = [line.split()[0] for line in desk.channel.ledger.read_text().splitlines()]
    assert len(handed) == len(set(handed)) == PEOPLE - 1


LOST = {
    "sqlite": sqlite3.OperationalError("disk I/O error"),
    "postgresql": psycopg.OperationalError("server closed the connection unexpectedly"),
}


@ON_BOTH
def test_a_commit_whose_answer_is_lost_doubles_and_loses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 28, at each commit of a run in turn."""
    dialect = desk.dispatch.database.engine.dialect
    commit, passed = dialect.do_commit, [0]
    for number in range(1, 11):

        def commit_and_lose(connection: Any, number: int = number) -> None:
            commit(connection)
            passed[0] += 1
            if passed[0] == number:
                raise LOST[dialect.name]

        people = [f"n{number}p{each}@example.org" for each in range(3)]
        desk.mailing(people)
        passed[0] = 0
        with monkeypatch.context() as patch:
            patch.setattr(dialect, "do_commit", commit_and_lose)
            with contextlib.suppress(DBAPIError):
                desk.pump()
        # A run nobody knows of has nothing, and its lease runs out.
        desk.change(Run, Run.state == "live", live_until=db_now(-1.0))
        desk.settle()
        assert passed[0] >= number or number > 5
    all_sent_once(desk, 30)


@ON_SQLITE
def test_a_second_writer_holds_sending_up_and_spoils_nothing(desk: Desk, database_url: str) -> None:
    """Row 29."""
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)

    def hold(_: object) -> None:
        if len(desk.channel.handed) in (3, 60):
            other.execute("BEGIN IMMEDIATE")
            time.sleep(0.2)
            other.execute("COMMIT")

    desk.channel.before = hold
    desk.mailing(PEOPLE)
    desk.pump()
    desk.settle()
    all_sent_once(desk)
    other.close()


@ON_POSTGRESQL
def test_a_deadlock_is_answered_by_the_whole_transaction_again(desk: Desk) -> None:
    """Row 29."""
    desk.mailing(2)
    first, second = (desk.message(f"p{n}@example.org")["id"] for n in range(2))
    both, tries = threading.Barrier(2, timeout=30), [0]

    def crosswise(one: int, other: int) -> Callable[[Any], None]:
        def work(connection: Any) -> None:
            tries[0] += 1
            bump = {"tries": Message.tries + 1}
            connection.execute(update(Message).where(Message.id == one).values(**bump))
            if tries[0] <= 2:
                both.wait()
            connection.execute(update(Message).where(Message.id == other).values(**bump))

        return work

    database = desk.dispatch.database
    other = threading.Thread(target=database.run, args=[crosswise(second, first)])
    other.start()
    database.run(crosswise(first, second))
    other.join()
    assert tries[0] == 3, "one of them was the victim, and began again"
    assert desk.count(Message, Message.tries == 2) == 2


@ON_SQLITE
def test_a_full_disk_under_the_database_hands_nothing_over_unwritten(desk: Desk) -> None:
    """Row 30: SQLite refuses whatever needs another page, as on a full disk."""
    engine, limit = desk.dispatch.database.engine, [0]

    @event.listens_for(engine, "checkout")
    def limit_pages(connection: Any, *_: object) -> None:
        most = limit[0] or 1_073_741_823
        connection.execute(f"PRAGMA max_page_count = {most}")

    desk.mailing(400, body="Guten Tag {{ name }}")
    with engine.connect() as connection:
        limit[0] = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    seen: list[int] = []

    def free() -> None:
        seen.append(len(desk.channel.handed))
        limit[0] = 0

    timer = threading.Timer(2.0, free)
    timer.start()
    with contextlib.suppress(DBAPIError):
        desk.pump()
    timer.join()
    assert seen[0] < 400, "it was full"
    desk.change(Run, Run.state == "live", live_until=db_now(-1.0))
    desk.settle()
    all_sent_once(desk, 400)


@ON_BOTH
def test_a_spool_that_fills_up_stops_sending_and_leaves_no_doubt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 31."""
    written: list[bytes] = []

    def write(fd: int, data: bytes) -> int:
        written.append(data)
        if len(written) > 41:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(fd, data)

    desk.mailing(PEOPLE)
    names = {name: getattr(os, name) for name in dir(os) if not name.startswith("_")}
    with monkeypatch.context() as patch:
        patch.setattr(journal, "os", SimpleNamespace(**{**names, "write": write}))
        with pytest.raises(OSError):
            desk.pump()
    handed = len(desk.channel.handed)
    assert 0 < handed < PEOPLE
    tend(desk.dispatch)
    assert desk.states() == {"sent": handed, "queued": PEOPLE - handed}
    desk.settle()
    all_sent_once(desk)


@pytest.mark.parametrize("days", [1, -1])
@ON_SQLITE
def test_a_clock_that_jumps_sends_nothing_early_and_loses_no_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """Row 34: the process's own clock is asked by nobody; see also the guard beside the other guards."""
    real = time.time

    def jump(_: object) -> None:
        if len(desk.channel.handed) == 5:
            monkeypatch.setattr(time, "time", lambda: real() + days * 86_400)

    desk.channel.before = jump
    desk.mailing(PEOPLE)
    desk.mailing(["later@example.org"])
    desk.change(Message, Message.address == "later@example.org", due_at=db_now(60.0))
    desk.pump()
    tend(desk.dispatch)
    assert desk.states() == {"sent": PEOPLE, "queued": 1}
    assert {run["state"] for run in desk.runs()} == {"ended"}


@ON_SQLITE
def test_a_slow_gateway_is_not_a_broken_one(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 43: longer than a lease, which goes on all the while."""
    from tests.engine.dispatching import open_desk

    desk = open_desk(database_url, tmp_path, LEASE_SECONDS="2")
    desk.channel.before = lambda _: time.sleep(3.0 if not desk.channel.handed else 0.0)
    desk.mailing(3)
    desk.pump()
    all_sent_once(desk, 3)
    account = desk.account()
    assert (account["state"], account["failures"]) == ("ready", 0)
    assert [run["state"] for run in desk.runs()] == ["ended"]
    desk.dispatch.database.dispose()


@ON_SQLITE
def test_a_text_that_needs_too_much_memory_stops_itself_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 56: the process may have only so much."""
    render = Template.render

    def greedy(self: Template, values: dict[str, str], **more: object) -> str:
        if values["name"] == "P2":
            bytearray(8 << 30)
        return render(self, values, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Template, "render", greedy)
    desk.mailing(5)

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
        desk.pump()

    assert in_child(desk, work) == 0
    assert desk.states() == {"sent": 4, "skipped": 1}
    assert desk.message("p2@example.org")["code"] == "harmful"


# -- Redis ----------------------------------------------------------------------------------------


@pytest.fixture
def rung(desk: Desk, redis_server: Redis, redis_url: str) -> Iterator[redis.Redis]:
    """A desk whose bell hangs in a real Redis; whatever was done to it is undone."""
    settings = desk.dispatch.settings
    desk.dispatch.doorbell = Doorbell(
        url=redis_url, data_dir=settings.data_dir, prefix=settings.queue_prefix
    )
    with redis.Redis.from_url(redis_url) as client:
        yield client
        redis_server.running.process.send_signal(signal.SIGCONT)
        client.config_set("maxmemory", "0")


def soon(ring: Callable[[], bool]) -> bool:
    """What it says, within the second a page may wait."""
    began = time.monotonic()
    said = ring()
    assert time.monotonic() - began < 3.0, (
        "a page waits a second at most; a busy machine a little longer"
    )
    return said


@ON_SQLITE
def test_whatever_happens_to_redis_nobody_waits_and_the_tender_rings_again(
    desk: Desk, rung: redis.Redis, redis_server: Redis
) -> None:
    """Rows 19 to 24."""
    desk.mailing(3)
    bell = desk.dispatch.doorbell
    assert soon(bell.ring)
    rung.flushall()
    assert ring_for_work(desk.dispatch)
    assert rung.llen("rq:queue:clinic-dispatch-pump") == 1, "emptied, and rung again"
    rung.config_set("maxmemory", "1")
    assert not soon(bell.ring), "full"
    assert ring_for_work(desk.dispatch), "and the tender goes on"
    rung.config_set("maxmemory", "0")
    redis_server.running.process.send_signal(signal.SIGSTOP)
    assert not soon(bell.ring), "frozen"
    redis_server.running.process.send_signal(signal.SIGCONT)
    assert desk.states() == {"queued": 3}
    for _ in range(10):  # the same ring ten times
        desk.pump()
    all_sent_once(desk, 3)


@ON_SQLITE
def test_a_redis_that_is_not_there_costs_no_message_and_no_time(desk: Desk, free_port: int) -> None:
    """Row 19."""
    settings = desk.dispatch.settings
    bell = Doorbell(
        url=f"redis://127.0.0.1:{free_port}/0", data_dir=settings.data_dir, prefix="clinic-dispatch"
    )
    desk.mailing(1)
    assert not soon(bell.ring)
    assert not soon(bell.answers)
    assert desk.states() == {"queued": 1}
