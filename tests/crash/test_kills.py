"""``kill -9`` at every named point: nothing lost, nothing doubled, nothing called unsent that went out."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.tables import Message
from tests.crash.workers import IN_FLIGHT, Clinic

pytestmark = pytest.mark.slow

MANY = 150
#: Each point with how often it is passed before the kill, and how many messages may be in doubt then.
POINTS = [
    ("pump.after_claim:kill", 0),
    ("pump.after_open:kill", 0),
    ("pump.after_open:kill:2", IN_FLIGHT),
    ("send.before_bytes:kill", IN_FLIGHT),
    ("send.before_bytes:kill:70", IN_FLIGHT),
    ("send.after_bytes:kill", IN_FLIGHT),
    ("send.after_bytes:kill:70", IN_FLIGHT),
    ("send.after_answer:kill", IN_FLIGHT),
    ("send.after_answer:kill:70", IN_FLIGHT),
    ("record.before_commit:kill:2", IN_FLIGHT),
    ("record.after_commit:kill:2", IN_FLIGHT),
    ("enqueue.before:kill", 0),
]


@pytest.mark.parametrize(("point", "uncertain"), POINTS, ids=[point for point, _ in POINTS])
def test_a_worker_killed_here_loses_and_doubles_nothing(
    make_clinic: Callable[..., Clinic], point: str, uncertain: int
) -> None:
    clinic = make_clinic()
    clinic.desk.mailing(MANY)
    assert clinic.run("worker", "--burst", fail_at=point) == -signal.SIGKILL, clinic.logs()
    clinic.finish()
    clinic.check(uncertain=uncertain)
    assert clinic.desk.count(Message) == MANY


def test_a_worker_killed_again_and_again_comes_to_an_end(
    make_clinic: Callable[..., Clinic],
) -> None:
    clinic = make_clinic()
    clinic.desk.mailing(MANY)
    kills = 3
    for number in range(kills):
        status = clinic.run("worker", "--burst", fail_at=f"send.after_answer:kill:{20 + number}")
        assert status == -signal.SIGKILL
    clinic.finish()
    clinic.check(uncertain=kills * IN_FLIGHT)


def test_several_processes_of_one_worker_share_a_mailing(
    make_clinic: Callable[..., Clinic],
) -> None:
    clinic = make_clinic()
    clinic.desk.mailing(MANY * 4)
    assert clinic.run("worker", "--burst", "--concurrency", "3") == 0, clinic.logs()
    clinic.finish()
    clinic.check(uncertain=0)


def test_a_plan_killed_midway_goes_on_and_nobody_is_written_twice(
    make_clinic: Callable[..., Clinic],
) -> None:
    people = 1_200
    # Whoever plans holds a lock, and a dead planner's lasts for its lease.
    clinic = make_clinic(people=people, lease=10.0)
    mailing = clinic.desk.mailing(0, state="planning")
    clinic.desk.change(
        Mailing, source="audience", selection={"audience": "everybody", "filters": {}}
    )
    clinic.run("worker", "--burst", fail_at="plan.mid_batch:kill:2")
    assert clinic.desk.state_of_mailing(mailing)["state"] == "planning"
    assert 0 < clinic.desk.count(Message) < people
    assert clinic.ledger() == [], "nothing goes out before the plan is whole"
    clinic.finish()
    assert clinic.desk.count(Message) == people
    clinic.check(uncertain=0)


def test_what_was_committed_before_the_bell_rang_is_sent(
    make_clinic: Callable[..., Clinic], tmp_path: Path
) -> None:
    clinic = make_clinic()
    people = tmp_path / "people.csv"
    people.write_text("email,name\n" + "".join(f"p{n}@patient.example,P{n}\n" for n in range(20)))
    text = tmp_path / "text.txt"
    text.write_text("Guten Tag {{ name }}")
    words = ["send", "--channel", "email", "--to", str(people), "--text", str(text)]
    status = clinic.run(*words, "--subject", "Termin", fail_at="enqueue.before:kill")
    assert status == -signal.SIGKILL, clinic.logs()
    assert clinic.desk.count(Message) == 20
    clinic.finish()
    clinic.check(uncertain=0)


def test_the_fault_is_obeyed_only_where_faults_are_allowed(
    make_clinic: Callable[..., Clinic], monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = make_clinic()
    clinic.desk.mailing(3)
    process = clinic.command("status", "--json", fail_at="")
    assert process.wait(60) == 0
    assert json.loads((clinic.folder / "worker0.log").read_text().splitlines()[-1])["waiting"] == 3
    clinic.environment["CLINIC_DISPATCH_FAIL_AT"] = "pump.after_claim:kill"
    assert clinic.run("worker", "--burst") == 0
    clinic.check(uncertain=0)
