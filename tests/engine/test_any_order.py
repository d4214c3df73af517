"""Messages in any order of events: workers step by step, crashes, reports, persons, pauses, edits of the reference.

A gateway beside them remembers what it really took and what persons ordered; after every step the database is compared
with that. ``HYPOTHESIS_PROFILE=long`` looks for as long as one likes.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select, text

from clinic_dispatch_plugin.api import Answer
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine import stream
from clinic_dispatch_plugin.engine.tables import Run
from clinic_dispatch_plugin.engine.tender import tend
from clinic_dispatch_plugin.error_reference import editing, following, service
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.messages import again, reported_store, truth_store
from clinic_dispatch_plugin.messages.mailing_tables import Mailing, Revision
from clinic_dispatch_plugin.messages.rules import MOVES, MessageState
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.service import Settlement, settle_uncertain
from clinic_dispatch_plugin.messages.tables import Attempt, Audit, Block, Message
from clinic_dispatch_plugin.reports import effects
from clinic_dispatch_plugin.reports.tables import Asking
from tests.conftest import DATABASES
from tests.engine.conftest import _SEEN, TRIGGERS, moves_seen
from tests.engine.dispatching import Desk, open_desk
from tests.engine.stepping import Gateway, Stepper

SOMEBODY = Actor(ref="u1", name="Empfang")
PEOPLE = [f"p{number}@example.org" for number in range(4)]
DOES = st.sampled_from(["takes", "takes", "takes silently", "loses", "refuses", "delays"])
#: States that say that nothing was handed over since somebody ordered it.
UNSENT = {"queued", "leased", "skipped"}

settings.register_profile(
    "any-order", max_examples=4, stateful_step_count=25, derandomize=True, database=None
)
settings.register_profile("long", max_examples=2_000, stateful_step_count=80)
PROFILE = "long" if os.environ.get("HYPOTHESIS_PROFILE") == "long" else "any-order"


class AnyOrder(RuleBasedStateMachine):
    """One mailing or two, a few workers, and everything that may happen to them."""

    desk: Desk
    workers = Bundle("workers")
    mailings = Bundle("mailings")

    @initialize(target=mailings, number=st.integers(1, 2))
    def begin(self, number: int) -> object:
        _empty(self.desk)
        self.gateway = Gateway()
        #: Times a person ordered a message once more, by its key.
        self.orders: Counter[str] = Counter()
        self.alive: list[Stepper] = []
        #: Runs whose process is gone, or whose lease is over.
        self.lost: set[int] = set()
        return multiple(*(self.desk.mailing(PEOPLE) for _ in range(number)))

    # -- workers ----------------------------------------------------------------------------------

    @precondition(lambda self: len(self.alive) < 3)
    @rule(target=workers, mailing=mailings)
    def a_worker_begins(self, mailing: int) -> Stepper:
        worker = Stepper(self.desk, mailing)
        self.alive.append(worker)
        return worker

    @rule(worker=workers)
    def it_opens_a_window(self, worker: Stepper) -> None:
        if worker in self.alive:
            runs = self.desk.state_of_mailing(worker.mailing_id)["state"] == "running"
            before = self.desk.count(Attempt)
            worker.open()
            if not runs or worker.run.run_id in self.lost:
                assert self.desk.count(Attempt) == before, "G8: a window opened that may not"

    @rule(worker=workers, number=st.integers(1, 3))
    def it_takes_messages(self, worker: Stepper, number: int) -> None:
        for _ in range(number if worker in self.alive else 0):
            message = worker.take()
            if message is None:
                return
            with self.desk.dispatch.database.begin() as connection:
                query = select(Attempt.state, Attempt.run_id)
                found = connection.execute(query.where(Attempt.id == message.attempt_id)).one()
            assert found.run_id == worker.run.run_id, "G4: an attempt has one worker"
            assert found.state == "open", "G4: written down first"
            assert worker.run.run_id not in self.lost

    @rule(worker=workers, does=DOES)
    def the_gateway_has_it(self, worker: Stepper, does: str) -> None:
        if worker in self.alive:
            worker.hand_over(self.gateway, does)

    @rule(worker=workers, number=st.integers(1, 3))
    def it_reads_answers(self, worker: Stepper, number: int) -> None:
        for _ in range(number if worker in self.alive else 0):
            worker.answer()

    @rule(worker=workers)
    def it_records(self, worker: Stepper) -> None:
        if worker in self.alive:
            worker.record()

    @rule(worker=workers)
    def it_ends(self, worker: Stepper) -> None:
        if worker in self.alive:
            self.alive.remove(worker)
            worker.end(self.gateway)

    # -- faults -----------------------------------------------------------------------------------

    @rule(worker=workers, journal_lost=st.booleans())
    def it_dies(self, worker: Stepper, journal_lost: bool) -> None:
        if worker in self.alive:
            self.alive.remove(worker)
            self.lost.add(worker.run.run_id)
            worker.die(journal_lost=journal_lost)

    @rule(worker=workers)
    def its_lease_runs_out(self, worker: Stepper) -> None:
        self.lost.add(worker.run.run_id)
        worker.expire()

    @rule()
    def the_tender_makes_its_round(self) -> None:
        tend(self.desk.dispatch)

    @rule()
    def time_passes(self) -> None:
        self.desk.make_due()
        seconds = self.desk.dispatch.settings.quarantine_seconds
        self.desk.change(Run, Run.state == "lost", ended_at=db_now(-seconds - 1.0))

    # -- persons ----------------------------------------------------------------------------------

    @rule(mailing=mailings)
    def somebody_pauses(self, mailing: int) -> None:
        mailings.pause(self.desk.dispatch, mailing, SOMEBODY)

    @rule(mailing=mailings)
    def somebody_lets_it_go_on(self, mailing: int) -> None:
        mailings.resume(self.desk.dispatch, mailing, SOMEBODY)

    @precondition(lambda self: sum(self.gateway.took.values()) > 3)
    @rule(mailing=mailings)
    def somebody_cancels(self, mailing: int) -> None:
        mailings.cancel(self.desk.dispatch, mailing, SOMEBODY)

    @rule(mailing=mailings, address=st.sampled_from(PEOPLE), choice=st.sampled_from(Settlement))
    def somebody_decides_a_doubt(self, mailing: int, address: str, choice: Settlement) -> None:
        message = self._message(mailing, address)
        chosen = Chosen(ids=(message["id"],))
        done = settle_uncertain(self.desk.dispatch, SOMEBODY, chosen, choice, may_arrive_twice=True)
        assert message["state"] == "uncertain" or not done.done
        if done.done and choice is Settlement.SEND_AGAIN:
            self.orders[message["key"]] += 1

    @rule(mailing=mailings, address=st.sampled_from(PEOPLE))
    def somebody_sends_again(self, mailing: int, address: str) -> None:
        message = self._message(mailing, address)
        done = again.resend(self.desk.dispatch, SOMEBODY, Chosen(ids=(message["id"],)))
        assert message["state"] in ("undelivered", "skipped") or not done.done
        self.orders[message["key"]] += done.done

    @rule(action=st.sampled_from(["retry", "fail"]))
    def somebody_edits_the_reference(self, action: str) -> None:
        _policy(self.desk, action)

    # -- reports ----------------------------------------------------------------------------------

    @precondition(lambda self: self.gateway.known)
    @rule(place=st.integers(0, 50), arrived=st.booleans())
    def the_gateway_reports(self, place: int, arrived: bool) -> None:
        attempt_id = sorted(self.gateway.known)[place % len(self.gateway.known)]
        dispatch = self.desk.dispatch
        answer = Answer(system="fake", code="unknown", text="unknown after all")

        def work(connection: object) -> bool:
            rows = reported_store.attempts_by_id(connection, [attempt_id])  # type: ignore[arg-type]
            tie = effects.Tie(attempt=rows[0])
            if tie.is_early:
                return False
            if arrived:
                effects.arrived(connection, tie)  # type: ignore[arg-type]
            else:
                effects.failed(dispatch, connection, answer, tie)  # type: ignore[arg-type]
            return tie.is_current

        current = dispatch.database.run(work)
        if current and arrived:
            found = self._by_key(self.gateway.known[attempt_id])
            assert found["attempt_id"] != attempt_id or found["state"] in (
                "delivered",
                "leased",  # a worker has it for its next try already
                "skipped",
            ), f"G5: it arrived, and is {found['state']}"

    # -- what must always be true -----------------------------------------------------------------

    @invariant()
    def the_database_tells_the_truth(self) -> None:
        with self.desk.dispatch.database.begin() as connection:
            assert truth_store.disagreements(connection) == {}
            rows = connection.execute(select(Message.key, Message.state)).all()
        for row in rows:
            took, orders = self.gateway.took[row.key], self.orders[row.key]
            assert took <= 1 + orders, "G3: handed over twice, and nobody ordered it"
            assert row.state not in UNSENT or took <= orders, "G1: called unsent, and it went out"

    def teardown(self) -> None:
        """Nothing more goes wrong: everything comes to an end, and nothing was lost."""
        if not hasattr(self, "gateway"):
            return
        for worker in self.alive:
            worker.end(self.gateway)
        self.alive = []
        self.desk.change(Run, Run.state == "live", live_until=db_now(-1.0))
        self.time_passes()
        self.desk.change(Mailing, Mailing.state == "paused", state="running")
        self.desk.settle()
        with self.desk.dispatch.database.begin() as connection:
            rows = connection.execute(select(Message.key, Message.state)).all()
            sent_here = Counter(each.message_key for each in self.desk.channel.handed)
        self.gateway.took.update(sent_here)
        self.desk.channel.handed.clear()
        for row in rows:
            assert row.state not in ("queued", "leased", "sending"), "G2: nobody goes on with it"
            assert row.state != "sent" or self.gateway.took[row.key], "G2: called sent, and was not"
        self.the_database_tells_the_truth()
        assert moves_seen(self.desk) <= set(MOVES)

    # -- looking ----------------------------------------------------------------------------------

    def _message(self, mailing: int, address: str) -> dict[str, Any]:
        query = select(Message.__table__)
        mine = (Message.mailing_id == mailing, Message.address == address)
        with self.desk.dispatch.database.begin() as connection:
            return dict(connection.execute(query.where(*mine)).mappings().one())

    def _by_key(self, key: str) -> dict[str, Any]:
        with self.desk.dispatch.database.begin() as connection:
            query = select(Message.__table__).where(Message.key == key)
            return dict(connection.execute(query).mappings().one())


def _policy(desk: Desk, action: str) -> None:
    """Greylisted messages are tried again, or given up, those that wait among them."""
    with desk.dispatch.database.begin() as connection:
        found = service.reference(desk.dispatch, connection).find("fake", "greylisted")
    assert found is not None
    content = {"policy.action": action}
    changes = following.policy_changes(desk.dispatch, found.id, content)
    deed = partial(editing.change_entry, desk.dispatch, found.id, content=content, by=SOMEBODY.name)
    following.carry_out(desk.dispatch, SOMEBODY, changes, deed)


def _empty(desk: Desk) -> None:
    """The tables of messages as they were at first; runs stay, for their numbers only grow."""

    def work(connection: object) -> None:
        for table in (Asking, Attempt, Message, Block, Audit, Mailing, Revision):
            connection.execute(delete(table))  # type: ignore[attr-defined]
        connection.execute(text("DELETE FROM moves_seen"))  # type: ignore[attr-defined]

    desk.dispatch.database.run(work)
    desk.change(Run, Run.state == "live", state="ended", ended_at=db_now(), settled_at=db_now())
    desk.change(Run, settled_at=db_now())
    shutil.rmtree(desk.dispatch.settings.spool_dir, ignore_errors=True)
    desk.channel.handed.clear()
    _policy(desk, "retry")


@pytest.mark.parametrize("database_url", DATABASES[:2], indirect=True)
def test_whatever_happens_in_whatever_order_the_database_tells_the_truth(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PAUSE_AFTER_FAILURE", 0.0)
    made = open_desk(database_url, tmp_path)
    name = made.dispatch.database.engine.dialect.name
    with made.dispatch.database.begin() as connection:
        for statement in (_SEEN, *TRIGGERS[name]):
            connection.execute(text(statement))

    class Here(AnyOrder):
        desk = made

    chosen = settings(
        settings.get_profile(PROFILE),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Here, settings=chosen)
    made.dispatch.database.dispose()


def test_a_state_that_nobody_ever_reaches_would_be_a_word_too_many() -> None:
    assert {target for _, target in MOVES} == set(MessageState)
