"""Runs our programs as a person does: real processes, and nothing of the tests' own environment."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Seconds any of them may take; generous, for a busy machine.
PATIENCE = 120.0
CLINIC_DISPATCH = (sys.executable, "-m", "clinic_dispatch_plugin.demo.cli")
FLASK = (sys.executable, "-m", "flask")


def clean_environment(**values: str) -> dict[str, str]:
    """The environment of a shell that has never heard of us, with these variables."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CLINIC_DISPATCH_", "FLASK_"))
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **values}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a program left behind."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as one JSON object a line; fails when anything else stands there."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        """The JSON object in the last line of standard output."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


@dataclass(slots=True)
class Shell:
    """A folder and an environment to type commands in."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str | Path, stdin: str = "", **variables: str) -> Ended:
        """Run a command to its end."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=clean_environment(**{**self.variables, **variables}),
            input=stdin.encode(),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ended(status=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())

    def ours(self, *arguments: str | Path, **rest: str) -> Ended:
        """``clinic-dispatch …``."""
        return self.run(*CLINIC_DISPATCH, *arguments, **rest)

    @contextlib.contextmanager
    def running(self, *command: str | Path, name: str = "program") -> Iterator[Program]:
        """Run a command that stays; whatever is left of it at the end is killed."""
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=self.folder,
                env=clean_environment(**self.variables),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        program = Program(process=process, out=out, err=err)
        try:
            yield program
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(slots=True, kw_only=True)
class Program:
    """A program that runs."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Wait until ``ready()``; fails with the program's words when it ends or never gets there."""

        def over() -> bool:
            if ready():
                return True
            assert self.process.poll() is None, f"it ended: {self.err.read_text()}"
            return False

        wait_until(over, "the program is not ready")

    def wait_for_output(self, words: str) -> None:
        """Wait until these words stand on standard output."""
        self.wait_for(lambda: words in self.out.read_text(encoding="utf-8"))

    def end(self, number: int) -> int:
        """Send a signal and wait for the end; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def wait_until(ready: Callable[[], bool], otherwise: str) -> None:
    """Look again and again; fails with ``otherwise`` when it takes too long."""
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end, otherwise
        time.sleep(0.1)


def descendants(pid: int) -> set[int]:
    """Every process this one started, directly or not."""
    table = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    children: dict[int, list[int]] = {}
    for line in table.stdout.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found: set[int] = set()
    wanted = [pid]
    while wanted:
        for child in children.get(wanted.pop(), []):
            found.add(child)
            wanted.append(child)
    return found


def alive(pids: set[int]) -> set[int]:
    """Those of these processes that still run; a zombie does not."""
    table = subprocess.run(
        ["ps", "-e", "-o", "pid=,stat="], capture_output=True, text=True, check=True
    )
    running = {
        int(line.split()[0]) for line in table.stdout.splitlines() if "Z" not in line.split()[1]
    }
    return pids & running


def counts_of(said: Mapping[str, Any]) -> dict[str, int]:
    """The counts of a result, without those that are nothing."""
    return {state: count for state, count in said["counts"].items() if count}
