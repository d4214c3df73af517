"""What benchmarks found: printed for whoever waits, and kept as JSON for the report."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

#: Folder the JSON goes to; unset: it is only printed.
INTO = "CLINIC_DISPATCH_BENCH_INTO"
#: Set to ``1``: the sizes of the goals, however long it takes.
FULL = "CLINIC_DISPATCH_BENCH_FULL"


#: What sizes are multiplied by, for a try on a busy machine; such figures prove nothing.
SCALE = "CLINIC_DISPATCH_BENCH_SCALE"


def full() -> bool:
    """Whether the full sizes are wanted."""
    return os.environ.get(FULL) == "1"


def sized(usual: int, of_goal: int | None = None) -> int:
    """How many messages to measure with.

    :param of_goal: how many with the full sizes; four times as many unless said.
    """
    if full():
        return of_goal or usual * 4
    return max(20, round(usual * float(os.environ.get(SCALE, "1"))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure; without a goal it only tells."""

    name: str
    value: float | None
    unit: str = ""
    #: At least, or at most, so much.
    least: float | None = None
    most: float | None = None
    #: Why there is none, or what the reader should know.
    note: str = ""

    @property
    def verdict(self) -> str:
        """``met``, ``missed``, ``left out``, or nothing where there is no goal."""
        if self.value is None:
            return "left out"
        if self.least is None and self.most is None:
            return ""
        met = (self.least is None or self.value >= self.least) and (
            self.most is None or self.value <= self.most
        )
        return "met" if met else "missed"

    @property
    def shown(self) -> str:
        """The figure as people read it."""
        if self.value is None:
            return "–"
        digits = 0 if abs(self.value) >= 100 else 2 if abs(self.value) < 20 else 1
        return f"{self.value:,.{digits}f}{' ' if self.unit else ''}{self.unit}"

    @property
    def goal(self) -> str:
        """The goal in words."""
        parts = [f"≥ {self.least:g}"] if self.least is not None else []
        parts += [f"≤ {self.most:g}"] if self.most is not None else []
        return " and ".join(parts)


@dataclass(slots=True)
class Findings:
    """Of one benchmark."""

    script: str
    title: str
    lines: list[Line] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Keep what there is, also where the benchmark broke off."""
        folder = os.environ.get(INTO)
        if folder:
            held = {"title": self.title, "lines": [asdict(line) for line in self.lines]}
            path = Path(folder) / f"{Path(self.script).stem}.json"
            path.write_text(json.dumps(held, ensure_ascii=False, indent=1), encoding="utf-8")

    def tell(
        self,
        name: str,
        value: float | None,
        unit: str = "",
        *,
        least: float | None = None,
        most: float | None = None,
        note: str = "",
    ) -> None:
        """Print one figure and keep it."""
        line = Line(name=name, value=value, unit=unit, least=least, most=most, note=note)
        self.lines.append(line)
        goal = f"  goal {line.goal}" if line.goal else ""
        words = f"  {line.verdict}" if line.verdict else ""
        print(f"  {name:62} {line.shown:>14}{goal}{words}{f'  ({note})' if note else ''}")
        sys.stdout.flush()
