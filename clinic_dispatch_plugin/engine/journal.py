"""One local file per run that keeps doubt small: which attempts were handed over, and what was answered.

The database knows every attempt before it happens; the journal only knows more about the last few. It holds ids,
never an address or a text, and is held by ``flock`` for the process's life: a file nobody locks is a dead process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from clinic_dispatch_plugin.channels.types import Accepted, NotSent, Refused, SendResult, Uncertain

_MAGIC = "dispatch-journal-1"
SUFFIX = ".j"
#: A journal longer than this is written anew, with only what is not recorded yet.
_LONGEST = 256 * 1024


def boot_id() -> str:
    """Tells one start of this machine from the next; after a reboot a missing line proves nothing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import subprocess

        said = subprocess.run(
            ["sysctl", "-n", "kern.boottime"], capture_output=True, text=True, check=False
        )
        return said.stdout.strip()[:64] or "unknown"


class Journal:
    """The journal of a live run. Every line is one ``write``; nothing is synced: it need only outlive the process.

    One thread hands over while another records, so both may write at any time.

    :raises OSError: the folder cannot be written or locked; nothing may be handed over then.
    """

    def __init__(self, folder: Path, run_id: int) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.run_id = run_id
        self.path = folder / f"{run_id}{SUFFIX}"
        self._header = f"{_MAGIC} {run_id} {boot_id()}\n".encode()
        self._pending: dict[int, list[bytes]] = {}
        self._size = 0
        self._lock = threading.Lock()
        self._fd = self._create([])

    def handed_over(self, attempt_id: int) -> None:
        """Before the first byte of a message."""
        self._write(attempt_id, f"h {attempt_id}\n")

    def answered(self, result: SendResult) -> None:
        """After the answer, before it is recorded."""
        self._write(result.attempt_id, f"r {result.attempt_id} {_said(result)}\n")

    def recorded(self, results: Iterable[SendResult]) -> None:
        """After the commit that recorded these; from time to time the file is written anew without them.

        What is uncertain keeps its lines: a missing one would prove that it never left.
        """
        with self._lock:
            for result in results:
                if not isinstance(result, Uncertain):
                    self._pending.pop(result.attempt_id, None)
            if self._size > _LONGEST:
                self._rewrite()

    def content(self) -> JournalContent:
        """What it tells of attempts that are not recorded."""
        with self._lock:
            lines = [line for lines in self._pending.values() for line in lines]
        return _understood(self.run_id, boot_id(), [line.decode().rstrip() for line in lines])

    def close(self, *, keep: bool = False) -> None:
        """End of the run; the file goes, unless what it tells is still needed."""
        with self._lock:
            if not keep:
                self.path.unlink(missing_ok=True)
            os.close(self._fd)

    def _rewrite(self) -> None:
        old = self._fd
        lines = [line for lines in self._pending.values() for line in lines]
        try:
            self._fd = self._create(lines)
        except OSError:
            return  # the long one does as well
        os.close(old)

    def _write(self, attempt_id: int, line: str) -> None:
        data = line.encode()
        with self._lock:
            if os.write(self._fd, data) != len(data):
                raise OSError(errno.ENOSPC, "the journal could only be written in part")
            self._size += len(data)
            self._pending.setdefault(attempt_id, []).append(data)

    def _create(self, lines: list[bytes]) -> int:
        """A new file beside, locked, then moved over the old one: at no moment is there none that is whole."""
        fresh = self.path.with_suffix(".new")
        fd = os.open(
            fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        data = self._header + b"".join(lines)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.write(fd, data) != len(data):
                raise OSError(errno.ENOSPC, "the journal could only be written in part")
            os.replace(fresh, self.path)
        except OSError:
            os.close(fd)
            raise
        self._size = len(data)
        return fd


def _said(result: SendResult) -> str:
    match result:
        case Accepted(provider_id=provider_id):
            return f"accepted {_id(provider_id)}".rstrip()
        case Refused(answer=answer, retryable=retryable, retry_after=after):
            wish = {None: "ask", True: "retry", False: "fail"}[retryable]
            wait = f" {after:.0f}" if after is not None else ""
            return f"refused {_word(answer.system)} {_word(answer.code)} {wish}{wait}"
        case Uncertain(answer=answer, provider_id=provider_id):
            words = f"uncertain {_word(answer.system)} {_word(answer.code)}"
            return f"{words} {_id(provider_id)}".rstrip()
        case NotSent():
            return "not_sent"


def _id(provider_id: str | None) -> str:
    return "".join(c for c in provider_id or "" if c.isalnum() or c in "-_.")[:200]


def _word(text: str) -> str:
    return "".join(c for c in text if c.isalnum() or c in "-_.~*")[:64] or "-"


@dataclass(slots=True)
class JournalContent:
    """What a dead run's journal tells."""

    run_id: int
    boot_id: str
    handed_over: set[int] = field(default_factory=set)
    #: Words after the attempt's id, by attempt.
    answers: dict[int, list[str]] = field(default_factory=dict)

    def never_left(self, attempt_id: int) -> bool:
        """Whether a missing line proves that nothing was handed over: only since this start of the machine."""
        return self.boot_id == boot_id() and attempt_id not in self.handed_over


def _understood(run_id: int, boot: str, lines: Iterable[str]) -> JournalContent:
    content = JournalContent(run_id=run_id, boot_id=boot)
    for line in lines:
        words = line.split(" ")
        if len(words) >= 2 and words[1].isdigit():
            if words[0] == "h":
                content.handed_over.add(int(words[1]))
            elif words[0] == "r" and len(words) >= 3:
                content.answers[int(words[1])] = words[2:]
    return content


class DeadJournal:
    """A journal whose process is gone: locked by us while we read it."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def read(self) -> JournalContent | None:
        """What it says, whole lines only; None: the header is torn or foreign, so it proves nothing."""
        data = self.path.read_bytes()
        lines = data[: data.rfind(b"\n") + 1].decode("ascii", "replace").splitlines()
        head = lines[0].split(" ") if lines else []
        if len(head) != 3 or head[0] != _MAGIC or head[1] != self.path.stem:
            return None
        return _understood(int(head[1]), head[2], lines[1:])

    def remove(self) -> None:
        """After everything in it is recorded."""
        self.path.unlink(missing_ok=True)


def try_folder(folder: Path) -> None:
    """Try what a journal needs, on a file of our own: several may try at once.

    :raises OSError: the folder cannot be written or locked.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="trial-") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(_MAGIC.encode())
        file.flush()


def is_locked(folder: Path, run_id: int) -> bool | None:
    """Whether the run's process lives on this machine; None: there is no journal here to tell."""
    try:
        fd = os.open(folder / f"{run_id}{SUFFIX}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def dead_journals(folder: Path) -> Iterable[DeadJournal]:
    """Every journal here that nobody locks, one after the other, locked by us meanwhile."""
    for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else ():
        if not path.stem.isdigit():
            continue
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = os.fstat(fd).st_ino == path.stat().st_ino
        except OSError:
            same = False
        if same:
            with DeadJournal(path, fd) as journal:
                yield journal
        else:
            os.close(fd)
