"""Transactions of our own on the host's engine, repeated where the database asks for it."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.pool import NullPool, QueuePool

from clinic_dispatch_plugin.database.base import db_now

log = logging.getLogger(__name__)
T = TypeVar("T")

TRIES = 5
#: Serialisation failure and deadlock (PostgreSQL), record changed and deadlock (MariaDB).
_REPEATABLE = {"40001", "40P01", "1020", "1205", "1213"}
#: Seconds a second writer of SQLite waits for the first.
SQLITE_BUSY_SECONDS = 15
#: Seconds after which a server ends a transaction of ours in which nothing happens: its process is frozen or cut off,
#: and others wait for its rows. Ours last milliseconds, and wait for nobody but the database.
IDLE_SECONDS = 30
#: Seconds of idleness after which a connection is asked whether it still lives before it is used.
RESTED_SECONDS = 0.1
_USED_AT = "dispatch_used_at"


class HostDatabase(Protocol):
    """The part of Flask-SQLAlchemy's ``SQLAlchemy`` that we use."""

    @property
    def engine(self) -> Engine:
        """The host's engine; needs an application context."""


class Database:
    """Where our tables are: the host's engine, or one of our own. Nothing is opened before the first use."""

    def __init__(self, app: Flask, *, host: HostDatabase | None, url: str | None) -> None:
        self._app = app
        self._host = host
        self._url = url
        self._engine: Engine | None = None
        self._hosts: Engine | None = None
        self._lock = threading.Lock()
        #: Called before each transaction, on no connection: a look at what may have changed elsewhere.
        self.before: Callable[[], object] | None = None

    @property
    def engine(self) -> Engine:
        """The engine all our statements run on."""
        with self._lock:
            if self._engine is None:
                self._engine = self._make()
            return self._engine

    def _make(self) -> Engine:
        if self._url is not None or self._host is None:
            engine = create_engine(self._url or "sqlite://", hide_parameters=True)
            _ask_after_a_rest(engine)
            own = True
            if engine.dialect.name == "sqlite":
                _make_private(engine.url.database)
        else:
            with self._app.app_context():
                self._hosts = self._host.engine
            engine = _apart(self._hosts)
            own = False
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _sqlite_wal if own else _sqlite_patience)
        elif engine is not self._hosts and engine.dialect.name in _MANNERS:
            event.listen(engine, "connect", _MANNERS[engine.dialect.name])
        return engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction on a connection of its own, committed at the end."""
        if self.before is not None:
            self.before()
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """A connection for questions that need no transaction around them: each is answered as things are then.

        On PostgreSQL that saves two of three round trips.
        """
        if self.engine.dialect.name != "postgresql":
            with self.begin() as connection:
                yield connection
            return
        if self.before is not None:
            self.before()
        with self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def run(self, work: Callable[[Connection], T]) -> T:
        """``work`` in one transaction, the whole of it again (5 times, with jitter) when the database says so."""
        for number in range(1, TRIES + 1):
            try:
                with self.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if number == TRIES or not is_repeatable(error):
                    raise
                log.info("transaction repeated: %s", type(error.orig).__name__)
                time.sleep(random.uniform(0, 0.05 * 2**number))
        raise AssertionError("unreachable")

    def dispose(self) -> None:
        """Close every pooled connection, the host's too; a forked process must not share its parent's."""
        for engine in (self._engine, self._hosts):
            if engine is not None:
                engine.dispose()


def _apart(engine: Engine) -> Engine:
    """The host's engine with a pool of our own beside the host's.

    A page holds one of the host's connections while it asks for one of ours: out of one pool, as many requests as it
    has connections would wait for each other for ever.
    """
    if not isinstance(engine.pool, (QueuePool, NullPool)):
        return engine  # a database in memory is its one connection
    return Engine(engine.pool.recreate(), engine.dialect, engine.url, hide_parameters=True)


def _ask_after_a_rest(engine: Engine) -> None:
    """A connection that was idle is asked whether it lives; one that worked just now need not be."""

    def came_back(_: Any, record: Any) -> None:
        record.info[_USED_AT] = time.monotonic()

    def goes_out(connection: Any, record: Any, _: Any) -> None:
        if time.monotonic() - record.info.get(_USED_AT, 0.0) < RESTED_SECONDS:
            return
        try:
            lives = engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error
        if not lives:
            raise DisconnectionError

    event.listen(engine, "checkin", came_back)
    event.listen(engine, "checkout", goes_out)


def _make_private(file: str | None) -> None:
    """A database of our own holds names and addresses: nobody else of this machine reads it."""
    if file and file != ":memory:":
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def is_repeatable(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed when run again from its start."""
    original: Any = error.orig
    state = getattr(original, "sqlstate", None) or str(
        (getattr(original, "args", None) or ("",))[0]
    )
    busy = isinstance(error, OperationalError) and "database is locked" in str(original)
    return busy or state in _REPEATABLE


def now(connection: Connection) -> datetime:
    """The database's clock, UTC."""
    return connection.execute(select(db_now())).scalar_one()


def _sqlite_patience(connection: Any, _: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_SECONDS * 1000}")


def _sqlite_wal(connection: Any, _: Any) -> None:
    _sqlite_patience(connection, _)
    connection.execute("PRAGMA journal_mode = WAL")
    # A commit that a power cut could take back would let a message go out twice.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _postgresql_manners(connection: Any, _: Any) -> None:
    _say(connection, f"SET SESSION idle_in_transaction_session_timeout = {IDLE_SECONDS * 1000}")


def _mariadb_manners(connection: Any, _: Any) -> None:
    # Its default locks gaps: concurrent claims then end in deadlocks.
    _say(connection, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    # MySQL has no such limit and reads the comment as one.
    _say(connection, f"SET @none = 0 /*M! , SESSION idle_transaction_timeout = {IDLE_SECONDS} */")


def _say(connection: Any, words: str) -> None:
    cursor = connection.cursor()
    cursor.execute(words)
    cursor.close()
    connection.commit()


#: What a connection is told once, when it is made.
_MANNERS = {
    "postgresql": _postgresql_manners,
    "mysql": _mariadb_manners,
    "mariadb": _mariadb_manners,
}
