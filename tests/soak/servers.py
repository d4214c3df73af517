"""Servers that can be killed and come back: a database that keeps what it committed, a Redis that keeps nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import NullPool, create_engine, text

from tests.servers import mariadb, postgresql
from tests.servers import redis as valkey
from tests.servers.found import Found
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import Running, free_port, private_folder, start, unprivileged
from tests.servers.redis import Redis

#: Seconds until a server that was killed answers again, at most.
PATIENCE = 60.0
#: A killed server must keep what it said was committed; only the machine itself stays up.
_POSTGRESQL = ("fsync=off", "synchronous_commit=on", "full_page_writes=off", "max_connections=200")
_MARIADB = (
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--innodb-buffer-pool-size=128M",
    "--skip-log-bin",
    "--skip-performance-schema",
    "--max-connections=200",
)


@dataclass(slots=True)
class Server:
    """A server that is started again with the same words."""

    begin: Callable[[], Running]
    #: Whether the server that was started last takes connections.
    is_up: Callable[[Running], bool]
    running: Running = field(init=False)

    def __post_init__(self) -> None:
        self.running = self.begin()
        self.running.wait_until(self.answers)

    def answers(self) -> bool:
        """Whether it takes connections."""
        return self.is_up(self.running)

    def kill(self) -> None:
        """As a power switch does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.running.process.pid, signal.SIGKILL)
        self.running.process.wait()

    def again(self) -> None:
        """Start it anew; it may need a moment to find that nobody of before is left."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.running = self.begin()
            while self.running.process.poll() is None:
                if self.answers():
                    return
                time.sleep(0.05)
            assert time.monotonic() < deadline, self.running.tail()
            time.sleep(0.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where the clinic's tables are; ``server`` is None for a file."""

    kind: str
    url: str
    server: Server | None = None

    def say(self, words: str) -> list[tuple[object, ...]]:
        """One statement on a connection of its own."""
        engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            done = connection.execute(text(words))
            return [tuple(row) for row in done] if done.returns_rows else []

    def cut_connections(self) -> int:
        """End every connection of the clinic's; returns how many."""
        if self.kind == "postgresql":
            rows = self.say(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return len(rows)
        if self.kind == "mariadb":
            ids = self._threads()
            for number in ids:
                with contextlib.suppress(Exception):  # it may have left by itself
                    self.say(f"KILL {number}")
            return len(ids)
        return 0

    def open_connections(self) -> int:
        """How many the clinic still holds."""
        if self.kind == "postgresql":
            [(number,)] = self.say(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return int(str(number))
        return len(self._threads()) if self.kind == "mariadb" else 0

    def _threads(self) -> list[int]:
        words = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        return [int(str(row[0])) for row in self.say(words)]


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[Database]:
    """A new, empty database of this kind."""
    if kind == "sqlite":
        yield Database(kind=kind, url=f"sqlite:///{folder / 'clinic.sqlite'}")
        return
    making = {"postgresql": _postgresql, "mariadb": _mariadb}[kind]
    with making() as found:
        yield found


@contextlib.contextmanager
def _postgresql() -> Iterator[Database]:
    found = _needed(postgresql.find())
    user = unprivileged("postgres")
    with private_folder("pg", owner=user) as folder:
        postgresql._make_cluster(found, data=folder / "data", user=user)
        settings = [part for setting in _POSTGRESQL for part in ("-c", setting)]
        where = ["-D", str(folder / "data"), "-k", str(folder), "-c", "listen_addresses="]
        command = [found.program("postgres"), *where, *settings]

        def begin() -> Running:
            return start(command, folder=folder, user=user, stop_with=signal.SIGINT)

        server = Server(begin, lambda it: PostgreSQL(running=it, socket_folder=folder).answers())
        try:
            cluster = PostgreSQL(running=server.running, socket_folder=folder)
            cluster._run("CREATE DATABASE soak")
            yield Database(kind="postgresql", url=cluster.url("soak"), server=server)
        finally:
            server.running.stop()


@contextlib.contextmanager
def _mariadb() -> Iterator[Database]:
    found = _needed(mariadb.find())
    user = unprivileged("mysql")
    with private_folder("my", owner=user) as folder:
        mariadb._make_data(found, data=folder / "data", user=user)
        socket_file = folder / "socket"
        where = [f"--datadir={folder / 'data'}", f"--socket={socket_file}", f"--tmpdir={folder}"]
        more = ["--skip-networking", f"--pid-file={folder / 'pid'}", *_MARIADB]
        command = [found.program("mariadbd"), "--no-defaults", *where, *more]

        def begin() -> Running:
            return start(command, folder=folder, user=user)

        server = Server(begin, lambda it: MariaDB(running=it, socket_file=socket_file).answers())
        try:
            there = MariaDB(running=server.running, socket_file=socket_file)
            there._run("CREATE DATABASE soak CHARACTER SET utf8mb4")
            yield Database(kind="mariadb", url=there.url("soak"), server=server)
        finally:
            server.running.stop()


@contextlib.contextmanager
def redis() -> Iterator[tuple[Server, str]]:
    """A Redis on a port of its own, and its URL."""
    found = _needed(valkey.find())
    port = free_port()
    with private_folder("redis") as folder:
        where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
        command = [found.program("valkey-server"), *where, "--save", "", "--appendonly", "no"]

        def begin() -> Running:
            return start(command, folder=folder)

        server = Server(begin, lambda it: Redis(running=it, port=port).answers())
        try:
            yield server, f"redis://127.0.0.1:{port}/0"
        finally:
            server.running.stop()


def _needed(answer: object) -> Found:
    if isinstance(answer, Found):
        return answer
    raise SystemExit(f"The long run needs {answer}.")
