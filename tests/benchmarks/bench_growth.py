"""What a message costs when the tables hold a thousand messages, and when they hold a million; and a worker's memory.

Processor time of the workers and of PostgreSQL together: it does not change with what else the machine does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sqlalchemy import text

from tests.benchmarks.clinic import Clinic
from tests.benchmarks.figures import Findings, sized
from tests.benchmarks.ground import Ground, lacking, standing

COLUMNS = (
    "mailing_id, account_id, channel, ref, name, locale, address, data, state, attempts, last_number, tries, "
    "lost_runs, created_at, sent_at, final_at"
)
#: Attempts copied begin here: no run of a benchmark numbers so high.
FIRST_COPY = 9_000_000_000_000
OF_ATTEMPT = "channel, address, account_id, run_id, state, answer_text, opened_at, closed_at"


def main() -> int:
    """Run it and print the ratios."""
    with Findings(__file__, "Growth") as findings:
        if why := lacking():
            findings.tell("growth", None, note=why)
            return 0
        with standing() as ground:
            _measure(findings, ground)
    return 0


def _measure(findings: Findings, ground: Ground) -> None:
    clinic = ground.clinic(ground.sink())
    many, rows = sized(5_000, 20_000), sized(1_000_000, 1_000_000)
    clinic.rate(1_000)
    small = min(_cost(clinic, ground, many) for _ in range(2))
    held = 1_000 + 2 * many
    _fill(clinic, rows)
    large = min(_cost(clinic, ground, many) for _ in range(2))
    findings.tell(f"a message with {held:,} rows in the table", small, "µs")
    findings.tell(f"a message with {rows + held:,} rows in the table", large, "µs")
    findings.tell("cost with many rows / with few", large / small, "×", most=1.1)
    _memory(findings, clinic)


def _cost(clinic: Clinic, ground: Ground, many: int) -> float:
    before = _processor_seconds(ground.postgresql.running.process.pid)
    _, work = clinic.rate(many)
    databases = _processor_seconds(ground.postgresql.running.process.pid) - before
    return (work.cpu_seconds + databases) / many * 1e6


def _memory(findings: Findings, clinic: Clinic) -> None:
    few, many = sized(2_000, 10_000), sized(50_000, 1_000_000)
    _, before = clinic.rate(few)
    _, after = clinic.rate(many)
    findings.tell(f"a worker's largest process after {few:,} messages", before.peak_mb, "MB")
    findings.tell(f"after {many:,} messages", after.peak_mb, "MB", most=150)
    findings.tell("memory after many / after few", after.peak_mb / before.peak_mb, "×", most=1.1)


def _fill(clinic: Clinic, rows: int) -> None:
    """Messages sent long ago, each with its attempt, copied from one that was sent."""
    with clinic.dispatch.database.begin() as connection:
        connection.execute(
            text(
                f"INSERT INTO dispatch_message (key, attempt_id, {COLUMNS}) "
                f"SELECT substr(md5(n::text || 'm'), 1, 26), {FIRST_COPY} + n, {COLUMNS} "
                "FROM generate_series(1, :rows) AS n, "
                "(SELECT * FROM dispatch_message WHERE state = 'sent' LIMIT 1) AS one"
            ),
            {"rows": rows},
        )
        connection.execute(
            text(
                f"INSERT INTO dispatch_attempt (id, message_id, number, key, {OF_ATTEMPT}) "
                f"SELECT m.attempt_id, m.id, 1, m.key, {OF_ATTEMPT.replace('address', 'one.address')} "
                "FROM (SELECT id, key, attempt_id FROM dispatch_message WHERE attempt_id > :first) AS m, "
                "(SELECT * FROM dispatch_attempt LIMIT 1) AS one"
            ),
            {"first": FIRST_COPY},
        )
    with clinic.dispatch.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def _processor_seconds(parent: int) -> float:
    """Of a process and its children, those that ended included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == parent:
            ticks += int(words[11]) + int(words[12])
        elif int(stat.parent.name) == parent:
            ticks += sum(map(int, words[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
