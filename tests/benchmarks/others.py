"""Runs the rivals: each on fresh tables of the same PostgreSQL, against the same relay; gives messages a second."""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from redis import Redis
from rq import Queue

from tests.benchmarks.clinic import ROOT
from tests.benchmarks.ground import Ground, libpq_words
from tests.benchmarks.rivals import common

HERE = ROOT / "tests" / "benchmarks"
#: What is built and installed for the comparison; "make clean" removes it.
BUILD = ROOT / "build"
INSTALLED = ("Flask-Mail", "django", "django-post_office", "psycopg[binary]")


class LeftOut(Exception):
    """A rival that cannot run here; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """The rivals on one ground."""

    ground: Ground
    database: str
    port: int

    @property
    def _words(self) -> str:
        return libpq_words(self.database)

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "RIVAL_DATABASE": self._words,
            "RIVAL_RELAY": str(self.port),
            "PYTHONPATH": str(ROOT),
        }

    def smtplib_loop(self, many: int) -> float:
        """One kept connection, one mail after the other, and no database at all."""
        start = time.perf_counter()
        with smtplib.SMTP("127.0.0.1", self.port) as relay:
            for number in range(many):
                relay.send_message(common.mail(f"p{number}@example.org", f"Patient {number}"))
        return many / (time.perf_counter() - start)

    def rq(self, many: int) -> float:
        """One job a message, two of RQ's own workers."""
        queue = Queue("rival", connection=Redis.from_url(self.ground.redis_url))
        with psycopg.connect(self._words, autocommit=True) as connection:
            common.prepare(connection, many)
            jobs = [
                Queue.prepare_data("tests.benchmarks.rivals.rq_jobs.send_one", (mail_id,))
                for mail_id in range(1, many + 1)
            ]
            queue.enqueue_many(jobs)
            command = [str(Path(sys.executable).with_name("rq")), "worker", "--burst", "--quiet"]
            command += ["--url", self.ground.redis_url, "rival"]
            workers = [subprocess.Popen(command, env=self._environment) for _ in range(2)]
            for worker in workers:
                worker.wait()
            return common.rate(connection, many)

    def flask_mail(self, many: int) -> float:
        """A loop with its connection kept."""
        with psycopg.connect(self._words, autocommit=True) as connection:
            common.prepare(connection, many)
            self._python("flask_mail_loop.py")
            return common.rate(connection, many)

    def post_office(self, many: int) -> float:
        """Two processes of ten threads."""
        return float(self._python("tuned_post_office.py", str(many)).split()[-1])

    def compiled(self, many: int) -> float:
        """Ten pipelined connections in one compiled program."""
        program = _compiled()
        with psycopg.connect(self._words, autocommit=True) as connection:
            common.prepare(connection, many)
            subprocess.run([program, self._words, str(self.port), "10"], check=True)
            return common.rate(connection, many)

    def _python(self, script: str, *arguments: str) -> str:
        command = [_installed(), str(HERE / "rivals" / script), *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise LeftOut(done.stderr.strip().splitlines()[-1] if done.stderr else "it failed")
        return done.stdout


def _installed() -> str:
    """The Python of an environment of the rivals' own."""
    python = BUILD / "rivals" / "bin" / "python"
    ready = BUILD / "rivals" / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", str(BUILD / "rivals")], check=True)
        done = subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", *INSTALLED],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LeftOut("its packages cannot be installed here")
        ready.touch()
    return str(python)


def _compiled() -> str:
    source, program = HERE / "compiled" / "sender.rs", BUILD / "compiled-sender"
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path.home() / ".cargo" / "bin")])
    compiler = shutil.which("rustc", path=path)
    if compiler is None:
        raise LeftOut("rustc not found")
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        command = [compiler, "-O", "--edition", "2021", str(source), "-o", str(program), "-l", "pq"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            raise LeftOut("it cannot be built here: rustc and libpq's development files are needed")
    return str(program)
