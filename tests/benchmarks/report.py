"""Writes what benchmarks found as a page people read: the machine, the versions, each figure with goal and verdict."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.figures import FULL, Line

#: What stands before a section and names its benchmark.
_MARK, _MARK_END = "<!-- bench:", " -->\n"
PACKAGES = ("sqlalchemy", "psycopg", "rq", "redis", "flask")
INTRODUCTION = """# What was measured

Made by `make bench`; every ratio is of one run on one machine, in turn with what it is compared with. Absolute figures
belong to the machine, ratios carry over.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One benchmark that was run."""

    name: str
    status: int
    #: What it printed.
    said: str
    seconds: float


def written(folder: Path, ran: Sequence[Ran], *, before: str, names: Sequence[str]) -> str:
    """The whole page; a benchmark that was not run keeps what it found the last time.

    :param folder: where the benchmarks left their JSON.
    :param before: the page as it was.
    :param names: all benchmarks, in the order of the page.
    """
    sections = {name: section for name, section in _sections(before) if name in names}
    sections.update({each.name: _section(folder, each) for each in ran})
    wanted = (sections[name] for name in names if name in sections)
    return "\n".join([INTRODUCTION, "\n".join(_machine()), *wanted])


def _sections(page: str) -> Iterator[tuple[str, str]]:
    """The sections of a page written before, each with the benchmark it is of."""
    for part in page.split(_MARK)[1:]:
        name, _, rest = part.partition(_MARK_END)
        yield name, f"{_MARK}{name}{_MARK_END}{rest}"


def _machine() -> Iterator[str]:
    yield "## The machine\n"
    yield f"- {os.cpu_count()} processors ({_processor()}), {_memory()} of memory, {platform.system()}"
    yield f"- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {_said('postgres', '--version')}"
    yield "- " + ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield f"- load when it ended: {', '.join(f'{load:.1f}' for load in os.getloadavg())} (1, 5, 15 minutes)\n"


def _when() -> str:
    sizes = "full sizes" if os.environ.get(FULL) == "1" else "usual sizes"
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {sizes}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{pages * size / 1024**3:.0f} GB"


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return f"{command[0]}: version unknown"
    return done.stdout.strip()


def _section(folder: Path, ran: Ran) -> str:
    path = folder / f"bench_{ran.name}.json"
    parts = [f"{_MARK}{ran.name}{_MARK_END}"]
    if path.exists():
        held = json.loads(path.read_text(encoding="utf-8"))
        parts += [
            f"## {held['title']}\n",
            f"{_when()}\n",
            *_table([Line(**line) for line in held["lines"]]),
        ]
    else:
        parts += [
            f"## {ran.name.replace('_', ' ').capitalize()}\n",
            f"{_when()}\n",
            "```",
            ran.said.rstrip(),
            "```",
        ]
    if ran.status:
        words = "took too long" if ran.status == 124 else f"ended with status {ran.status}"
        parts.append(f"\nIt {words} after {ran.seconds:.0f} s; what is missing was not measured.")
    return "\n".join([*parts, ""])


def _table(lines: Sequence[Line]) -> Iterator[str]:
    yield "| what | figure | goal | verdict |"
    yield "|---|---|---|---|"
    for line in lines:
        note = f" ({line.note})" if line.note else ""
        yield f"| {line.name}{note} | {line.shown} | {line.goal} | {line.verdict} |"
