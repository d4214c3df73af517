"""A database restored from a backup: nothing is claimed until a person says so, then all that waits is in doubt.

Run ids only grow, and each spool remembers its newest run. Where the database does not know that run, messages went
out that it believes to be waiting.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass

from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.engine.remembered import recall
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import recovered_store
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.holds import RESTORED
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: The lock that says to every machine that the database is behind.
LOCK = "restored"
_TEN_YEARS = 10 * 365 * 86_400.0
#: Run ids left out after a recovery, so that no machine's memory meets a new run under an old number.
GAP = 1_000_000
_PORTION = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What became of a restored database."""

    #: Messages that are uncertain now.
    uncertain: int
    #: Mailings whose preparation or schedule was stopped.
    mailings: int


def awaits_recovery(dispatch: Dispatch) -> bool:
    """Whether the database is behind what went out; whoever notices first tells all machines by a lock."""
    with dispatch.database.begin() as connection:
        if store.locked_until(connection, LOCK) is not None:
            return True
        behind = _is_behind(dispatch, connection)
    if behind:
        log.error("the database is older than what this machine sent: nothing is sent from it")
        dispatch.database.run(lambda c: store.take_lock(c, LOCK, LOCK, _TEN_YEARS))
    return behind


def _is_behind(dispatch: Dispatch, connection: Connection) -> bool:
    known = recall(dispatch.settings.spool_dir)
    if known is None:
        return False
    row = store.run_row(connection, known.run_id)
    if row is not None:  # another's under the same number: its was lost, and numbers began again
        return (row["worker"], row["boot_id"]) != (known.worker, known.boot_id)
    newest = store.newest_run(connection)
    if newest is None:
        return recovered_store.has_messages(connection)  # else a new database
    return newest < known.run_id


def recover(dispatch: Dispatch, actor: Actor) -> Recovered:
    """What was not final in the backup may have gone out since: it is uncertain now, and a person decides.

    Ended halfway, it goes on where it is called again; until it is through, nobody claims anything.
    """
    database = dispatch.database
    database.run(_hold)
    mailings = database.run(lambda c: recovered_store.stop_plans(c, RESTORED))
    uncertain = 0
    while found := database.run(lambda connection: _doubt(dispatch, connection)):
        uncertain += found
    done = Recovered(uncertain=uncertain, mailings=mailings)
    database.run(lambda connection: _free(dispatch, connection, actor, done))
    return done


def _hold(connection: Connection) -> None:
    store.take_lock(connection, LOCK, LOCK, _TEN_YEARS)
    store.lose_all_runs(connection)


def _doubt(dispatch: Dispatch, connection: Connection) -> int:
    store.take_lock(connection, LOCK, LOCK, _TEN_YEARS)  # a write, which SQLite needs first
    ids = recovered_store.not_final(connection, _PORTION)
    if ids:
        answer = Answer(system="dispatch", code="restored")
        answer_id, _ = note_answer(dispatch, connection, answer)
        recovered_store.doubt(connection, ids, answer_id)
    return len(ids)


def _free(dispatch: Dispatch, connection: Connection, actor: Actor, done: Recovered) -> None:
    store.drop_lock(connection, LOCK)
    known = recall(dispatch.settings.spool_dir)
    newest = max(store.newest_run(connection) or 0, known.run_id if known else 0)
    host = socket.gethostname()[:100]
    store.number_runs_from(connection, newest + GAP, worker=f"{host}:recover", host=host)
    messages.write_audit(
        connection,
        actor_ref=actor.ref,
        actor_name=actor.name,
        action="recover",
        details={"uncertain": done.uncertain, "mailings": done.mailings},
    )
