"""Runs beside each other, runs that are over without knowing it, and runs that died."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text, update
from sqlalchemy.exc import DBAPIError

from clinic_dispatch_plugin.channels.text import Template
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine import drain, store
from clinic_dispatch_plugin.engine.pace import WINDOW
from clinic_dispatch_plugin.engine.pump import pump
from clinic_dispatch_plugin.engine.tables import Run
from clinic_dispatch_plugin.engine.tender import keep_house, tend
from clinic_dispatch_plugin.host.types import Actor, Recipient
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.service import (
    Outcome,
    Refusal,
    Settlement,
    settle_uncertain,
)
from clinic_dispatch_plugin.messages.tables import Attempt
from clinic_dispatch_plugin.testing.fake_channel import break_off, refuse
from tests.conftest import DATABASES
from tests.engine.children import Gate, in_child, start, wait
from tests.engine.dispatching import Desk

PROCESSES = 4
SOMEBODY = Actor(ref="1", name="B. Lang")


def is_sqlite(desk: Desk) -> bool:
    return desk.dispatch.database.engine.dialect.name == "sqlite"


def test_claims_at_once_take_every_message_once(desk: Desk, tmp_path: Path) -> None:
    mailing = desk.mailing(2_000)
    account = desk.account()["id"]
    gate = Gate()

    def claim(number: int) -> None:
        database = desk.dispatch.database
        run = database.run(
            lambda c: store.start_run(c, worker="w", host="h", boot_id="b", lease=60)
        )
        gate.wait()
        taken: list[int] = []
        while ids := database.run(
            lambda c: messages.claim(
                c, run_id=run, mailing_id=mailing, account_id=account, limit=50
            )
        ):
            taken += ids
        (tmp_path / f"taken{number}").write_text("\n".join(map(str, taken)))

    pids = [start(desk, lambda n=n: claim(n)) for n in range(PROCESSES)]  # type: ignore[misc]
    gate.open()
    assert [wait(pid) for pid in pids] == [0] * PROCESSES
    taken = [
        line for n in range(PROCESSES) for line in (tmp_path / f"taken{n}").read_text().split()
    ]
    assert len(taken) == len(set(taken)) == 2_000
    assert desk.states() == {"leased": 2_000}


def test_pumps_at_once_hand_every_message_over_once(desk: Desk, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    desk.channel.ledger = ledger
    desk.mailing([f"a{number}@example.org" for number in range(1_500)])
    desk.mailing([f"b{number}@example.org" for number in range(1_500)])
    gate = Gate()

    def work() -> None:
        gate.wait()
        while pump(desk.dispatch):
            pass

    pids = [start(desk, work) for _ in range(PROCESSES)]
    gate.open()
    assert [wait(pid) for pid in pids] == [0] * PROCESSES
    times = Counter(line.split()[0] for line in ledger.read_text().splitlines())
    assert len(times) == 3_000
    assert set(times.values()) == {1}
    assert desk.states() == {"sent": 3_000}
    assert desk.attempts() == {"accepted": 3_000}


def test_on_sqlite_one_run_at_a_time_is_enough(desk: Desk) -> None:
    desk.mailing(2)
    desk.dispatch.database.run(
        lambda c: store.start_run(c, worker="w", host="h", boot_id="b", lease=60)
    )
    assert desk.pump() == (0 if is_sqlite(desk) else 2)


def test_a_draining_worker_opens_no_window_and_gives_back_what_it_leased(desk: Desk) -> None:
    def ask_to_end(message: object) -> None:
        if len(desk.channel.handed) == 10:
            drain.request()

    desk.channel.before = ask_to_end
    desk.mailing(300)
    try:
        desk.pump()
    finally:
        drain.reset()
    assert 11 <= len(desk.channel.handed) <= 2 * WINDOW
    states = desk.states()
    assert set(states) == {"sent", "queued"}
    assert states["sent"] == len(desk.channel.handed)
    assert desk.runs()[0]["state"] == "ended"
    desk.channel.before = None
    desk.settle()
    assert desk.states() == {"sent": 300}
    assert set(desk.channel.counts.values()) == {1}


def expire(desk: Desk) -> None:
    """The lease of every live run is over, and a tender notices it."""
    desk.change(Run, Run.state == "live", live_until=db_now(-1.0))
    tend(desk.dispatch)


def test_a_run_whose_lease_ran_out_opens_nothing_and_its_results_heal(desk: Desk) -> None:
    seen: list[dict[str, int]] = []

    def freeze(message: object) -> None:
        if not seen:
            expire(desk)
            seen.append(desk.states())

    desk.channel.before = freeze
    desk.mailing(300)
    desk.pump()
    assert set(seen[0]) <= {"queued", "uncertain"}, "whoever is fenced holds nothing"
    assert 1 <= seen[0]["uncertain"] <= 2 * WINDOW
    run = desk.runs()[0]
    assert run["state"] == "lost"
    assert desk.count(Attempt) == seen[0]["uncertain"], "it opened nothing after that"
    states = desk.states()
    assert set(states) == {"queued", "sent"}, "what it said later is believed"
    assert states["sent"] == len(desk.channel.handed)
    desk.channel.before = None
    desk.settle()
    assert desk.states() == {"sent": 300}
    assert set(desk.channel.counts.values()) == {1}


def test_a_mailing_that_finished_in_doubt_goes_on_when_a_message_proves_unsent(desk: Desk) -> None:
    """Everything open became uncertain, so the mailing was over; then its frozen run woke."""
    seen: list[str] = []

    def freeze(message: object) -> None:
        if not seen:
            expire(desk)
            seen.append(desk.state_of_mailing(mailing)["state"])

    desk.channel.before = freeze
    mailing = desk.mailing(30)
    desk.channel.will("p5@example.org", break_off)
    desk.pump()
    assert seen == ["finished"]
    desk.settle()
    assert desk.states() == {"sent": 30}
    assert desk.state_of_mailing(mailing)["state"] == "finished"


def test_a_late_result_changes_nothing_once_another_attempt_is_current(desk: Desk) -> None:
    """A person sent it again meanwhile: the old answer stays on the old attempt."""
    # The second run asks while the first still waits for its answer.
    later = refuse("busy", retry_after=7_200)
    desk.channel.will("p0@example.org", later, refuse("unknown", "550 who?"))

    def freeze_and_send_again(message: object) -> None:
        desk.channel.before = None
        expire(desk)
        end_quarantine(desk)
        chosen = Chosen(ids=(desk.message("p0@example.org")["id"],))
        again = Settlement.SEND_AGAIN
        done = settle_uncertain(desk.dispatch, SOMEBODY, chosen, again, may_arrive_twice=True)
        assert done.done == 1
        desk.pump()

    desk.channel.before = freeze_and_send_again
    desk.mailing(1)
    desk.pump()
    first, second = desk.attempts_of("p0@example.org")
    assert (first["state"], first["answer_text"]) == ("refused", "550 who?")
    assert (second["state"], second["number"]) == ("refused", 2)
    message = desk.message("p0@example.org")
    assert message["attempt_id"] == second["id"]
    assert (message["state"], message["code"]) == ("queued", "busy"), "the second one's word holds"


def end_quarantine(desk: Desk) -> None:
    """So much time passes that nobody waits for a lost run any more."""
    seconds = desk.dispatch.settings.quarantine_seconds
    desk.change(Run, Run.state == "lost", ended_at=db_now(-seconds - 1.0))
    tend(desk.dispatch)


def test_nothing_in_doubt_is_decided_before_its_run_is_dead_or_the_quarantine_is_over(
    desk: Desk,
) -> None:
    decided: list[tuple[Settlement, bool]] = []

    def decide(choice: Settlement) -> Outcome:
        chosen = Chosen(ids=(desk.message("p0@example.org")["id"],))
        return settle_uncertain(desk.dispatch, SOMEBODY, chosen, choice, may_arrive_twice=True)

    def freeze(message: object) -> None:
        desk.channel.before = None
        expire(desk)
        for choice in Settlement:
            outcome = decide(choice)
            assert outcome.refused == {Refusal.AWAITED: 1}
            assert outcome.awaited_until is not None
            lost_at = desk.runs()[0]["ended_at"]
            seconds = (outcome.awaited_until - lost_at).total_seconds()
            assert seconds == desk.dispatch.settings.quarantine_seconds
            decided.append((choice, bool(outcome.done)))
        assert desk.message("p0@example.org")["state"] == "uncertain"
        end_quarantine(desk)
        assert desk.runs()[0]["settled_at"] is not None
        assert decide(Settlement.SEND_AGAIN).done == 1

    desk.channel.before = freeze
    desk.mailing(1)
    desk.pump()
    assert decided == [(choice, False) for choice in Settlement]
    assert desk.message("p0@example.org")["state"] == "queued", "the late answer is the old try's"


def test_what_a_dead_run_leaves_in_doubt_may_be_decided_at_once(desk: Desk) -> None:
    desk.channel.before = lambda message: os.kill(os.getpid(), signal.SIGKILL)
    desk.mailing(1)
    in_child(desk, desk.pump)
    tend(desk.dispatch)
    message = desk.message("p0@example.org")
    assert message["state"] == "uncertain"
    chosen = Chosen(ids=(message["id"],))
    assert settle_uncertain(desk.dispatch, SOMEBODY, chosen, Settlement.GIVE_UP).done == 1


def test_what_an_unseen_machine_leaves_in_doubt_is_not_decided_before_the_quarantine(
    desk: Desk,
) -> None:
    """Its journal lies elsewhere: that it is silent proves nothing."""
    desk.channel.before = lambda message: os.kill(os.getpid(), signal.SIGKILL)
    desk.mailing(1)
    in_child(desk, desk.pump)
    for journal in desk.journals():
        journal.unlink()
    expire(desk)
    chosen = Chosen(ids=(desk.message("p0@example.org")["id"],))
    outcome = settle_uncertain(desk.dispatch, SOMEBODY, chosen, Settlement.GIVE_UP)
    assert outcome.refused == {Refusal.AWAITED: 1}
    end_quarantine(desk)
    assert settle_uncertain(desk.dispatch, SOMEBODY, chosen, Settlement.GIVE_UP).done == 1


def test_housekeeping_forgets_old_runs_and_numbers_none_twice(desk: Desk) -> None:
    for _ in range(3):
        desk.mailing(1)
        desk.pump()
    months = 90 * 86_400.0
    desk.change(Run, Run.state == "ended", settled_at=db_now(-months))
    first, second, third = (run["id"] for run in desk.runs())
    desk.change(Run, Run.id == second, settled_at=db_now(-60.0))
    keep_house(desk.dispatch)
    assert [run["id"] for run in desk.runs()] == [second, third]
    desk.mailing(["new@example.org"])
    desk.pump()
    assert desk.runs()[-1]["id"] > third > first
    assert desk.message("new@example.org")["state"] == "sent"


@pytest.mark.parametrize("database_url", DATABASES[1:], indirect=True)
def test_a_run_frozen_inside_a_transaction_does_not_hold_up_the_tender(desk: Desk) -> None:
    run = desk.dispatch.database.run(
        lambda c: store.start_run(c, worker="w", host="h", boot_id="b", lease=60)
    )
    desk.change(Run, live_until=db_now(-1.0))
    with desk.dispatch.database.engine.connect() as frozen, frozen.begin():
        frozen.execute(update(Run).where(Run.id == run).values(worker="frozen"))
        tend(desk.dispatch)
        assert desk.runs()[0]["state"] == "live"
    tend(desk.dispatch)
    assert desk.runs()[0]["state"] == "lost"


CUT = {
    "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist "
    "WHERE db = DATABASE() AND id <> CONNECTION_ID()",
}


def cut_connections(desk: Desk) -> None:
    """The database ends every connection but the one that asks for it."""
    engine = create_engine(desk.dispatch.database.engine.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        rows = connection.execute(text(CUT[engine.dialect.name.replace("mariadb", "mysql")])).all()
        if engine.dialect.name != "postgresql":
            for row in rows:
                with contextlib.suppress(DBAPIError):  # it went by itself
                    connection.execute(text(f"KILL CONNECTION {int(row[0])}"))
    engine.dispose()


@pytest.mark.parametrize("database_url", DATABASES[1:], indirect=True)
def test_a_database_that_cuts_its_connections_costs_no_message(desk: Desk) -> None:
    def cut(message: object) -> None:
        if len(desk.channel.handed) in (5, 60, 61, 130):
            cut_connections(desk)

    desk.channel.before = cut
    desk.mailing(200)
    with contextlib.suppress(DBAPIError):  # a run that could not even ask is taken over
        desk.pump()
    desk.settle()
    assert desk.states() == {"sent": 200}
    assert set(desk.channel.counts.values()) == {1}


def test_a_run_that_was_killed_is_taken_over_without_waiting_for_its_lease(desk: Desk) -> None:
    def die(message: object) -> None:
        if len(desk.channel.handed) == 30:
            os.kill(os.getpid(), signal.SIGKILL)

    desk.channel.before = die
    desk.mailing(200)
    assert in_child(desk, desk.pump) == -signal.SIGKILL
    assert desk.runs()[0]["state"] == "live"
    tend(desk.dispatch)
    assert desk.runs()[0]["state"] == "lost"
    states = desk.states()
    assert states["sent"] == 30, "answers are in the journal"
    assert states["uncertain"] == 1, "only what was in hand is in doubt"
    assert states["queued"] == 169
    assert desk.message("p150@example.org")["lost_runs"] in (0, 1)
    assert desk.journals() == []


def test_a_killed_runs_journal_on_no_local_disk_leaves_one_window_in_doubt(desk: Desk) -> None:
    def die(message: object) -> None:
        if len(desk.channel.handed) == 30:
            os.kill(os.getpid(), signal.SIGKILL)

    desk.channel.before = die
    desk.mailing(200)
    in_child(desk, desk.pump)
    for journal in desk.journals():
        journal.unlink()
    tend(desk.dispatch)
    assert desk.runs()[0]["state"] == "live", "without a journal only the lease tells"
    expire(desk)
    states = desk.states()
    assert states["uncertain"] <= 100, "two windows at most"
    assert set(states) <= {"sent", "uncertain", "queued"}
    assert desk.message("p0@example.org")["state"] in {"sent", "uncertain"}


def test_a_row_that_kills_workers_is_isolated_and_the_others_go_out(
    desk: Desk, tmp_path: Path
) -> None:
    desk.channel.ledger = tmp_path / "ledger"
    asked = desk.host.recipients_now

    def kill(refs: list[str]) -> object:
        if "r70" in refs:
            os.kill(os.getpid(), signal.SIGKILL)
        return asked(refs)

    people = range(120)
    cards = [{"fake": f"p{number}@example.org"} for number in people]
    desk.host.add(*(Recipient(ref=f"r{number}", addresses=cards[number]) for number in people))
    desk.host.recipients_now = kill  # type: ignore[method-assign, assignment]
    mailing = desk.mailing(120, refs=[f"r{number}" for number in range(120)])
    kills = 0
    for _ in range(12):
        tend(desk.dispatch)
        kills += in_child(desk, desk.pump) != 0
        if desk.state_of_mailing(mailing)["state"] == "finished":
            break
    tend(desk.dispatch)
    assert kills == messages.HARMFUL_RUNS
    harmful = desk.message("p70@example.org")
    assert (harmful["state"], harmful["code"]) == ("skipped", "harmful")
    states = desk.states()
    assert states.pop("skipped") == 1
    assert states.get("uncertain", 0) <= kills, "at most the one in hand at each death"
    assert states["sent"] + states.get("uncertain", 0) == 119
    handed = [line.split()[0] for line in desk.channel.ledger.read_text().splitlines()]
    assert len(handed) == len(set(handed)) >= states["sent"]
    lost = [run for run in desk.runs() if run["state"] == "lost"]
    assert lost[-1]["crashing_message_id"] == harmful["id"], "it was alone when it struck last"


def test_a_text_that_cannot_be_made_stops_this_message_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    render = Template.render

    def render_or_raise(self: Template, values: dict[str, str], **more: object) -> str:
        if values["name"] == "P2":
            raise RuntimeError("a filter that breaks")
        return render(self, values, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Template, "render", render_or_raise)
    desk.mailing(5)
    desk.settle()
    assert desk.states() == {"sent": 4, "skipped": 1}
    assert desk.message("p2@example.org")["code"] == "harmful"
    assert "RuntimeError at" in caplog.text
    assert "a filter that breaks" not in caplog.text  # such words may hold a patient's data


def test_a_spool_that_cannot_be_written_stops_sending_and_loses_nothing(desk: Desk) -> None:
    spool = desk.dispatch.settings.spool_dir
    spool.parent.mkdir(parents=True, exist_ok=True)
    spool.write_text("not a folder")
    desk.mailing(3)
    with pytest.raises(OSError):
        desk.pump()
    assert desk.channel.handed == []
    assert desk.states() == {"queued": 3}
    assert [run["state"] for run in desk.runs()] == ["ended"]
    spool.unlink()
    desk.settle()
    assert desk.states() == {"sent": 3}
