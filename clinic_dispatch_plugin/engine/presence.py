"""Who is at work, what waits, and through what: read once for everybody who says so, doctor, status and pages alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.engine.recovery import LOCK
from clinic_dispatch_plugin.engine.turns import next_turn
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.results_store import handed_lately
from clinic_dispatch_plugin.registry import Dispatch

#: Seconds after which a silent worker is no worker any more.
SILENT_SECONDS = 35.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One look at everything that sends."""

    at: datetime
    queue_answers: bool
    #: Workers of ours, which tend as well.
    workers: Sequence[RowMapping]
    #: Names of RQ workers on our queues, ours and plain ones.
    listeners: Sequence[str]
    #: Runs that are sending.
    runs: int
    #: Messages that are due, and since when the oldest of them is.
    waiting: int
    oldest: datetime | None
    #: Whether some of them could go out now.
    sendable: bool
    #: Mailings that run.
    mailings: int
    accounts: Sequence[RowMapping]
    #: Messages handed over in the last minute, by account.
    a_minute: Mapping[int, int]
    #: Accounts that go at half their rate because their gateway asked for it.
    slowed: Collection[int]
    #: The database was restored from a backup: nothing is sent from it until a person says so.
    restored: bool

    @property
    def waiting_seconds(self) -> float | None:
        """For how long the oldest message has been due; None: none is."""
        return (self.at - self.oldest).total_seconds() if self.oldest else None


def look(dispatch: Dispatch) -> Presence:
    """Look at everything that sends."""
    answers = dispatch.doorbell.answers()
    listeners = dispatch.doorbell.listeners() if answers else []
    with dispatch.database.begin() as connection:
        waiting, oldest = messages.waiting(connection)
        workers = store.workers(connection, within=SILENT_SECONDS)
        known = accounts.accounts(connection)
        return Presence(
            at=now(connection),
            queue_answers=answers,
            workers=workers if _may_live(dispatch, answers) else (),
            listeners=listeners,
            runs=store.live_runs(connection),
            waiting=waiting,
            oldest=oldest,
            sendable=next_turn(connection, dispatch) is not None,
            mailings=len(messages.mailings_at_work(connection)),
            accounts=known,
            a_minute={
                row["id"]: handed_lately(connection, row["id"], seconds=60.0) for row in known
            },
            slowed=[row["id"] for row in known if store.slowed(connection, row["id"])],
            restored=store.locked_until(connection, LOCK) is not None,
        )


def worker_is_seen(dispatch: Dispatch) -> bool:
    """Whether some worker of ours gave a sign of life lately."""
    with dispatch.database.begin() as connection:
        seen = bool(store.workers(connection, within=SILENT_SECONDS))
    return seen and (not dispatch.doorbell.embedded or dispatch.doorbell.answers())


def _may_live(dispatch: Dispatch, answers: bool) -> bool:
    """The embedded server ends with its worker, seconds after a kill: that is known before the silence is long."""
    return answers or not dispatch.doorbell.embedded
