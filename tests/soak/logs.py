"""What workers and pages wrote: what a broken server or wire explains, and the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

#: Kinds of errors that servers which went away, or came back empty, explain wherever they are met.
_OF_SERVERS = re.compile(
    r"OperationalError|InterfaceError|AdminShutdown|ConnectionError|TimeoutError|DBAPIError"
    r"|OutOfMemory|InternalError|ConnectionReset|BrokenPipe|ConnectionRefused"
    # RQ looks for a job that a Redis without memory has forgotten.
    r"|InvalidJobOperation|NoSuchJobError|ExecAbortError"
    r"|the callback .* cannot be kept|a callback for .* cannot be kept"
)
#: A logger's line that tells of an error; RQ's own and the pool's are told once more by the exception below them.
_ERROR = re.compile(r" (ERROR|CRITICAL) (?!rq\.worker|sqlalchemy\.pool)")
#: The last line of a traceback.
_LAST = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Failed|Operation|Interrupt|Exit|Warning)\b")
_NUMBERS = re.compile(r"\d+")


def unexplained(folder: Path) -> Counter[str]:
    """Errors that no fault explains, numbers taken out, each with how often."""
    found: Counter[str] = Counter()
    for file in sorted([*folder.glob("worker*.log"), *folder.glob("web*.log")]):
        for line in _errors(file.read_text(errors="replace").splitlines()):
            if not _OF_SERVERS.search(line):
                found[
                    f"{file.name.partition('-')[0]}: {_NUMBERS.sub('#', line.strip())[:400]}"
                ] += 1
    return found


def _errors(lines: list[str]) -> Iterator[str]:
    """Lines that tell of an error, and of each traceback the exception it ends with."""
    inside, last = False, ""
    for line in [*lines, ""]:
        if line.startswith("Traceback"):
            inside = True
        elif inside and _LAST.match(line):
            last, inside = line, False
        elif last and not line.startswith(("During handling", "The above exception")) and line:
            yield last
            last = ""
        if _ERROR.search(line):
            yield line
    if last:
        yield last
