"""Workers that are asked to end, lose their head, or freeze."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clinic_dispatch_plugin.engine.presence import worker_is_seen
from clinic_dispatch_plugin.engine.tables import Worker
from clinic_dispatch_plugin.engine.tender import tend
from clinic_dispatch_plugin.simulators.smtp import Mode
from tests.conftest import DATABASES
from tests.crash.workers import IN_FLIGHT, Clinic

pytestmark = pytest.mark.slow

MANY = 400
#: Seconds the relay takes for each answer, so that a signal finds it at work.
LATENCY = 0.03


def begin(clinic: Clinic) -> int:
    """A worker in the middle of a mailing; gives its process id."""
    clinic.desk.mailing(MANY)
    process = clinic.command("worker")
    clinic.wait_until(lambda: len(clinic.ledger()) >= 20, "the first messages are out")
    return process.pid


def test_sigterm_finishes_what_is_open_and_gives_the_rest_back(
    make_clinic: Callable[..., Clinic],
) -> None:
    clinic = make_clinic(latency=LATENCY)
    pid = begin(clinic)
    process = clinic.started[-1]
    os.kill(pid, signal.SIGTERM)
    assert process.wait(60) == 0, clinic.logs()
    assert clinic.family(pid) == []
    states = clinic.desk.states()
    assert set(states) == {"sent", "queued"}, "nothing in doubt, nothing leased"
    assert states["sent"] == len(clinic.ledger())
    assert [run["state"] for run in clinic.desk.runs()] == ["ended"]
    clinic.finish()
    clinic.check(uncertain=0)


def test_a_signal_to_every_process_at_once_drains_too(make_clinic: Callable[..., Clinic]) -> None:
    """As a service manager does, and Ctrl-C in a terminal."""
    clinic = make_clinic(latency=LATENCY)
    pid = begin(clinic)
    for member in (pid, *clinic.family(pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGTERM)
    assert clinic.started[-1].wait(60) == 0, clinic.logs()
    assert set(clinic.desk.states()) == {"sent", "queued"}
    clinic.finish()
    clinic.check(uncertain=0)


def test_when_the_supervisor_is_killed_alone_its_children_finish_and_end(
    make_clinic: Callable[..., Clinic],
) -> None:
    clinic = make_clinic(latency=LATENCY)
    pid = begin(clinic)
    assert clinic.family(pid)
    os.kill(pid, signal.SIGKILL)
    clinic.started[-1].wait()
    clinic.wait_until(lambda: clinic.family(pid) == [], "the children have ended")
    assert len(clinic.ledger()) < MANY, "they did not wait for the end of the mailing"
    assert set(clinic.desk.states()) == {"sent", "queued"}
    clinic.finish()
    clinic.check(uncertain=0)


@pytest.mark.parametrize("path", [None, "/nowhere"], ids=["", "without ps"])
def test_a_second_signal_ends_every_process_at_once(
    make_clinic: Callable[..., Clinic], path: str | None
) -> None:
    """The gateway is silent, so the first one alone would wait for its answers."""
    clinic = make_clinic(latency=60.0)
    clinic.desk.mailing(5)
    if path is not None:
        clinic.environment["PATH"] = path
    process = clinic.command("worker")
    clinic.wait_until(lambda: "sending" in clinic.desk.states(), "something is under way")
    os.kill(process.pid, signal.SIGTERM)
    clinic.wait_until(lambda: is_drained(clinic), "its other processes have ended")
    assert process.poll() is None
    began = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    process.wait(20)
    assert time.monotonic() - began < 10
    clinic.wait_until(lambda: clinic.family(process.pid) == [], "no process is left")
    assert clinic.desk.count(Worker) == 0, f"it did not sign off\n{clinic.logs()}"
    tend(clinic.desk.dispatch)
    states = clinic.desk.states()
    assert set(states) <= {"queued", "uncertain"}
    assert states.get("uncertain", 0) <= IN_FLIGHT, "no more than what the gateway had in hand"


def is_drained(clinic: Clinic) -> bool:
    """Whether the worker's tender is gone, so that its supervisor waits for the work-horse alone."""
    members = clinic.family(clinic.started[0].pid)
    return len([member for member in members if _is_worker(member)]) <= 2


