"""From rows in the database to a relay and back into rows, beside what else a clinic might use.

Everything runs in turn, several rounds, and the best of each counts, so that a busy moment of the machine meets them
all. The relay is Postfix's ``smtp-sink``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.clinic import Work
from tests.benchmarks.figures import Findings, sized
from tests.benchmarks.ground import Ground, lacking, smtp_source, standing
from tests.benchmarks.others import LeftOut, Others

ROUNDS = 3
WORKERS = 2


def main() -> int:
    """Run it and print the ratios."""
    with Findings(__file__, "End to end") as findings:
        if why := lacking():
            findings.tell("end to end", None, note=why)
            return 0
        with standing() as ground:
            _measure(findings, ground)
    return 0


def _measure(findings: Findings, ground: Ground) -> None:
    port = ground.sink()
    clinic = ground.clinic(port)
    small = ground.clinic(port, sqlite=True)
    others = Others(ground=ground, database=ground.database(), port=port)
    used: list[Work] = []

    def ours() -> float:
        rate, work = clinic.rate(sized(10_000), workers=WORKERS)
        used.append(work)
        return rate

    ways: dict[str, Callable[[], float]] = {
        "ours": ours,
        "smtp-source": lambda: smtp_source(port, sized(20_000)),
        "compiled": partial(others.compiled, sized(10_000)),
        "sqlite": lambda: small.rate(sized(5_000))[0],
        "smtplib": partial(others.smtplib_loop, sized(1_000)),
        "Flask-Mail": partial(others.flask_mail, sized(500)),
        "django-post_office": partial(others.post_office, sized(1_000)),
        "RQ": partial(others.rq, sized(150)),
    }
    best, why = _best(ways)
    mine = best["ours"]
    findings.tell("ours, PostgreSQL and Redis, two workers", mine, "msg/s")
    cpu = min(work.cpu_seconds for work in used) / sized(10_000)
    findings.tell("processor time of our workers, their start included", cpu * 1e6, "µs/msg")
    for name, words, goal in (
        ("smtp-source", "smtp-source -d -s 10 (no database)", 0.5),
        ("RQ", "RQ, one job a message, two workers", 20),
        ("smtplib", "smtplib loop, connection kept, no database", 3),
        ("Flask-Mail", "Flask-Mail loop, connection kept", 30),
        ("django-post_office", "django-post_office, 2 processes × 10 threads", 10),
        ("compiled", "compiled program of the same shape", 1.0),
    ):
        if name in best:
            findings.tell(words, best[name], "msg/s")
            findings.tell(f"ours / {words}", mine / best[name], "×", least=goal)
        else:
            findings.tell(f"ours / {words}", None, "×", least=goal, note=why[name])
    findings.tell("ours, SQLite and the embedded queue, one worker", best["sqlite"], "msg/s")
    findings.tell("SQLite / PostgreSQL", best["sqlite"] / mine, "×", least=0.5)


def _best(ways: dict[str, Callable[[], float]]) -> tuple[dict[str, float], dict[str, str]]:
    best: dict[str, float] = {}
    why: dict[str, str] = {}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            if name in why:
                continue
            try:
                best[name] = max(best.get(name, 0.0), way())
            except LeftOut as problem:
                why[name] = str(problem)
    return best, why


if __name__ == "__main__":
    sys.exit(main())
