"""A flag all processes of one worker share: once it is up, no new window opens."""

from __future__ import annotations

import mmap

_flag = mmap.mmap(-1, 1)


def request() -> None:
    """Ask this worker's processes to finish what is open and end; safe inside a signal handler."""
    _flag[0] = 1


def requested() -> bool:
    """Whether the worker is draining."""
    return _flag[0] == 1


def reset() -> None:
    """A new worker begins in this process: a flag of its own, whoever else was forked from where it was."""
    global _flag
    _flag = mmap.mmap(-1, 1)
