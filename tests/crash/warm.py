"""A process that has everything imported, and forks into each command: half of a short worker's time is its imports.

What comes out of a fork here differs from ``python -m flask`` in nothing but that; tests/cli and tests/mounting start
programs as people do.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).parents[2]

#: The last word is for whoever looks for workers by their command line.
PROGRAM = (sys.executable, "-m", "tests.crash.warm", "flask")


@dataclass(slots=True)
class Started:
    """A process that the warm one forked; the part of ``subprocess.Popen`` that tests need."""

    pid: int
    _warm: Warm

    def poll(self) -> int | None:
        """Its status, negative for the signal that killed it; None: it runs."""
        return self._warm.ended(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        """Its status when it has ended.

        :param timeout: seconds.
        :raises TimeoutError: it runs on.
        """
        deadline = time.monotonic() + timeout if timeout is not None else None
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} runs after {timeout} seconds")
            time.sleep(0.01)
        return status


@dataclass(slots=True)
class Warm:
    """The other end of the process that forks."""

    process: subprocess.Popen[bytes]
    _started: list[int] = field(default_factory=list)
    _ended: dict[int, int] = field(default_factory=dict)
    _rest: bytes = b""

    def start(self, *words: str, environment: Mapping[str, str], log: Path) -> Started:
        """Begin ``flask words…`` as the leader of a session of its own, which writes into ``log``."""
        assert self.process.stdin is not None
        order = {"words": words, "environment": dict(environment), "log": str(log)}
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        while not self._started:
            self._read(60.0)
        return Started(self._started.pop(), self)

    def ended(self, pid: int) -> int | None:
        """The status of a process that has ended."""
        self._read(0.0)
        return self._ended.get(pid)

    def _read(self, seconds: float) -> None:
        """Take in what it says, waiting at most so long for the first of it."""
        assert self.process.stdout is not None
        while select.select([self.process.stdout], [], [], seconds)[0]:
            said = os.read(self.process.stdout.fileno(), 65536)
            assert said, "the warm process has ended"
            *lines, self._rest = (self._rest + said).split(b"\n")
            for line in lines:
                kind, pid, status = line.split()
                if kind == b"started":
                    self._started.append(int(pid))
                else:
                    self._ended[int(pid)] = int(status)
            seconds = 0.0


@contextlib.contextmanager
def running() -> Iterator[Warm]:
    """Start it, and end it afterwards."""
    process = subprocess.Popen(
        PROGRAM, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    with process:
        yield Warm(process)
        assert process.stdin is not None
        process.stdin.close()  # it ends with its orders


def main() -> None:
    """Fork for each order until there are no more, and tell how each child ended."""
    for name in ("flask.cli", "alembic", "tests.crash.clinic"):
        importlib.import_module(name)
    orders, news = sys.stdin.buffer, sys.stdout.buffer
    while True:
        ready = select.select([orders], [], [], 0.02)[0]
        if ready:
            line = orders.readline()
            if not line:
                return
            _tell(news, "started", _fork(json.loads(line)), 0)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                _tell(news, "ended", ended[0], os.waitstatus_to_exitcode(ended[1]))


def _tell(news: IO[bytes], kind: str, pid: int, status: int) -> None:
    news.write(f"{kind} {pid} {status}\n".encode())
    news.flush()


def _fork(order: Mapping[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    log = os.open(str(order["log"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv[1:] = [str(word) for word in order["words"]]
    _run()


def _run() -> NoReturn:
    from flask.cli import main as flask

    status: object = 1
    try:
        flask()
    except SystemExit as end:
        status = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    main()
