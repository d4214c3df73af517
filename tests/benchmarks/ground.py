"""The servers a benchmark stands on, as a clinic has them: a PostgreSQL with its own defaults, Redis, a relay."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import make_url

from tests.benchmarks.clinic import ROOT, Clinic
from tests.servers import postgresql, redis, smtp_sink
from tests.servers.found import Found, Missing
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import answers, free_port, private_folder, start

#: Commits reach the disk, as the server is delivered.
AS_DELIVERED = ("max_connections=200",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What runs, until the end of the benchmark."""

    postgresql: PostgreSQL
    redis_url: str
    folder: Path
    stack: ExitStack

    def sink(self) -> int:
        """The port of a fresh ``smtp-sink``."""
        found = smtp_sink.find()
        assert isinstance(found, Found)
        return self.stack.enter_context(smtp_sink.running(found, keep=False)).port

    def relay(self, *options: str) -> int:
        """The port of a relay of our own, as slow and unwilling as it is told to be."""
        return self.stack.enter_context(our_relay(*options))

    def database(self) -> str:
        """The URL of a fresh database."""
        return self.stack.enter_context(self.postgresql.fresh_database())

    def clinic(self, port: int, *, sqlite: bool = False, options: str = "") -> Clinic:
        """A clinic on PostgreSQL and Redis, or on SQLite and the embedded queue, sending to a port."""
        folder = Path(self.stack.enter_context(TemporaryDirectory(prefix="cd-clinic-")))
        clinic = Clinic(
            database=f"sqlite:///{folder}/clinic.sqlite" if sqlite else self.database(),
            redis=None if sqlite else self.redis_url,
            relay=f"smtp://127.0.0.1:{port}{options}",
            folder=folder,
        )
        self.stack.callback(clinic.close)
        return clinic


def lacking() -> str:
    """What the benchmarks need and this machine lacks; empty where it has all."""
    parts = [postgresql.find(), redis.find(), smtp_sink.find()]
    return ", ".join(str(part) for part in parts if isinstance(part, Missing))


@contextmanager
def standing() -> Iterator[Ground]:
    """Start the servers, and stop them afterwards."""
    databases, queues = postgresql.find(), redis.find()
    assert isinstance(databases, Found) and isinstance(queues, Found)
    with ExitStack() as stack:
        yield Ground(
            postgresql=stack.enter_context(postgresql.running(databases, settings=AS_DELIVERED)),
            redis_url=stack.enter_context(redis.running(queues)).url,
            folder=Path(stack.enter_context(TemporaryDirectory())),
            stack=stack,
        )


@contextmanager
def our_relay(*options: str) -> Iterator[int]:
    """Start the relay beside this file; gives its port."""
    port = free_port()
    with private_folder("relay") as folder:
        script = str(ROOT / "tests" / "benchmarks" / "relay.py")
        server = start([sys.executable, script, str(port), *options], folder=folder)
        try:
            server.wait_until(lambda: answers(port))
            yield port
        finally:
            server.stop()


def libpq_words(url: str) -> str:
    """A database's URL as libpq takes it."""
    parts = make_url(url)
    return f"host={parts.query['host']} user={parts.username} dbname={parts.database}"


def smtp_source(port: int, many: int, *, sessions: int = 10) -> float:
    """Messages a second by Postfix's own source, connections kept."""
    command = ["smtp-source", "-d", "-s", str(sessions), "-m", str(many), "-l", "2048"]
    command += ["-f", "a@example.org", "-t", "b@example.org", f"inet:127.0.0.1:{port}"]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    start_at = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "PATH": path}, stderr=subprocess.DEVNULL)
    return many / (time.perf_counter() - start_at)
