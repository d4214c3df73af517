"""Runs the benchmarks one after the other and writes ``RESULTS.md`` from what they found.

``--full`` takes the sizes of the goals, ``--only NAME`` one script, whose section alone is written anew; ``--keep``
leaves ``RESULTS.md`` as it is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.figures import FULL, INTO
from tests.benchmarks.report import Ran, written

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
#: The goals of speed first, then what single parts cost.
FIRST = ("end_to_end", "latency", "growth", "planning", "trouble", "pages")
#: Seconds after which a benchmark is given up.
PATIENCE, PATIENCE_FULL = 400, 7_200


def main() -> int:
    """Run them; a benchmark that fails is named, and the others go on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    several = [name for name in _names() if not options.only or name in options.only]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, INTO: folder, **({FULL: "1"} if options.full else {})}
        ran = [_run(name, environment, full=options.full) for name in several]
        if not options.keep:
            before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
            page = written(Path(folder), ran, before=before, names=_names())
            RESULTS.write_text(page, encoding="utf-8")
    return max((each.status for each in ran), default=0)


def _names() -> list[str]:
    there = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    return [*FIRST, *(name for name in there if name not in FIRST)]


def _run(name: str, environment: dict[str, str], *, full: bool) -> Ran:
    print(f"{name} ...", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, str(HERE / f"bench_{name}.py")], env=environment, stdout=output
        )
        try:
            status = process.wait(PATIENCE_FULL if full else PATIENCE)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
            status = 124
        output.seek(0)
        said = output.read()
    print(said, end="", flush=True)
    return Ran(name=name, status=status, said=said, seconds=time.monotonic() - start)


if __name__ == "__main__":
    sys.exit(main())
