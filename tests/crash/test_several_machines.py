"""Four workers, each with a folder of its own, on one database and one Redis, killed in turn."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from clinic_dispatch_plugin.database.migrate import upgrade
from clinic_dispatch_plugin.error_reference.packs import install_packs
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.simulators.smtp import RelaySettings, SmtpSimulator
from clinic_dispatch_plugin.testing import FakeChannel, FakeHost
from tests.conftest import DATABASES
from tests.crash.clinic import create_app
from tests.crash.warm import Warm
from tests.crash.workers import CONNECTIONS, IN_FLIGHT, Clinic
from tests.engine.dispatching import Desk

pytestmark = pytest.mark.slow

MANY = 300
MACHINES = 4


@pytest.fixture(params=DATABASES[1:])
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the URL of a new database on a server."""
    with request.getfixturevalue(f"{request.param}_server").fresh_database() as url:
        yield url


@pytest.fixture
def clinic(
    server_url: str, redis_url: str, warm: Warm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Clinic]:
    ledger = tmp_path / "ledger"
    with SmtpSimulator(RelaySettings(ledger=ledger, latency=0.02)) as relay:
        settings = {
            "DATABASE_URL": server_url,
            "REDIS_URL": redis_url,
            "DATA_DIR": str(tmp_path / "data"),
            "EMAIL_URL": f"{relay.url}?connections={CONNECTIONS}",
            "EMAIL_FROM": "Klinik <post@klinik.example>",
            "LEASE_SECONDS": "4",
            "QUARANTINE_SECONDS": "8",
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"CLINIC_DISPATCH_{name}", value)
        dispatch = create_app().extensions["clinic_dispatch"]
        upgrade(dispatch.database)
        install_packs(dispatch)
        desk = Desk(dispatch=dispatch, channel=FakeChannel(key="email"), host=FakeHost())
        found = Clinic(
            desk=desk,
            environment=dict(os.environ),
            ledger_file=ledger,
            folder=tmp_path,
            warm=warm,
            relay=relay,
        )
        yield found
        found.end_all()
        dispatch.database.dispose()


def test_workers_with_folders_of_their_own_killed_in_turn_lose_and_double_nothing(
    clinic: Clinic, tmp_path: Path
) -> None:
    clinic.desk.mailing(MANY)
    for machine in range(MACHINES):
        start(clinic, tmp_path, machine)
    for machine in range(MACHINES):
        taken = len(clinic.ledger())
        clinic.wait_until(
            lambda taken=taken: len(clinic.ledger()) > taken + 20 or is_over(clinic),  # type: ignore[misc]
            "somebody sends",
        )
        kill(clinic, clinic.started[machine].pid)
        start(clinic, tmp_path, machine)  # it comes back and reads its own journals
    clinic.wait_until(lambda: is_over(clinic), "all is decided")
    clinic.wait_until(lambda: not list(tmp_path.glob("machine*/spool/*.j")), "no journal is left")
    check(clinic, uncertain=MACHINES * IN_FLIGHT)


def start(clinic: Clinic, folder: Path, machine: int) -> None:
    clinic.environment["CLINIC_DISPATCH_DATA_DIR"] = str(folder / f"machine{machine}")
    clinic.command("worker")


def kill(clinic: Clinic, pid: int) -> None:
    for member in (pid, *clinic.family(pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    time.sleep(0.1)


def is_over(clinic: Clinic) -> bool:
    return set(clinic.desk.states()) <= {"sent", "uncertain"}


def check(clinic: Clinic, *, uncertain: int) -> None:
    with clinic.desk.dispatch.database.begin() as connection:
        states = {
            row.id: row.state for row in connection.execute(select(Message.id, Message.state))
        }
        owners = {
            row.key: row.message_id
            for row in connection.execute(select(Attempt.key, Attempt.message_id))
        }
    handed = Counter(owners[str(line.envid)] for line in clinic.ledger())
    sent = {number for number, state in states.items() if state == "sent"}
    doubt = {number for number, state in states.items() if state == "uncertain"}
    assert len(states) == MANY
    assert sent - set(handed) == set(), "lost"
    assert {number for number, times in handed.items() if times > 1} == set(), "doubled"
    assert set(handed) - sent - doubt == set(), "wrong"
    assert len(doubt) <= uncertain, clinic.logs()
