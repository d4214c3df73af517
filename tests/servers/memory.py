"""Where there is room, what tests write stays in memory: databases wait for a disk thousands of times in a run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

#: Linux has it everywhere; a container may have made it tiny, or forbidden programs in it.
PLACE = Path("/dev/shm")
#: A run holds less than half of that at once.
ROOM = 3 * 1024**3
#: What the tests' programs need beside it.
MEMORY = 6 * 1024**3


def use_if_roomy() -> bool:
    """Let this process and all it starts make their temporary files in memory; whoever set TMPDIR keeps it."""
    if "TMPDIR" in os.environ or not _roomy():
        return False
    os.environ["TMPDIR"] = tempfile.tempdir = str(PLACE)
    return True


def _roomy() -> bool:
    try:
        there = os.statvfs(PLACE)
        said = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    kilobytes = dict(line.split(":") for line in said)["MemAvailable"].split()[0]
    return (
        os.access(PLACE, os.W_OK | os.X_OK)
        and not there.f_flag & os.ST_NOEXEC
        and there.f_bavail * there.f_frsize >= ROOM
        and int(kilobytes) * 1024 >= MEMORY
    )
