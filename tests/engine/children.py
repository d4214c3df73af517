"""Work in processes of their own, which may die: what a worker's process does, without the worker around it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from tests.engine.dispatching import Desk


def in_child(desk: Desk, work: Callable[[], object]) -> int:
    """Run it in a forked process; returns its exit status, negative for the signal that killed it."""
    return wait(start(desk, work))


def start(desk: Desk, work: Callable[[], object]) -> int:
    """Begin to run it in a forked process; returns the process id."""
    desk.dispatch.database.dispose()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(status)


def wait(pid: int) -> int:
    """Its exit status, negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Gate:
    """Lets several processes begin at the same moment."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def wait(self) -> None:
        """In a child: until the parent opens."""
        os.close(self._writer)
        os.read(self._reader, 1)

    def open(self) -> None:
        """In the parent: all children go on, and those that come later."""
        os.close(self._writer)
        os.close(self._reader)