def test_a_killed_worker_is_missed_before_its_last_sign_of_life_is_old(
    make_clinic: Callable[..., Clinic],
) -> None:
    clinic = make_clinic()
    pid = clinic.command("worker").pid
    clinic.wait_until(lambda: worker_is_seen(clinic.desk.dispatch), "the worker is seen")
    began = time.monotonic()
    for member in (pid, *(each for each in clinic.family(pid) if _is_worker(each))):
        os.kill(member, signal.SIGKILL)
    clinic.started[-1].wait()
    clinic.wait_until(lambda: not worker_is_seen(clinic.desk.dispatch), "it is missed")
    assert time.monotonic() - began < 15
    assert clinic.desk.count(Worker) == 1, "it could not sign off"


def test_a_burst_in_which_nothing_moves_ends_with_words(make_clinic: Callable[..., Clinic]) -> None:
    clinic = make_clinic()
    clinic.desk.mailing(2)
    assert clinic.run("worker", "--burst", fail_at="pump.after_claim:raise") == 1
    assert "2 messages are due and none of them moved" in clinic.logs()
    assert clinic.desk.states() == {"queued": 2}
    clinic.finish()
    clinic.check(uncertain=0)


def test_a_workhorse_killed_alone_costs_no_more_than_what_it_had_in_flight(
    make_clinic: Callable[..., Clinic],
) -> None:
    clinic = make_clinic(latency=LATENCY)
    pid = begin(clinic)
    run = clinic.desk.runs()[-1]
    os.kill(int(run["worker"].rpartition(":")[2]), signal.SIGKILL)
    clinic.wait_until(lambda: "queued" not in clinic.desk.states(), "its worker goes on")
    clinic.wait_until(lambda: set(clinic.desk.states()) <= {"sent", "uncertain"}, "all is decided")
    os.kill(pid, signal.SIGTERM)
    assert clinic.started[-1].wait(60) == 0
    clinic.check(uncertain=IN_FLIGHT)


@pytest.mark.parametrize("crash_url", DATABASES[1:2], indirect=True)
def test_a_worker_frozen_past_its_lease_opens_nothing_when_it_wakes(
    make_clinic: Callable[..., Clinic],
) -> None:
    """On SQLite a process frozen inside a transaction holds up every writer until it wakes: told in the documents."""
    clinic = make_clinic(latency=LATENCY, lease=3.0)
    pid = begin(clinic)
    clinic.relay.switch(Mode.SLOW)  # on a busy machine all might be out before anything is frozen
    frozen = [member for member in (pid, *clinic.family(pid)) if _is_worker(member)]
    assert len(frozen) >= 4, "supervisor, tender, RQ worker, work-horse"
    for member in frozen:
        os.kill(member, signal.SIGSTOP)
    assert clinic.desk.runs()[0]["state"] == "live"
    clinic.relay.switch(Mode.NORMAL)
    try:
        clinic.wait_until(lambda: is_taken_over(clinic), "the frozen run is lost")
    finally:
        for member in frozen:
            os.kill(member, signal.SIGCONT)
    clinic.wait_until(lambda: is_settled(clinic), "what it knows is written down")
    os.kill(pid, signal.SIGTERM)
    assert clinic.started[0].wait(60) == 0
    clinic.finish()
    clinic.check(uncertain=IN_FLIGHT)


def is_taken_over(clinic: Clinic) -> bool:
    """Whether another worker has declared the first run lost; one frozen inside a transaction takes longer."""
    return clinic.run("worker", "--burst") == 0 and clinic.desk.runs()[0]["state"] == "lost"


def is_settled(clinic: Clinic) -> bool:
    """Whether no run is at work and nothing waits."""
    return clinic.desk.journals() == [] and set(clinic.desk.states()) <= {"sent", "uncertain"}


def _is_worker(pid: int) -> bool:
    """The embedded server and its watchdog are nobody's workers."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"flask" in words
