"""How long the list and the progress page take while a mailing goes out, beside an idle machine."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.clinic import Clinic
from tests.benchmarks.figures import Findings, sized
from tests.benchmarks.ground import Ground, lacking, standing

LOOKS = 60
#: Seconds between two looks.
PAUSE = 0.05


def main() -> int:
    """Run it and print the ratios."""
    with Findings(__file__, "Pages") as findings:
        if why := lacking():
            findings.tell("pages", None, note=why)
            return 0
        with standing() as ground:
            _measure(findings, ground, "PostgreSQL", most=1.5)
            _measure(findings, ground, "SQLite", most=None)
    return 0


def _measure(findings: Findings, ground: Ground, database: str, *, most: float | None) -> None:
    clinic = ground.clinic(ground.sink(), sqlite=database == "SQLite")
    before = clinic.mailing(sized(5_000))
    clinic.work(before)
    mailing = clinic.mailing(sized(50_000, 100_000))
    pages = {"list": "/dispatch/", "progress": f"/dispatch/mailings/{mailing}/progress"}
    idle = {name: _look(clinic, url) for name, url in pages.items()}
    worker = clinic.start("worker", "--burst")
    clinic.wait_until_begun(mailing)
    busy = {name: _look(clinic, url) for name, url in pages.items()}
    going = worker.poll() is None
    worker.wait()
    if not going:
        findings.tell(f"pages on {database}", None, note="the mailing ended too early to tell")
        return
    for name in pages:
        findings.tell(f"{name} page, {database}, idle, p95", idle[name] * 1e3, "ms")
        findings.tell(f"{name} page, {database}, while sending, p95", busy[name] * 1e3, "ms")
        ratio = busy[name] / idle[name]
        findings.tell(f"{name} page, {database}, while sending / idle", ratio, "×", most=most)


def _look(clinic: Clinic, url: str) -> float:
    """The 95th percentile of the times one page takes, in seconds."""
    client, times = clinic.app.test_client(), []
    for _ in range(LOOKS):
        start = time.perf_counter()
        answer = client.get(url)
        times.append(time.perf_counter() - start)
        if answer.status_code != 200:
            raise SystemExit(f"{url}: {answer.status}")
        time.sleep(PAUSE)
    return statistics.quantiles(times, n=20)[-1]


if __name__ == "__main__":
    sys.exit(main())
