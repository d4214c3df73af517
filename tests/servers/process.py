"""Starts a server as a child that cannot outlive the test run, not even one that is killed."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Seconds a server may take until it answers; generous, for a busy machine with a slow disk.
START_SECONDS = 90
#: Seconds a server may take to end by itself before it is killed.
STOP_SECONDS = 20


class ServerDidNotStartError(Exception):
    """A server of the test run ended or stayed silent; the text holds the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that was started by this test run."""

    process: subprocess.Popen[bytes]
    log: Path
    stop_with: signal.Signals

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until ``ready()`` is true.

        :raises ServerDidNotStartError: the server ended, or :data:`START_SECONDS` are over.
        """
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            ended = self.process.poll()
            if ended is not None or time.monotonic() > deadline:
                why = f"ended with status {ended}" if ended is not None else "stayed silent"
                raise ServerDidNotStartError(f"{self.process.args!r} {why}:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, lines: int = 30) -> str:
        """Return the end of the server's log."""
        return "\n".join(
            self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        )

    def stop(self) -> None:
        """End the server and all it started; return when it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop_with)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def start(
    command: Sequence[str],
    *,
    folder: Path,
    user: pwd.struct_passwd | None = None,
    stop_with: signal.Signals = signal.SIGTERM,
) -> Running:
    """Start a server in a session of its own, so that Ctrl-C reaches the test run first, which then ends it.

    :param user: whom it runs as; only root may name one.
    :param stop_with: the signal that ends it quickly and cleanly.
    """
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_setpriv(user, dies_with_us=stop_with), *command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Running(process=process, log=log, stop_with=stop_with)


def command_as(user: pwd.struct_passwd | None, command: Sequence[str]) -> list[str]:
    """Return the command so that it runs as that user; as it is when there is none to change to."""
    return [*_setpriv(user, dies_with_us=None), *command]


def unprivileged(*names: str) -> pwd.struct_passwd | None:
    """Return the first of these users that exists, or ``nobody``; None when we are not root and stay who we are."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in (*names, "nobody") if name in known)


def may_run_as_another_user() -> bool:
    """Tell whether a server that refuses root can be started: we are not root, or can become someone else."""
    return os.geteuid() != 0 or shutil.which("setpriv") is not None


@contextlib.contextmanager
def private_folder(
    name: str, *, owner: pwd.struct_passwd | None = None, mode: int = 0o700
) -> Iterator[Path]:
    """Give a short-named folder for a server's data and sockets, and remove it afterwards.

    Socket paths end at about 107 bytes, so pytest's own long folder names do not do; nor may another user enter them.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"cd-{name}-")).resolve()
    try:
        folder.chmod(mode)
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Tell whether something accepts connections on this loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _setpriv(user: pwd.struct_passwd | None, *, dies_with_us: signal.Signals | None) -> list[str]:
    """Return what to put before a command; one call for both, because a change of user forgets the death signal."""
    options: list[str] = []
    if user is not None:
        options += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
    if dies_with_us is not None and sys.platform.startswith("linux") and shutil.which("setpriv"):
        options += ["--pdeathsig", dies_with_us.name.removeprefix("SIG")]
    return ["setpriv", *options] if options else []
