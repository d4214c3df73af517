"""Writing down a mailing's recipients: processor seconds and memory for a hundred thousand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.clinic import HTML, SUBJECT, TEXT, Clinic
from tests.benchmarks.figures import Findings, sized
from tests.benchmarks.ground import Ground, lacking, standing

CODE = """
import resource, sys
from tests.benchmarks.clinic import create_app
from tests.benchmarks.peak import highest
from clinic_dispatch_plugin.mailings.planning import plan
from clinic_dispatch_plugin.messages.store import plans_left
app = create_app()
with app.app_context():
    dispatch = app.extensions["clinic_dispatch"]
    with dispatch.database.begin() as connection:
        (mailing_id,) = plans_left(connection)
    before, held = resource.getrusage(resource.RUSAGE_SELF), highest("self")
    plan(dispatch, mailing_id)
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(spent, held, highest("self"))
"""


def main() -> int:
    """Run it and print the figures."""
    with Findings(__file__, "Planning") as findings:
        if why := lacking():
            findings.tell("planning", None, note=why)
            return 0
        with standing() as ground:
            _measure(findings, ground)
    return 0


def _measure(findings: Findings, ground: Ground) -> None:
    clinic, many = ground.clinic(ground.sink()), sized(100_000, 100_000)
    seconds, before, after = _plan(clinic, ground.folder, many)
    findings.tell(f"planning {many:,} recipients", seconds, "CPU s", most=10)
    findings.tell("memory it adds", after - before, "MB", most=60, note="a tenth of holding them")


def _plan(clinic: Clinic, folder: Path, many: int) -> tuple[float, float, float]:
    (folder / "list.csv").write_text(
        "email,name\n" + "".join(f"p{n}@example.org,Patient {n}\n" for n in range(many))
    )
    (folder / "text").write_text(TEXT)
    (folder / "html").write_text(HTML)
    files = ["--to", folder / "list.csv", "--text", folder / "text", "--html", folder / "html"]
    clinic.command("send", *map(str, files), "--subject", SUBJECT)
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, **clinic.environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds, before, after = map(float, done.stdout.split())
    return seconds, before, after


if __name__ == "__main__":
    sys.exit(main())
