"""Two workers at full speed: stop means stop, and what is urgent does not wait for the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.messages.mailing_rules import priority
from tests.conftest import DATABASES
from tests.crash.workers import Clinic

pytestmark = pytest.mark.slow

SOMEBODY = Actor(ref="1", name="B. Lang")
MANY = 2_000


def at_once(clinic: Clinic, act: Callable[[], bool]) -> timedelta:
    """Do it, and say how long after its confirmation the relay still got something."""
    assert act()
    confirmed = datetime.now(UTC)
    before = -1
    while len(clinic.ledger()) != before:
        before = len(clinic.ledger())
        time.sleep(1.0)
    return max(line.at for line in clinic.ledger()) - confirmed


@pytest.mark.parametrize("crash_url", DATABASES[1:2], indirect=True)
def test_two_workers_stop_go_on_and_let_the_urgent_pass(
    make_clinic: Callable[..., Clinic],
) -> None:
    clinic = make_clinic(latency=0.01)
    dispatch = clinic.desk.dispatch
    many = clinic.desk.mailing(MANY)
    workers = [clinic.command("worker"), clinic.command("worker")]
    clinic.wait_until(
        lambda: sum(run["state"] == "live" for run in clinic.desk.runs()) >= 2, "both are sending"
    )
    clinic.wait_until(lambda: len(clinic.ledger()) >= 200, "the first messages are out")

    clinic.desk.mailing(["urgent@patient.example"], priority=priority("results", 1))
    dispatch.doorbell.ring()
    clinic.wait_until(
        lambda: any(line.recipient.startswith("urgent@") for line in clinic.ledger()), "it passed"
    )
    assert len(clinic.ledger()) < MANY

    late = at_once(clinic, lambda: mailings.pause(dispatch, many, SOMEBODY))
    assert late < timedelta(seconds=2), clinic.logs()
    held = len(clinic.ledger())
    assert clinic.desk.states(many).get("queued", 0) > 0

    assert mailings.resume(dispatch, many, SOMEBODY)
    clinic.wait_until(lambda: len(clinic.ledger()) > held + 50, "it goes on")
    late = at_once(clinic, lambda: mailings.cancel(dispatch, many, SOMEBODY))
    assert late < timedelta(seconds=2), clinic.logs()
    clinic.wait_until(
        lambda: set(clinic.desk.states(many)) == {"sent", "skipped"}, "the rest is decided"
    )
    assert len(clinic.ledger()) == clinic.desk.states(many)["sent"] + 1
    for worker in workers:
        assert worker.poll() is None
