"""Never two calls at once to a number on this machine, and none soon after one that may have rung."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Seconds without a call to a number whose last one may have rung without anybody knowing.
AFTER_DOUBT = 600.0


class NumberBusyError(Exception):
    """This number must not be called now.

    :param seconds: until it may be.
    :param in_doubt: its last call may have rung; else one is going on.
    """

    def __init__(self, seconds: float, *, in_doubt: bool) -> None:
        super().__init__(f"not before {seconds:.0f} s")
        self.seconds = seconds
        self.in_doubt = in_doubt


@dataclass(slots=True)
class Hold:
    """A number we are calling."""

    _file: int

    def doubt(self, seconds: float = AFTER_DOUBT) -> None:
        """Nobody knows whether it rang: nobody calls it for so long."""
        os.pwrite(self._file, b"%d\n" % (time.time() + seconds), 0)


@contextlib.contextmanager
def hold(number: str, folder: str = "") -> Iterator[Hold]:
    """Have a number to oneself.

    :param folder: where it is written down; empty: in a private one among the temporary folders.

    :raises NumberBusyError: somebody calls it, or did, and nobody knows how that ended.
    :raises OSError: the folder cannot be used.
    """
    path = _private(folder) / hashlib.sha256(number.encode()).hexdigest()[:32]
    file = _locked(path)
    try:
        left = _until(file) - time.time()
        if 0 < left <= AFTER_DOUBT:  # what lies further ahead was written by a clock that was wrong
            raise NumberBusyError(left, in_doubt=True)
        try:
            yield Hold(file)
        finally:
            if _until(file) <= time.time():
                path.unlink(missing_ok=True)
    finally:
        os.close(file)


def _locked(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_ino == path.stat().st_ino:
                return file
        except BlockingIOError:
            os.close(file)
            raise NumberBusyError(60.0, in_doubt=False) from None
        except FileNotFoundError:
            pass
        os.close(file)  # whoever had it before took its name away


def _until(file: int) -> float:
    try:
        return float(os.pread(file, 20, 0) or b"0")
    except ValueError:
        return 0.0


def _private(name: str) -> Path:
    usual = Path(tempfile.gettempdir()) / f"clinic-dispatch-calls-{os.getuid()}"
    folder = Path(name) if name else usual
    folder.mkdir(mode=0o700, exist_ok=True)
    if not name and (folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077):
        raise OSError(f"{folder} is not ours alone")
    return folder
