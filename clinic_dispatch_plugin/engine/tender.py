"""Looks after what nobody else does, on the database alone: dead runs, overdue messages, lost rings."""

from __future__ import annotations

import logging
import os
import threading
import time

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin import __version__
from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine import drain, store
from clinic_dispatch_plugin.engine.aftermath import (
    bury_dead_runs,
    lose_expired_runs,
)
from clinic_dispatch_plugin.engine.budget import go_on_with_room
from clinic_dispatch_plugin.engine.leftovers import decide_leftovers
from clinic_dispatch_plugin.engine.presence import SILENT_SECONDS
from clinic_dispatch_plugin.engine.pump import mark_progress
from clinic_dispatch_plugin.engine.quarantine import close_quarantine
from clinic_dispatch_plugin.engine.recovery import awaits_recovery
from clinic_dispatch_plugin.engine.rerouting import reroute
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Seconds between two rounds when nothing is due earlier.
EVERY_SECONDS = 10.0
_SHORTEST = 0.5
HOUSEKEEPING_SECONDS = 3_600.0


def tend(dispatch: Dispatch) -> None:
    """One round; any number of tenders at once are only waste, since every move is conditional.

    In a database that is behind what went out nothing is decided.
    """
    if awaits_recovery(dispatch):
        return
    for step in (
        bury_dead_runs,
        lose_expired_runs,
        close_quarantine,
        decide_leftovers,
        _mend_mailings,
        reroute,
        ring_for_work,
    ):
        try:
            step(dispatch)
        except SQLAlchemyError:
            raise  # the database is away: nothing else can be done either
        except Exception as error:
            log.error("%s failed: %s", step.__name__, places(error))


def _mend_mailings(dispatch: Dispatch) -> None:
    """Scheduled mailings start, rested accounts are checked, and mailings say how far they are."""
    dispatch.database.run(messages.start_scheduled)
    dispatch.database.run(messages.reopen_unfinished)
    dispatch.database.run(accounts.wake)
    dispatch.database.run(lambda connection: go_on_with_room(dispatch, connection))
    with dispatch.database.begin() as connection:
        running = messages.mailings_at_work(connection)
        # Whoever has something due has ended nothing yet.
        busy = {mailing_id for mailing_id, *_ in messages.due_work(connection)}
    for mailing_id in running:
        if mailing_id in busy:
            continue
        mark_progress(dispatch, mailing_id)


def keep_house(dispatch: Dispatch) -> None:
    """Work to be done now and then, each piece on its own."""
    for work in dispatch.housekeeping:
        try:
            work()
        except Exception as error:
            log.error("housekeeping failed: %s", places(error))


class Rounds:
    """Work that may wait for a server elsewhere: in a thread, one at a time, so that nothing here waits with it."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._due = [0.0 for _ in dispatch.rounds]
        self._thread: threading.Thread | None = None

    def go_on(self) -> None:
        """Begin what is due, unless the last of it still runs."""
        if self._thread is not None and self._thread.is_alive():
            return
        now = time.monotonic()
        due = [place for place, when in enumerate(self._due) if when <= now]
        for place in due:
            self._due[place] = now + self._dispatch.rounds[place][0]
        if due:
            self._thread = threading.Thread(target=self._work, args=(due,), daemon=True)
            self._thread.start()

    def _work(self, due: list[int]) -> None:
        for place in due:
            try:
                with self._dispatch.app_context():
                    self._dispatch.rounds[place][1]()
            except Exception as error:
                log.error("a round failed: %s", places(error))


def ring_for_work(dispatch: Dispatch) -> bool:
    """Ring for what is due or unplanned and has no run; True: there is something to do."""
    with dispatch.database.begin() as connection:
        work = messages.due_work(connection)
        plans = messages.plans_left(connection)
        busy = store.live_runs(connection)
        hands = sum(row["concurrency"] for row in store.workers(connection, within=SILENT_SECONDS))
    for mailing_id in plans:
        dispatch.doorbell.ring_plan(mailing_id)
    for _ in range(max(0, min(hands or 1, len(work) * 4) - busy)):
        dispatch.doorbell.ring()
    return bool(work or plans)


def seconds_to_next(dispatch: Dispatch) -> float:
    """How long the tender may sleep: until the next try is due, at most ten seconds."""
    with dispatch.database.begin() as connection:
        due = messages.next_due(connection)
        now = connection.execute(select(db_now())).scalar_one()
    if due is None:
        return EVERY_SECONDS
    if (
        due <= now
    ):  # somebody sends it, or its account stands still; a ring that was lost is repeated
        return EVERY_SECONDS / 5
    return min(EVERY_SECONDS, max(_SHORTEST, (due - now).total_seconds()))


def tend_forever(
    dispatch: Dispatch, *, worker: str, host: str, concurrency: int, parent: int
) -> None:
    """The tender's process: rounds, and the worker's sign of life, until the worker drains or dies."""
    last_sign, last_house = 0.0, 0.0
    rounds = Rounds(dispatch)
    while not drain.requested() and os.getppid() == parent:
        try:
            if time.monotonic() - last_sign > EVERY_SECONDS / 2:
                _sign(dispatch, worker=worker, host=host, concurrency=concurrency)
                last_sign = time.monotonic()
            tend(dispatch)
            if time.monotonic() - last_house > HOUSEKEEPING_SECONDS:
                keep_house(dispatch)
                last_house = time.monotonic()
            rounds.go_on()
            pause = seconds_to_next(dispatch)
        except SQLAlchemyError as error:
            log.warning("the tender could not work: %s", type(error).__name__)
            pause = EVERY_SECONDS / 4
        end = time.monotonic() + pause
        while time.monotonic() < end and not drain.requested() and os.getppid() == parent:
            time.sleep(0.2)
            rounds.go_on()  # they have a pace of their own, and a thread


def _sign(dispatch: Dispatch, *, worker: str, host: str, concurrency: int) -> None:
    def work(connection: Connection) -> None:
        store.sign_of_life(
            connection, name=worker, host=host, version=__version__, concurrency=concurrency
        )
        store.forget_workers(connection, older_than=3_600)

    dispatch.database.run(work)
