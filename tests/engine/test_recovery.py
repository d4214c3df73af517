"""A database restored from a backup: nothing goes out of it by itself, and a person finds everything in doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from clinic_dispatch_plugin.database.base import Base
from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.engine.metrics import exposition
from clinic_dispatch_plugin.engine.presence import look
from clinic_dispatch_plugin.engine.recovery import GAP, LOCK, awaits_recovery, recover
from clinic_dispatch_plugin.engine.remembered import Remembered, recall, remember
from clinic_dispatch_plugin.engine.tables import Run
from clinic_dispatch_plugin.engine.tender import tend
from clinic_dispatch_plugin.engine.worker import WorkerProblem, run_worker
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import truth_store
from clinic_dispatch_plugin.messages.holds import RESTORED
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.service import Settlement, settle_uncertain
from clinic_dispatch_plugin.messages.tables import Audit, Message
from tests.conftest import DATABASES
from tests.engine.dispatching import Desk

ON_SQLITE = pytest.mark.parametrize("database_url", DATABASES[:1], indirect=True)
ADMIN = Actor(ref="admin", name="Verwaltung")


def backup(desk: Desk) -> Callable[[], None]:
    """Copies every row of ours; gives what puts them all back as they were."""
    tables = Base.metadata.sorted_tables
    with desk.dispatch.database.begin() as connection:
        rows = {table: connection.execute(select(table)).mappings().all() for table in tables}

    def restore() -> None:
        def work(connection: Any) -> None:
            for table in reversed(tables):
                connection.execute(table.delete())
            for table in tables:
                if rows[table]:
                    connection.execute(table.insert(), [dict(row) for row in rows[table]])
            if connection.dialect.name == "postgresql":
                newest = max((row["id"] for row in rows[Run.__table__]), default=0)  # type: ignore[index]
                sequence = func.pg_get_serial_sequence("dispatch_run", "id")
                connection.execute(select(func.setval(sequence, newest + 1, False)))

        desk.dispatch.database.run(work)

    return restore


def test_what_waited_in_the_backup_is_in_doubt_and_nothing_is_sent_twice(desk: Desk) -> None:
    desk.mailing(["before@example.org"])
    desk.pump()
    mailing = desk.mailing([f"p{number}@example.org" for number in range(20)])
    planned = desk.mailing(0, state="planning")
    restore = backup(desk)
    desk.pump()
    assert desk.states() == {"sent": 21}
    restore()

    assert desk.pump() == 0
    tend(desk.dispatch)
    assert desk.states() == {"sent": 1, "queued": 20}
    assert len(desk.channel.handed) == 21
    with pytest.raises(WorkerProblem, match="recover --restored"):
        run_worker(desk.dispatch, burst=True)
    assert look(desk.dispatch).restored, "status, its page and the metrics say so"
    assert "clinic_dispatch_restored 1\n" in exposition(desk.dispatch)

    done = recover(desk.dispatch, ADMIN)
    assert (done.uncertain, done.mailings) == (20, 1)
    assert not look(desk.dispatch).restored
    assert desk.states() == {"sent": 1, "uncertain": 20}
    assert desk.message("p7@example.org")["code"] == "restored"
    held = desk.state_of_mailing(planned)
    assert (held["state"], held["pause_text"]) == ("paused", RESTORED)
    assert desk.count(Audit, Audit.action == "recover", Audit.actor_ref == "admin") == 1
    desk.settle()
    assert len(desk.channel.handed) == 21, "nothing in doubt is sent by itself"
    assert desk.state_of_mailing(mailing)["state"] == "finished"

    desk.mailing(["after@example.org"])
    chosen = Chosen(ids=(desk.message("p7@example.org")["id"],))
    again = Settlement.SEND_AGAIN
    assert settle_uncertain(desk.dispatch, ADMIN, chosen, again, may_arrive_twice=True).done == 1
    arrived = Chosen(ids=(desk.message("p8@example.org")["id"],))
    assert settle_uncertain(desk.dispatch, ADMIN, arrived, Settlement.ARRIVED).done == 1
    desk.settle()
    assert desk.states() == {"sent": 3, "uncertain": 18, "delivered": 1}
    assert desk.runs()[-1]["id"] > GAP, "no number of a lost run is given again"
    with desk.dispatch.database.begin() as connection:
        assert truth_store.disagreements(connection) == {}


@ON_SQLITE
def test_one_machine_that_knows_more_stops_all_and_no_other_machine_is_stopped_afterwards(
    desk: Desk,
) -> None:
    desk.mailing(1)
    restore = backup(desk)
    desk.pump()
    restore()
    folder = desk.dispatch.settings.spool_dir
    known = recall(folder)
    assert known is not None
    (folder / "newest-run").unlink()  # another machine, which sent nothing
    assert not awaits_recovery(desk.dispatch)
    remember(folder, known)
    assert awaits_recovery(desk.dispatch)
    (folder / "newest-run").unlink()
    assert awaits_recovery(desk.dispatch), "the first one told all"
    assert desk.pump() == 0
    recover(desk.dispatch, ADMIN)
    remember(folder, known)
    assert not awaits_recovery(desk.dispatch)


@ON_SQLITE
def test_a_number_given_again_to_another_run_is_noticed(desk: Desk) -> None:
    desk.mailing(1)
    desk.pump()
    folder = desk.dispatch.settings.spool_dir
    known = recall(folder)
    assert known is not None
    assert not awaits_recovery(desk.dispatch)
    remember(folder, replace(known, worker="elsewhere:1"))
    assert awaits_recovery(desk.dispatch)


@ON_SQLITE
def test_a_recovery_that_was_ended_goes_on_and_an_open_attempt_is_in_doubt(desk: Desk) -> None:
    def stop(message: object) -> None:
        # The database as it stood with a window open, and all that came later lost.
        desk.channel.before = None
        restores.append(backup(desk))

    restores: list[Callable[[], None]] = []
    desk.channel.before = stop
    desk.mailing(3)
    desk.pump()
    restores[0]()
    desk.dispatch.database.run(lambda c: store.take_lock(c, LOCK, LOCK, 60.0))
    assert recover(desk.dispatch, ADMIN).uncertain == 3
    assert desk.attempts() == {"uncertain": 3}
    assert recover(desk.dispatch, ADMIN).uncertain == 0


@ON_SQLITE
def test_a_new_database_beside_an_old_spool_is_no_backup(desk: Desk) -> None:
    remember_nothing = recall(desk.dispatch.settings.spool_dir)
    assert remember_nothing is None
    spool = desk.dispatch.settings.spool_dir
    spool.mkdir(parents=True)
    remember(spool, Remembered(run_id=4_711, worker="w", boot_id="b"))
    assert not awaits_recovery(desk.dispatch)
    (spool / "newest-run").write_text("torn")
    desk.mailing(1)
    assert desk.pump() == 1
    assert desk.count(Message, Message.state == "sent") == 1
