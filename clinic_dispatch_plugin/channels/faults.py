"""Named points at which a test may kill, raise or sleep, so that every promise about crashes is tried for real.

``CLINIC_DISPATCH_FAIL_AT=<point>:<kill|raise|sleep>[:nth]`` names the point; it is obeyed only where
``CLINIC_DISPATCH_TESTING_FAULTS=1`` is set as well. *Kill* ends the whole worker: its supervisor, its RQ worker,
itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

FAIL_AT = "CLINIC_DISPATCH_FAIL_AT"
ALLOWED = "CLINIC_DISPATCH_TESTING_FAULTS"
#: Process ids a *kill* ends before the process itself; set by the worker's supervisor.
WORKER_PIDS = "CLINIC_DISPATCH_WORKER_PIDS"

_passed: dict[str, int] = {}


class InjectedFault(Exception):
    """What a point set to *raise* raises."""


def fail_point(name: str) -> None:
    """Do nothing, unless a test asked this point to fail."""
    wanted = os.environ.get(FAIL_AT)
    if not wanted or os.environ.get(ALLOWED) != "1":
        return
    point, _, rest = wanted.partition(":")
    if point != name:
        return
    kind, _, nth = rest.partition(":")
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] == int(nth or 1):
        _fail(name, kind)


def _fail(name: str, kind: str) -> None:
    if kind == "kill":
        for pid in os.environ.get(WORKER_PIDS, "").split(","):
            if pid and int(pid) != os.getpid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "sleep":
        time.sleep(float(os.environ.get("CLINIC_DISPATCH_FAIL_SLEEP", "60")))
        return
    raise InjectedFault(name)
