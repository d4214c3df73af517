"""Starts real workers as a person would, finds their processes, and compares what they say with the relay's ledger."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from clinic_dispatch_plugin.channels.faults import ALLOWED, FAIL_AT
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.simulators.smtp import LedgerLine, SmtpSimulator, read_ledger
from tests.crash.warm import Started, Warm
from tests.engine.dispatching import Desk

#: Seconds after which something is badly wrong; never reached by what works.
PATIENCE = 120.0
CONNECTIONS = 3
#: Each connection may have one message's end and the next one's envelope under way.
IN_FLIGHT = 2 * CONNECTIONS


@dataclass(frozen=True, kw_only=True)
class Clinic:
    """A clinic with a relay, whose workers live in processes of their own."""

    desk: Desk
    environment: dict[str, str]
    ledger_file: Path
    folder: Path
    warm: Warm
    relay: SmtpSimulator
    started: list[Started] = field(default_factory=list)

    def command(self, *words: str, fail_at: str = "") -> Started:
        """Begin ``flask dispatch …``.

        :param fail_at: ``point:kill[:nth]``.
        """
        environment = dict(self.environment)
        if fail_at:
            environment |= {FAIL_AT: fail_at, ALLOWED: "1"}
        process = self.warm.start(
            "--app",
            "tests.crash.clinic",
            "dispatch",
            *words,
            environment=environment,
            log=self.folder / f"worker{len(self.started)}.log",
        )
        self.started.append(process)
        return process

    def run(self, *words: str, fail_at: str = "") -> int:
        """Run ``flask dispatch …`` to its end; its status, negative for the signal that killed it."""
        process = self.command(*words, fail_at=fail_at)
        status = process.wait(PATIENCE)
        self.wait_until(lambda: not self.family(process.pid), "its processes are gone")
        return status

    def finish(self) -> None:
        """What a worker does in the hours after a crash: until nothing waits."""
        for _ in range(6):
            assert self.run("worker", "--burst") == 0, self.logs()
            if set(self.desk.states()) <= {"sent", "uncertain", "undelivered", "skipped"}:
                return
            self.desk.make_due()
        raise AssertionError(f"still waiting: {self.desk.states()}\n{self.logs()}")

    def ledger(self) -> list[LedgerLine]:
        """What the relay took."""
        return [line for line in read_ledger(self.ledger_file) if line.accepted]

    def wait_until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for it.

        :raises AssertionError: it does not come.
        """
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < deadline, f"{what}: never\n{self.logs()}"
            time.sleep(0.02)

    def family(self, pid: int) -> list[int]:
        """Every process that still has this one's session, the embedded server's own left out."""
        return [member for member in _processes() if member != pid and _started_by(member, pid)]

    def logs(self) -> str:
        """What the workers said."""
        files = sorted(self.folder.glob("worker*.log"))
        return "\n".join(f"{file.name}:\n{file.read_text(errors='replace')}" for file in files)

    def end_all(self) -> None:
        """Kill what a failed test left."""
        for process in self.started:
            for pid in (process.pid, *self.family(process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()

    def check(self, *, uncertain: int) -> None:
        """Compare database and ledger message by message.

        :param uncertain: how many may be in doubt at most.
        """
        with self.desk.dispatch.database.begin() as connection:
            states = {
                row.id: row.state for row in connection.execute(select(Message.id, Message.state))
            }
            owners = {
                row.key: row.message_id
                for row in connection.execute(select(Attempt.key, Attempt.message_id))
            }
            keys = {row.key: row.id for row in connection.execute(select(Message.key, Message.id))}
        handed = Counter(owners[str(line.envid)] for line in self.ledger())
        by_id = Counter(_by_message_id(line, keys) for line in self.ledger())
        assert handed == by_id, "envelope and header name the same message"
        sent = {number for number, state in states.items() if state == "sent"}
        doubt = {number for number, state in states.items() if state == "uncertain"}
        assert sent - set(handed) == set(), "lost: called sent, and the relay never had it"
        assert {n for n, times in handed.items() if times > 1} == set(), "doubled"
        assert set(handed) - sent - doubt == set(), "wrong: handed over, and called unsent"
        assert set(states.values()) <= {"sent", "uncertain"}, "lost: nobody goes on with it"
        assert len(doubt) <= uncertain, self.logs()
        assert self.desk.journals() == []


def _by_message_id(line: LedgerLine, keys: Mapping[str, int]) -> int:
    (found,) = [number for key, number in keys.items() if key in str(line.message_id)]
    return found


def _processes() -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def _started_by(pid: int, leader: int) -> bool:
    """Whether a process is in the leader's session and lives."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    state, _, _, session = line.rpartition(")")[2].split()[:4]
    return int(session) == leader and state != "Z"
