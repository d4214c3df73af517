"""Stands between a worker and its embedded server, so that none outlives a killed worker.

A program of its own (``python watchdog.py OWNER LOCK SOCKET COMMAND...``), on the standard library
alone: it starts in a twentieth of a second and holds nothing of the application's memory or
environment.

How it notices the owner's death. A pipe from the owner would not do: RQ's work-horses are plain
forks, inherit its end and keep it open after the owner is gone. The kernel's parent-death signal is
tied to the *thread* that forked. The parent's process id changes at the moment the owner ends,
whatever forks of it still live, also while the owner is a zombie that nobody has waited for, and on
every Unix.

How it holds the lock. The same forks would inherit an ``flock`` taken by the owner and hold it on
for ever; a POSIX lock is not inherited, yet falls when *any* descriptor of the file is closed
anywhere in the process, and does not exclude a second keeper there. So not the owner holds the lock
but this process: it was executed (descriptors close), it forks nothing but the server (likewise),
and its lock ends with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

#: Exit statuses: ended as asked (or with the owner); another watchdog has the lock; the server
#: ended by itself.
ENDED, LOST_RACE, SERVER_GONE = 0, 3, 4

#: Seconds between two looks at the owner; a signal or the server's end wakes it at once.
_TICK = 0.25
#: Seconds to try for the lock: keepers share it for an instant when they ask whether it is held.
_LOCK_PATIENCE = 2.0
#: Seconds a server gets to end by itself; it has nothing to save.
_GRACE = 2.0
_PR_SET_PDEATHSIG = 1  # prctl(2)
_SOL_LOCAL, _LOCAL_PEERPID = 0, 2  # macOS, <sys/un.h>


def open_lock(path: Path) -> int:
    """Open the lock file, making it when missing; a link in its place is refused.

    :raises OSError: the folder is missing or not writable.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def is_locked(path: Path) -> bool:
    """Whether a watchdog holds the lock file at ``path``.

    Asks with a shared lock, so that those who ask do not see each other, and unlocks before
    closing: that frees also the copy of a descriptor that a fork in another thread may have taken
    just now.

    :raises OSError: the file cannot be opened, or its file system has no locks.
    """
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holder(path: Path) -> int:
    """The process id of the watchdog that took the lock last; 0 when there is no telling."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _take_lock(path: Path, *, wanted: Callable[[], bool]) -> int | None:
    """The descriptor that holds the lock as long as we live; None when another has it."""
    give_up_at = time.monotonic() + _LOCK_PATIENCE
    while wanted() and time.monotonic() < give_up_at:
        descriptor = open_lock(path)
        if _try_lock(descriptor) and _is_at(path, descriptor):
            _sign(descriptor)
            return descriptor
        # Held, or the folder was wiped between opening and locking, and this lock is nobody's.
        os.close(descriptor)
        if is_locked(path):
            return None
        time.sleep(0.02)
    return None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int) -> None:
    """Write down who holds the lock, for people and for ``holder``; nothing hangs on it."""
    with contextlib.suppress(OSError):  # a full disk
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is still the one at ``path``: a data folder may be wiped."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def end_leftover(path: Path) -> None:
    """End a server that listens at ``path`` though nobody held the lock; remove its socket.

    The socket itself tells who listens; a file with a process id may name a stranger who got the
    number since.

    :raises OSError: it cannot be ended.
    """
    give_up_at = time.monotonic() + _GRACE
    while _end_listener(path):
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"an earlier server still listens at {path} and cannot be ended")
        time.sleep(0.02)
    path.unlink(missing_ok=True)


def _end_listener(path: Path) -> bool:
    """Kill who listens at ``path``; False when nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except TimeoutError:
            return True  # so many wait already that it takes no more: it listens, and is stuck
        pid = _peer(connection)
        if pid > 0:
            os.kill(pid, signal.SIGKILL)
        else:
            connection.sendall(b"SHUTDOWN NOSAVE\r\n")
    return True


def _peer(connection: socket.socket) -> int:
    """The process id of who called ``listen`` (unix(7), ``SO_PEERCRED``); 0 when unknown."""
    if sys.platform == "linux":
        credentials = connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
        )
        return int(struct.unpack("3i", credentials)[0])
    elif sys.platform == "darwin":
        return connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID)
    else:
        return 0


def _tie_to_this_process() -> Callable[[], None] | None:
    """What the server does before it is executed, so that it ends even when this process is killed.

    Sound here, as this process has one thread. Elsewhere than on Linux such a server stays until a
    keeper finds its lock free, which is at the next look of any worker.
    """
    if sys.platform != "linux":
        return None
    try:
        import ctypes
    except ImportError:  # a Python built without libffi
        return None
    prctl, guard = ctypes.CDLL(None).prctl, os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != guard:
            os._exit(1)

    return tie


def _wake_on(*signals: signal.Signals) -> int:
    """A descriptor that receives one byte, its number, for each of ``signals``."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in signals:
        signal.signal(number, lambda *_: None)
    # The owner may have blocked them, and a mask is inherited.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return reader


def _watch(server: subprocess.Popen[bytes], *, wake: int, wanted: Callable[[], bool]) -> int:
    """Wait until the server ends, we are told to end, or nobody wants it; the exit status."""
    while wanted():
        if server.poll() is not None:
            return SERVER_GONE
        if select.select([wake], [], [], _TICK)[0] and signal.SIGTERM in os.read(wake, 64):
            return ENDED
    return ENDED


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_GRACE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def main(owner: int, lock: Path, path: Path, command: list[str]) -> int:
    """Run ``command``, a server that listens at ``path``, while ``owner``, our parent, lives."""
    wake = _wake_on(signal.SIGTERM, signal.SIGCHLD)
    held = _take_lock(lock, wanted=lambda: os.getppid() == owner)
    if held is None:
        return LOST_RACE
    end_leftover(path)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_tie_to_this_process())
    try:
        return _watch(
            server, wake=wake, wanted=lambda: os.getppid() == owner and _is_at(lock, held)
        )
    finally:
        _end(server)
        if _is_at(lock, held):  # else a successor may listen there by now
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]))
