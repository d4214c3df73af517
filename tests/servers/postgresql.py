"""A real PostgreSQL for the tests: its own cluster in a temporary folder, reached over a private Unix socket."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, text

from tests.servers.beside import engine_at
from tests.servers.found import Found, Missing, look_for
from tests.servers.process import (
    Running,
    command_as,
    may_run_as_another_user,
    private_folder,
    start,
    unprivileged,
)

PART = "PostgreSQL"

#: Nothing here has to survive a power cut.
FAST_AND_UNSAFE = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_wal_size=96MB",  # its files may lie in memory
    "max_connections=200",
)

#: A locale whose ``lower()`` knows umlauts and Cyrillic, as a clinic's server has one.
LOCALE = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"


def find() -> Found | Missing:
    """Look for PostgreSQL 15 first, then for whichever version is there."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    folders = ["/usr/lib/postgresql/15/bin", *map(str, installed)]
    answer = look_for(PART, ["initdb", "postgres"], folders=folders)
    if isinstance(answer, Found) and not may_run_as_another_user():
        return Missing(part=PART, reason="it refuses to run as root and setpriv is not there")
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgreSQL:
    """A running cluster."""

    running: Running
    socket_folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def url(self, database: str) -> str:
        """Return SQLAlchemy's URL of one database."""
        where = {"host": str(self.socket_folder)}
        url = URL.create("postgresql+psycopg", username="postgres", database=database, query=where)
        return url.render_as_string(hide_password=False)

    @contextlib.contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Give the URL of a new, empty database; it is dropped afterwards, whoever is still connected."""
        name = f"clinic_{next(self._numbers)}"
        self._run(f'CREATE DATABASE "{name}"')
        try:
            yield self.url(name)
        finally:
            self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def answers(self) -> bool:
        """Tell whether the server is up and takes connections."""
        try:
            self._run("SELECT 1")
        except Exception:  # the driver's words for "not yet" are many
            return False
        return True

    def _run(self, statement: str) -> None:
        with engine_at(self.url("postgres")).connect() as connection:
            connection.execute(text(statement))


@contextlib.contextmanager
def running(found: Found, *, settings: Sequence[str] = FAST_AND_UNSAFE) -> Iterator[PostgreSQL]:
    """Start a new cluster and stop it afterwards.

    :param settings: of the server; a benchmark names its own, so that commits cost what they cost.
    """
    user = unprivileged("postgres")
    with private_folder("pg", owner=user) as folder:
        data = folder / "data"
        _make_cluster(found, data=data, user=user)
        options = [part for setting in settings for part in ("-c", setting)]
        where = ["-D", str(data), "-k", str(folder), "-c", "listen_addresses="]
        server = start(
            [found.program("postgres"), *where, *options],
            folder=folder,
            user=user,
            stop_with=signal.SIGINT,  # "fast": does not wait for clients to leave
        )
        try:
            cluster = PostgreSQL(running=server, socket_folder=folder)
            server.wait_until(cluster.answers)
            yield cluster
        finally:
            server.stop()


def _make_cluster(found: Found, *, data: Path, user: pwd.struct_passwd | None) -> None:
    command = [
        found.program("initdb"),
        "--pgdata",
        str(data),
        "--username=postgres",
        "--auth=trust",
    ]
    command += ["--encoding=UTF8", f"--locale={LOCALE}", "--no-sync", "--no-instructions"]
    environment = {**os.environ, "LC_ALL": LOCALE}
    subprocess.run(
        command_as(user, command), check=True, cwd=data.parent, capture_output=True, env=environment
    )


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0
