"""The memory of a process and of all it starts, at its highest.

Not from ``wait4``: that counts what the parent held when it forked (Linux carries ``ru_maxrss`` over ``exec``), so a
large benchmark would measure itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Seconds between two looks; the kernel keeps each process's highest, so only what lives shorter is missed.
LOOK = 0.1


class Peak:
    """The highest so far of the largest process."""

    def __init__(self, parent: int) -> None:
        """Nothing was looked at yet."""
        self._parent = parent
        self.mb = 0.0

    def look(self) -> None:
        """Look at the process and all below it."""
        for pid in _family(self._parent):
            self.mb = max(self.mb, highest(pid))


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Look again and again until the block ends."""
    peak, over = Peak(pid), threading.Event()

    def go_on() -> None:
        while not over.wait(LOOK):
            peak.look()

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            below = children.read_text().split()
        except OSError:
            continue
        for child in below:
            yield from _family(int(child))


def highest(pid: int | str) -> float:
    """Of one process, or of ``self``, in MB (``VmHWM``); 0: it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
