"""A clinic with nothing but the plugin, its mailings written straight into the tables, and its workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from flask import Flask
from sqlalchemy import Connection, func, insert, select

from clinic_dispatch_plugin.accounts.service import account_id
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.extension import ClinicDispatch
from clinic_dispatch_plugin.host.adapter import OpenToEveryone
from clinic_dispatch_plugin.messages.mailing_tables import Mailing, Revision
from clinic_dispatch_plugin.messages.rules import new_key
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.registry import Dispatch
from tests.benchmarks.peak import watched

ROOT = Path(__file__).resolve().parents[2]
FROM = "Klinik am Park <praxis@clinic.example>"
SUBJECT = "Ihr Termin, {{ name }}"
#: Together about 2 KB.
TEXT = "Guten Tag {{ name }},\n\n" + "wir erwarten Sie zu Ihrem Termin.\n" * 24
HTML = "<p>Guten Tag {{ name }},</p>" + "<p>wir erwarten Sie zu Ihrem Termin.</p>\n" * 18
ROWS_AT_ONCE = 2_000


def create_app() -> Flask:
    """The clinic as its environment says."""
    app = Flask("benchmark")
    app.config.update(SECRET_KEY="benchmark", CLINIC_DISPATCH_QUIET_HOURS="none")
    ClinicDispatch().init_app(app, host=OpenToEveryone())
    return app


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a mailing took."""

    #: From the first attempt opened to the last one closed, by the database's clock.
    seconds: float
    #: Processor time of the worker and all its processes, their start included.
    cpu_seconds: float
    #: Of the largest of them.
    peak_mb: float


class Clinic:
    """One database and its workers."""

    def __init__(
        self, *, database: str, redis: str | None, relay: str, folder: Path, **more: str
    ) -> None:
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("CLINIC_DISPATCH_")},
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "CLINIC_DISPATCH_DATABASE_URL": database,
            "CLINIC_DISPATCH_DATA_DIR": str(folder / "data"),
            "CLINIC_DISPATCH_EMAIL_URL": relay,
            "CLINIC_DISPATCH_EMAIL_FROM": FROM,
            **({"CLINIC_DISPATCH_REDIS_URL": redis} if redis else {}),
            **more,
        }
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            self.app = create_app()
        finally:
            os.environ.clear()
            os.environ.update(before)
        self.dispatch: Dispatch = self.app.extensions["clinic_dispatch"]
        self.command("db", "upgrade")

    def command(self, *words: str) -> None:
        """One command of ours, to its end."""
        subprocess.run(self._line(words), env=self.environment, check=True, capture_output=True)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """One command of ours in the background."""
        return subprocess.Popen(self._line(words), env=self.environment)

    def mailing(
        self, many: int, *, address: str = "p{n}@example.org", priority: int = 0, due_in: float = -1
    ) -> int:
        """A running mailing to so many people; returns its id."""
        mailing, account, due = self.dispatch.database.run(
            lambda connection: _begin(connection, priority, due_in)
        )
        for start in range(0, many, ROWS_AT_ONCE):
            rows = [
                {
                    "key": new_key(),
                    "mailing_id": mailing,
                    "account_id": account,
                    "channel": "email",
                    "name": f"Patient {n}",
                    "locale": "de",
                    "address": address.format(n=n, d=n % 10),
                    "data": {"name": f"Patient {n}"},
                    "state": "queued",
                    "due_at": due + timedelta(microseconds=n),
                    "created_at": due,
                }
                for n in range(start, min(start + ROWS_AT_ONCE, many))
            ]
            with self.dispatch.database.begin() as connection:
                connection.execute(insert(Message), rows)
        return mailing

    def work(self, mailing: int, *, workers: int = 1) -> Work:
        """Let a worker do what is due, to its end."""
        process = self.start("worker", "--burst", "--concurrency", str(workers))
        with watched(process.pid) as peak:
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"the worker ended with status {process.returncode}")
        return Work(
            seconds=self.seconds(mailing),
            cpu_seconds=used.ru_utime + used.ru_stime,
            peak_mb=peak.mb,
        )

    def seconds(self, mailing: int) -> float:
        """From a mailing's first attempt opened to its last one closed."""
        first, last = self.span(mailing)
        return (last - first).total_seconds()

    def span(self, mailing: int) -> tuple[datetime, datetime]:
        """When a mailing's first attempt was opened and its last one closed."""
        query = (
            select(func.min(Attempt.opened_at), func.max(Attempt.closed_at))
            .join(Message, Message.id == Attempt.message_id)
            .where(Message.mailing_id == mailing)
        )
        with self.dispatch.database.begin() as connection:
            first, last = connection.execute(query).one()
        assert last is not None, "nothing of it went out"
        return first, last

    def states(self, mailing: int) -> Mapping[str, int]:
        """A mailing's messages by state."""
        query = (
            select(Message.state, func.count().label("many"))
            .where(Message.mailing_id == mailing)
            .group_by(Message.state)
        )
        with self.dispatch.database.begin() as connection:
            return {row.state: row.many for row in connection.execute(query)}

    def rate(self, many: int, *, workers: int = 1) -> tuple[float, Work]:
        """Messages a second for one mailing of so many, all of which must go out."""
        mailing = self.mailing(many)
        work = self.work(mailing, workers=workers)
        if (states := self.states(mailing)) != {"sent": many}:
            raise SystemExit(f"not all were sent: {states}")
        return many / work.seconds, work

    def wait_until_begun(self, mailing: int, *, within: float = 60.0) -> None:
        """Until something of a mailing went out."""
        until = time.monotonic() + within
        while "sent" not in self.states(mailing):
            if time.monotonic() > until:
                raise SystemExit("nothing goes out")
            time.sleep(0.1)

    def close(self) -> None:
        """Let go of the database."""
        self.dispatch.database.dispose()

    def _line(self, words: tuple[str, ...]) -> list[str]:
        app = ["--app", "tests.benchmarks.clinic:create_app"]
        return [sys.executable, "-m", "flask", *app, "dispatch", *words]


def _begin(connection: Connection, priority: int, due_in: float) -> tuple[int, int, datetime]:
    revision = connection.execute(
        insert(Revision).values(
            channel="email",
            subject=SUBJECT,
            body=TEXT,
            html=HTML,
            created_at=db_now(),
            created_by="",
        )
    ).inserted_primary_key
    assert revision is not None
    mailing = connection.execute(
        insert(Mailing).values(
            name="Benchmark",
            purpose="service",
            channel="email",
            state="running",
            revision_id=revision[0],
            created_at=db_now(),
            started_at=db_now(),
            pause_reason="",
            pause_text="",
            selection={},
            source="code",
            priority=priority,
        )
    ).inserted_primary_key
    assert mailing is not None
    due = connection.execute(select(db_now(due_in))).scalar_one()
    return int(mailing[0]), account_id(connection, "email", "default"), due
