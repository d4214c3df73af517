"""``make mutants``: breaks each promise in a copy of the tree, and demands that the tests named for it fail.

With words behind it only what they are part of is broken: a promise, or a part of a file's name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.mutants.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
#: Seconds after which tests that hang have noticed as well; all of them together, with nothing broken, may take longer.
PATIENCE = 400
PATIENCE_WITH_ALL = 3_600
#: One kind of database is enough to notice.
ONE_DATABASE = "not postgresql and not mariadb"


def copy_to(folder: Path) -> None:
    """What is kept in the repository, or would be."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout
    for name in said.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    # An installed copy would be found first under this name.
    (folder / "clinic_dispatch_plugin" / "migrations").symlink_to(folder / "migrations")


@contextmanager
def broken(folder: Path, mutation: Mutation) -> Iterator[None]:
    """The copy, with one line of it broken."""
    path = folder / mutation.file
    whole = path.read_text()
    if whole.count(mutation.old) != 1:
        raise SystemExit(
            f"{mutation.file} holds {mutation.old!r} {whole.count(mutation.old)} times"
        )
    path.write_text(whole.replace(mutation.old, mutation.new))
    try:
        yield
    finally:
        path.write_text(whole)


def noticed(folder: Path, tests: Sequence[str], patience: float = PATIENCE) -> tuple[bool, str]:
    """Whether some test fails, or hangs; and the last words of the run."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(folder / "plugins")]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [*words, "-m", ONE_DATABASE, *tests],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=patience,
        )
    except subprocess.TimeoutExpired:
        return True, "it hung"
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    said = [line for line in lines if line.startswith("FAILED")] or lines[-1:]
    if done.returncode not in (0, 1):
        raise SystemExit(f"pytest did not run ({' '.join(tests)}):\n{done.stdout}{done.stderr}")
    return done.returncode == 1, "".join(said)


def main(only: str = "") -> int:
    """Break one after the other; the number of those nobody noticed."""
    chosen = [
        each for each in MUTATIONS if not only or only in (each.promise, *each.file.split("/"))
    ]
    alive: list[Mutation] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        copy_to(folder)
        whole = sorted({test for each in chosen for test in each.tests})
        failed, said = noticed(folder, whole, PATIENCE_WITH_ALL)
        if failed:
            print(f"Nothing is broken yet, and tests fail: {said}")
            return 1
        for mutation in chosen:
            began = time.monotonic()
            with broken(folder, mutation):
                killed, said = noticed(folder, mutation.tests)
            word = "noticed " if killed else "SURVIVES"
            seconds = time.monotonic() - began
            print(f"{word} {mutation.promise:8} {mutation.harm} ({seconds:.0f} s)", flush=True)
            if not killed:
                alive.append(mutation)
    print(f"{len(chosen) - len(alive)} of {len(chosen)} broken promises were noticed.")
    return len(alive)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:2]))
