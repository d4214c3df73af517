"""Two workers step by step: what an old attempt says late, and what a stopped account lets out."""

from __future__ import annotations

import pytest

from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine.tables import Run
from clinic_dispatch_plugin.engine.tender import tend
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import reported_store, truth_store
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.service import Settlement, settle_uncertain
from clinic_dispatch_plugin.messages.tables import Attempt
from clinic_dispatch_plugin.reports import effects
from tests.conftest import DATABASES
from tests.engine.dispatching import Desk
from tests.engine.stepping import Gateway, Stepper

pytestmark = pytest.mark.parametrize("database_url", DATABASES[:1], indirect=True)
ADDRESS = "p0@example.org"


def two_workers(desk: Desk, *, taken: bool = True) -> tuple[Stepper, Stepper]:
    """The first has the message in hand and is frozen; a person sent it again, and the second opened its window.

    :param taken: it was about to go when the first froze; else its window was opened and no more.
    """
    mailing = desk.mailing(1)
    first = Stepper(desk, mailing)
    first.open()
    assert not taken or first.take() is not None
    first.expire()
    tend(desk.dispatch)
    seconds = desk.dispatch.settings.quarantine_seconds
    desk.change(Run, Run.state == "lost", ended_at=db_now(-seconds - 1.0))
    chosen = Chosen(ids=(desk.message(ADDRESS)["id"],))
    somebody = Actor(ref="1", name="B. Lang")
    again = Settlement.SEND_AGAIN
    assert settle_uncertain(desk.dispatch, somebody, chosen, again, may_arrive_twice=True).done == 1
    second = Stepper(desk, mailing)
    second.open()
    assert desk.message(ADDRESS)["state"] == "sending"
    return first, second


def test_a_late_result_leaves_the_attempt_that_is_under_way_alone(desk: Desk) -> None:
    first, second = two_workers(desk)
    first.hand_over(Gateway(), "refuses")
    first.answer()
    first.record()
    message = desk.message(ADDRESS)
    old, new = desk.attempts_of(ADDRESS)
    assert (message["state"], message["attempt_id"]) == ("sending", new["id"])
    assert (old["state"], new["state"]) == ("refused", "open")
    for worker in (first, second):
        worker.end(Gateway())


@pytest.mark.parametrize("first_ends", ["meanwhile", "afterwards"])
def test_a_try_that_proves_late_to_be_none_is_not_counted(desk: Desk, first_ends: str) -> None:
    """Its message has gone on by then: it counts the tries that were made, whoever records first."""
    first, second = two_workers(desk, taken=False)
    assert desk.message(ADDRESS)["attempts"] == 2
    if first_ends == "meanwhile":
        first.end(Gateway())
    assert second.take() is not None
    second.end(Gateway())
    if first_ends == "afterwards":
        first.end(Gateway())
    old, new = desk.attempts_of(ADDRESS)
    assert (old["state"], new["state"]) == ("withdrawn", "accepted")
    assert (desk.message(ADDRESS)["state"], desk.message(ADDRESS)["attempts"]) == ("sent", 1)
    with desk.dispatch.database.begin() as connection:
        assert truth_store.disagreements(connection) == {}


def test_a_late_report_of_an_old_attempt_says_nothing_of_the_new_one(desk: Desk) -> None:
    first, second = two_workers(desk)
    second.take()
    second.end(Gateway())
    assert desk.message(ADDRESS)["state"] == "sent"

    def arrived(connection: object) -> None:
        old = desk.attempts_of(ADDRESS)[0]["id"]
        [row] = reported_store.attempts_by_id(connection, [old])  # type: ignore[arg-type]
        effects.arrived(connection, effects.Tie(attempt=row))  # type: ignore[arg-type]

    desk.dispatch.database.run(arrived)
    old, new = desk.attempts_of(ADDRESS)
    assert (old["report"], new["report"]) == ("delivered", None)
    assert desk.message(ADDRESS)["state"] == "sent"
    first.end(Gateway())


def test_a_stopped_account_opens_no_further_window(desk: Desk) -> None:
    worker = Stepper(desk, desk.mailing(7))
    worker.open()
    opened = desk.count(Attempt)
    assert 0 < opened < 7
    desk.change(AccountRow, state="stopped")
    worker.open()
    assert desk.count(Attempt) == opened
    worker.end(Gateway())
    assert set(desk.states()) == {"queued"}, "nothing was taken, and all waits for the account"
