"""What workers and pages wrote: what a broken server or wire explains, and the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

#: Kinds of errors that servers which went away explain, wherever they are met.
_OF_SERVERS = re.compile(
    r"OperationalError|InterfaceError|AdminShutdown|ConnectionError|TimeoutError|ConnectionTimeout"
    r"|DBAPIError|BusyLoading|OutOfMemory|ResponseError|InternalError|ConnectionReset|BrokenPipe"
)
#: Lines that tell of a fault without being one.
_ORDINARY = re.compile(
    r"run \d+ died|lease of run|window not recorded|transaction repeated|queue not reachable"
    r"|the tender could not work|could not sign off|callback for .* (cannot be kept|was refused)"
)
_TROUBLE = re.compile(r"\b(ERROR|CRITICAL|Traceback|Exception|Error)\b")
_NUMBERS = re.compile(r"\d+")


def unexplained(folder: Path, faults: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Lines that speak of an error no fault explains, numbers taken out, each with how often."""
    found: Counter[str] = Counter()
    for file in sorted([*folder.glob("worker*.log"), *folder.glob("web*.log")]):
        for line in file.read_text(errors="replace").splitlines():
            if (
                _TROUBLE.search(line)
                and not _OF_SERVERS.search(line)
                and not _ORDINARY.search(line)
            ):
                found[_NUMBERS.sub("#", line.strip())[:300]] += 1
    return found
