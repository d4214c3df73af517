"""Finds the processes a process started, and kills them: no signal to a group reaches an RQ work-horse."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told from a later one with the same number by when it was started."""

    pid: int
    parent: int
    started: str


def children_of(parents: Iterable[int]) -> set[Process]:
    """The processes that these started."""
    wanted = set(parents)
    return {process for process in _all() if process.parent in wanted}


def kill(processes: Iterable[Process]) -> None:
    """Kill those that are still there; their numbers may belong to strangers by now."""
    living = {(process.pid, process.started) for process in _all()}
    for process in processes:
        if (process.pid, process.started) in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def _all() -> Iterator[Process]:
    """Every process of this machine: from ``/proc`` where there is one, for a slim image has no ``ps``."""
    proc = Path("/proc")
    return _from_proc(proc) if (proc / "self" / "stat").exists() else _from_ps()


def _from_proc(proc: Path) -> Iterator[Process]:
    for entry in proc.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):  # it ended meanwhile
                # proc(5): the name in parentheses may hold anything; then state, parent, and 18 on when it began.
                words = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                yield Process(pid=int(entry.name), parent=int(words[1]), started=words[19])


def _from_ps() -> Iterator[Process]:
    said = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,lstart="], capture_output=True, text=True, check=False
    )
    for line in said.stdout.splitlines():
        words = line.split(maxsplit=2)
        if len(words) == 3 and words[0].isdigit() and words[1].isdigit():
            yield Process(pid=int(words[0]), parent=int(words[1]), started=words[2])
