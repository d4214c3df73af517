"""A real MariaDB for the tests: its own data folder, no network, reached over a private Unix socket."""

from __future__ import annotations

import contextlib
import itertools
import pwd
import socket
import subprocess
from collections.abc import Iterator
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

PART = "MariaDB"

#: Nothing here has to survive a power cut.
FAST_AND_UNSAFE = (
    "--innodb-flush-log-at-trx-commit=0",
    "--skip-innodb-doublewrite",
    "--innodb-flush-method=nosync",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=16M",
    "--skip-log-bin",
    "--skip-performance-schema",
    "--max-connections=200",
)


def find() -> Found | Missing:
    """Look for the server and for the program that makes its first data folder."""
    answer = look_for(PART, ["mariadbd", "mariadb-install-db"])
    if isinstance(answer, Found) and not may_run_as_another_user():
        return Missing(part=PART, reason="it refuses to run as root and setpriv is not there")
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class MariaDB:
    """A running server."""

    running: Running
    socket_file: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def url(self, database: str) -> str:
        """Return SQLAlchemy's URL of one database."""
        # A socket of our own needs no TLS; without that word the driver reads every certificate for each connection.
        where = {"unix_socket": str(self.socket_file), "charset": "utf8mb4", "ssl_disabled": "true"}
        url = URL.create(
            "mysql+pymysql", username="root", host="localhost", database=database, query=where
        )
        return url.render_as_string(hide_password=False)

    @contextlib.contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Give the URL of a new, empty database; it is dropped afterwards.

        Whoever is still connected is cut off first: one forgotten transaction would let the drop wait for ever.
        """
        name = f"clinic_{next(self._numbers)}"
        self._run(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        try:
            yield self.url(name)
        finally:
            self._cut_off(name)
            self._run(f"DROP DATABASE IF EXISTS `{name}`")

    def answers(self) -> bool:
        """Tell whether the server listens.

        Asked without the driver, which leaves its socket to the garbage collector when nobody answers.
        """
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket_file)) == 0

    def _cut_off(self, database: str) -> None:
        connected = text("SELECT id FROM information_schema.processlist WHERE db = :name")
        with engine_at(self.url("")).connect() as connection:
            for thread in connection.scalars(connected, {"name": database}).all():
                with contextlib.suppress(Exception):  # it may have left by itself meanwhile
                    connection.execute(text(f"KILL {int(thread)}"))

    def _run(self, statement: str) -> None:
        with engine_at(self.url("")).connect() as connection:
            connection.execute(text(statement))


@contextlib.contextmanager
def running(found: Found) -> Iterator[MariaDB]:
    """Start a new server and stop it afterwards."""
    user = unprivileged("mysql")
    with private_folder("my", owner=user) as folder:
        data = folder / "data"
        socket_file = folder / "socket"
        _make_data(found, data=data, user=user)
        where = [
            f"--datadir={data}",
            f"--socket={socket_file}",
            f"--tmpdir={folder}",
            "--skip-networking",
        ]
        pid_file = f"--pid-file={folder / 'pid'}"
        server = start(
            [found.program("mariadbd"), "--no-defaults", *where, pid_file, *FAST_AND_UNSAFE],
            folder=folder,
            user=user,
        )
        try:
            database = MariaDB(running=server, socket_file=socket_file)
            server.wait_until(database.answers)
            yield database
        finally:
            server.stop()


def _make_data(found: Found, *, data: Path, user: pwd.struct_passwd | None) -> None:
    command = [found.program("mariadb-install-db"), "--no-defaults", f"--datadir={data}"]
    command += ["--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(command_as(user, command), check=True, cwd=data.parent, capture_output=True)
