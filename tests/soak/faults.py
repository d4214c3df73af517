"""Everything that breaks, drawn by a seed, each with a line in the log of faults."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from clinic_dispatch_plugin.error_reference.editing import change_entry
from clinic_dispatch_plugin.error_reference.tables import Entry
from clinic_dispatch_plugin.mailings.problems import NotYours
from clinic_dispatch_plugin.mailings.service import cancel, pause, resume
from clinic_dispatch_plugin.messages.again import resend
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.service import (
    Settlement,
    check_account_again,
    settle_uncertain,
)
from clinic_dispatch_plugin.messages.tables import Message
from clinic_dispatch_plugin.registry import Dispatch
from tests.soak.callbacks import Reports
from tests.soak.clinic import RECEPTION
from tests.soak.crew import Crew, Post
from tests.soak.load import Load
from tests.soak.servers import Database, Server
from tests.soak.wires import Wires

#: Seconds a worker stands still: longer than its lease.
FROZEN = 6.0
#: Seconds between two deaths of a server, so that there is some work between.
SERVER_PAUSE = 20.0
CHANNELS = ("email", "email", "email", "sms", "viber")


@dataclass(slots=True)
class Log:
    """What was done to whom and when; on the disk at once."""

    path: Path
    lines: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, kind: str, **facts: Any) -> None:
        """One more; ``seconds``: how long it lasts."""
        line = {"at": datetime.now(UTC).isoformat(), "kind": kind, **facts}
        with self._lock, self.path.open("a") as file:
            self.lines.append(line)
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def counts(self) -> Counter[str]:
        """How often each kind."""
        return Counter(line["kind"] for line in self.lines)


@dataclass(slots=True, kw_only=True)
class Breaker:
    """Breaks one thing after the other."""

    app: Flask
    dispatch: Dispatch
    crew: Crew
    database: Database
    redis_server: Server
    redis_url: str
    wires: Wires
    reports: Reports
    load: Load
    log: Log
    dice: random.Random
    #: What is mended later: monotonic time and what to do.
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    #: Paused by us.
    paused: set[int] = field(default_factory=set)
    _server_free_at: float = 0.0
    _redis_free_at: float = 0.0

    def table(self) -> list[tuple[Callable[[], None], int]]:
        """Every fault with its weight."""
        found: list[tuple[Callable[[], None], int]] = [
            (self.kill_horse, 34),
            (self.kill_child, 10),
            (self.kill_worker, 10),
            (self.kill_supervisor, 5),
            (self.sigterm, 3),
            (self.freeze_horse, 3),
            (self.flush_redis, 3),
            (self.restart_redis, 2),
            (self.freeze_redis, 1),
            (self.fill_redis, 1),
            (self.cut_wire, 6),
            (self.stall_wire, 3),
            (self.rubbish_on_wire, 2),
            (self.swallow_wire, 2),
            (self.pause, 4),
            (self.resume, 4),
            (self.cancel, 1),
            (self.resend, 3),
            (self.settle, 2),
            (self.edit_reference, 2),
            (self.storm, 2),
        ]
        if self.database.server is not None:
            found += [(self.freeze_worker, 3), (self.cut_connections, 6), (self.restart_server, 1)]
        return found

    def one(self) -> None:
        """Draw a fault and let it happen."""
        works, weights = zip(*self.table(), strict=True)
        [work] = self.dice.choices(works, weights)
        self._safely(work)

    def mend(self, *, everything: bool = False) -> None:
        """What has lasted long enough ends."""
        now = time.monotonic()
        due = [each for each in self.later if everything or each[0] <= now]
        self.later = [each for each in self.later if each not in due]
        for _, work in due:
            self._safely(work)

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            with self.app.test_request_context():
                work()
        except (DBAPIError, redis.RedisError, OSError, NotYours) as error:
            self.log.write("not possible", what=work.__name__, why=type(error).__name__)

    # -- processes --------------------------------------------------------------------------------

    def _somebody(self) -> Post | None:
        several = self.crew.workers()
        return self.dice.choice(several) if several else None

    def _kill(self, role: str, kind: str) -> None:
        if (post := self._somebody()) is None:
            return
        members = self.crew.family(post)[role]
        if members:
            pid = self.dice.choice(members)
            self.log.write(kind, worker=post.name, pids=[pid])
            _signal([pid], signal.SIGKILL)

    def kill_horse(self) -> None:
        self._kill("horse", "SIGKILL work-horse")

    def kill_child(self) -> None:
        self._kill("child", "SIGKILL tender or queue worker")

    def kill_supervisor(self) -> None:
        self._kill("supervisor", "SIGKILL supervisor")

    def kill_worker(self) -> None:
        if (post := self._somebody()) is not None:
            pids = [pid for members in self.crew.family(post).values() for pid in members]
            self.log.write("SIGKILL whole worker", worker=post.name, pids=sorted(set(pids)))
            _signal(pids, signal.SIGKILL)

    def sigterm(self) -> None:
        if (post := self._somebody()) is not None and post.process is not None:
            self.log.write("SIGTERM", worker=post.name, pids=[post.process.pid])
            _signal([post.process.pid], signal.SIGTERM)

    def freeze_worker(self) -> None:
        if (post := self._somebody()) is not None:
            members = {pid for several in self.crew.family(post).values() for pid in several}
            self._freeze("SIGSTOP whole worker", post, sorted(members))

    def freeze_horse(self) -> None:
        if (post := self._somebody()) is not None:
            self._freeze("SIGSTOP work-horse", post, self.crew.family(post)["horse"])

    def _freeze(self, kind: str, post: Post, pids: list[int]) -> None:
        if not pids:
            return
        self.log.write(kind, worker=post.name, pids=pids, seconds=FROZEN)
        _signal(pids, signal.SIGSTOP)
        self._then(FROZEN, lambda: _signal(pids, signal.SIGCONT))

    def _then(self, seconds: float, work: Callable[[], None]) -> None:
        self.later.append((time.monotonic() + seconds, work))

    # -- servers ----------------------------------------------------------------------------------

    def flush_redis(self) -> None:
        with self._redis() as client:
            self.log.write("FLUSHALL")
            client.flushall()

    def restart_redis(self) -> None:
        if self._redis_is_busy(3.0):
            return
        seconds = self.dice.uniform(0.2, 3.0)
        self.log.write("Redis killed", seconds=seconds)
        self.redis_server.kill()
        self._then(seconds, self.redis_server.again)

    def freeze_redis(self) -> None:
        if self._redis_is_busy(6.0):
            return
        pid = self.redis_server.running.process.pid
        self.log.write("Redis frozen", seconds=5.0)
        _signal([pid], signal.SIGSTOP)
        self._then(5.0, lambda: _signal([pid], signal.SIGCONT))

    def fill_redis(self) -> None:
        if self._redis_is_busy(4.0):
            return
        with self._redis() as client:
            self.log.write("Redis full", seconds=3.0)
            client.config_set("maxmemory", "1mb")

        def room() -> None:
            with self._redis() as client:
                client.config_set("maxmemory", "0")

        self._then(3.0, room)

    def _redis_is_busy(self, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._redis_free_at:
            return True
        self._redis_free_at = now + seconds + 1.0
        return False

    @contextlib.contextmanager
    def _redis(self) -> Iterator[redis.Redis]:
        with redis.Redis.from_url(
            self.redis_url, socket_timeout=1.0, socket_connect_timeout=1.0
        ) as it:
            yield it

    def cut_connections(self) -> None:
        self.log.write("database connections cut", number=self.database.cut_connections())

    def restart_server(self) -> None:
        server, now = self.database.server, time.monotonic()
        if server is None or now < self._server_free_at:
            return
        self._server_free_at = now + SERVER_PAUSE
        self.log.write("database killed", seconds=2.0)
        server.kill()
        self._then(self.dice.uniform(0.1, 2.0), server.again)

    # -- wires ------------------------------------------------------------------------------------

    def cut_wire(self) -> None:
        channel = self.dice.choice(CHANNELS)
        self.log.write("wire cut", channel=channel)
        self.wires.cut(channel)

    def stall_wire(self) -> None:
        channel, seconds = self.dice.choice(CHANNELS), self.dice.uniform(0.5, 6.0)
        self.log.write("wire stalled", channel=channel, seconds=seconds)
        self.wires.stall(channel, seconds)

    def rubbish_on_wire(self) -> None:
        channel = self.dice.choice(CHANNELS)
        self.log.write("rubbish on the wire", channel=channel)
        self.wires.rubbish(channel)

    def swallow_wire(self) -> None:
        channel, seconds = self.dice.choice(CHANNELS), self.dice.uniform(1.0, 8.0)
        self.log.write("wire half open", channel=channel, seconds=seconds)
        self.wires.swallow(channel, seconds)

    # -- people -----------------------------------------------------------------------------------

    def pause(self) -> None:
        if (mailing := self.load.accepted.some(self.dice)) is not None:
            self.log.write("pause", mailing=mailing, done=pause(self.dispatch, mailing, RECEPTION))
            self.paused.add(mailing)

    def resume(self) -> None:
        if self.paused:
            mailing = self.paused.pop()
            try:
                done = resume(self.dispatch, mailing, RECEPTION)
            except DBAPIError:
                self.paused.add(mailing)
                raise
            self.log.write("resume", mailing=mailing, done=done)

    def cancel(self) -> None:
        if (mailing := self.load.accepted.some(self.dice)) is not None:
            self.log.write(
                "cancel", mailing=mailing, done=cancel(self.dispatch, mailing, RECEPTION)
            )

    def resend(self) -> None:
        ids = self._some("undelivered")
        outcome = resend(self.dispatch, RECEPTION, Chosen(ids=ids))
        self.log.write("resend", asked=len(ids), done=outcome.done)

    def settle(self) -> None:
        ids = self._some("uncertain")
        outcome = settle_uncertain(
            self.dispatch,
            RECEPTION,
            Chosen(ids=ids),
            Settlement.SEND_AGAIN,
            may_arrive_twice=True,
        )
        self.log.write("send the uncertain again", asked=len(ids), done=outcome.done)

    def _some(self, state: str) -> tuple[int, ...]:
        query = select(Message.id).where(Message.state == state).order_by(Message.id.desc())
        with self.dispatch.database.begin() as connection:
            found = list(connection.scalars(query.limit(40)))
        return tuple(self.dice.sample(found, min(5, len(found))))

    def edit_reference(self) -> None:
        wanted = select(Entry.id).where(Entry.system == "smtp", Entry.retired_at.is_(None))
        with self.dispatch.database.begin() as connection:
            entry_id = self.dice.choice(list(connection.scalars(wanted.order_by(Entry.id))))
        content = {"short.de": f"Fassung {self.dice.randint(1, 1_000)}"}
        change_entry(self.dispatch, entry_id, content=content, by=RECEPTION.name)
        self.log.write("reference edited", entry=entry_id)

    def storm(self) -> None:
        self.log.write("callback storm", calls=self.reports.storm())

    # -- afterwards -------------------------------------------------------------------------------

    def put_right(self) -> None:
        """What a person does when the troubles are over: paused mailings go on, stopped accounts are checked."""
        self.mend(everything=True)
        if not self.redis_server.answers():
            self._safely(self.redis_server.kill)
            self.redis_server.again()
        with self._redis() as client:
            client.config_set("maxmemory", "0")

    def unblock(self) -> None:
        """Resume what is paused, check what is stopped; called again and again while things settle."""
        with self.app.test_request_context(), self.dispatch.database.begin() as connection:
            waiting = list(connection.scalars(select(Mailing.id).where(Mailing.state == "paused")))
            from clinic_dispatch_plugin.accounts import service as accounts

            stopped = [
                row["id"] for row in accounts.accounts(connection) if row["state"] == "stopped"
            ]
        with self.app.test_request_context():
            for mailing in waiting:
                resume(self.dispatch, mailing, RECEPTION)
            for account in stopped:
                self.log.write("account checked again", account=account)
                check_account_again(self.dispatch, RECEPTION, account)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
