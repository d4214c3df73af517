"""SIPp for the tests: plays a caller or an exchange by a script, as those who build exchanges use it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.servers.found import Found, Missing, look_for
from tests.servers.process import free_port

PART = "SIPp"
_PATIENCE = 20


def find() -> Found | Missing:
    """Look for the program."""
    return look_for(PART, ["sipp"])


def call(found: Found, script: str, folder: Path, *, port: int, number: str, password: str) -> str:
    """Call once and say how that went; empty: as the script has it."""
    scenario = folder / "caller.xml"
    scenario.write_text(script)
    done = subprocess.run(
        [
            found.program("sipp"), f"127.0.0.1:{port}", "-sf", str(scenario), "-s", number,
            "-au", "clinic", "-ap", password, "-i", "127.0.0.1", "-p", str(free_port()),
            "-m", "1", "-timeout", str(_PATIENCE), "-timeout_error", "-nostdin",
        ],
        capture_output=True, cwd=folder, timeout=2 * _PATIENCE, check=False, text=True,
    )  # fmt: skip
    return "" if done.returncode == 0 else f"{done.returncode}: {done.stdout[-1500:]}{done.stderr}"


@contextlib.contextmanager
def exchange(found: Found, script: str, folder: Path, *, calls: int) -> Iterator[int]:
    """Answer so many calls by a script; the port. At the end the script must have come through."""
    scenario, port = folder / "exchange.xml", free_port()
    scenario.write_text(script)
    running = subprocess.Popen(
        [
            found.program("sipp"), "-sf", str(scenario), "-i", "127.0.0.1", "-p", str(port),
            "-m", str(calls), "-timeout", str(_PATIENCE), "-timeout_error", "-nostdin",
        ],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield port
        out, problems = running.communicate(timeout=_PATIENCE)
        assert running.returncode == 0, f"{running.returncode}: {out[-1500:]}{problems}"
    finally:
        if running.poll() is None:
            running.kill()
            running.communicate()
