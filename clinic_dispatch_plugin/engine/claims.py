"""Which messages of a mailing a run takes next: leased by the hundred, handed on by the window."""

from __future__ import annotations

import time
from enum import Enum

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.channels.faults import fail_point
from clinic_dispatch_plugin.channels.types import Account
from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.engine.lease import clock
from clinic_dispatch_plugin.engine.run import RunState
from clinic_dispatch_plugin.engine.turns import due_here
from clinic_dispatch_plugin.messages import store as messages

#: Messages one transaction leases.
CLAIM = 500
#: Seconds' worth of an account's rate that one transaction leases at most.
CLAIM_SECONDS = 10.0
#: Claims in a row before another mailing has its turn.
TURN = 4
#: Seconds until messages are looked at again whose host did not answer.
HOST_PAUSE = 60.0
#: Seconds' worth of an account's rate that are taken at once.
RATE_PORTION = 0.1
#: Seconds between two looks whether somebody else should have a turn.
LOOK_SECONDS = 0.5
#: Seconds after which another mailing of the same priority has its turn, however slow the gateway is.
TURN_SECONDS = 5.0


class Ahead(Enum):
    """Who else waits."""

    URGENT = "urgent"
    EQUAL = "equal"


class Claims:
    """The leased messages of one mailing on one account that no window holds yet."""

    def __init__(
        self,
        run: RunState,
        account: Account,
        *,
        mailing_id: int,
        account_id: int,
        most: int,
        priority: int = 0,
    ) -> None:
        """Lease nothing yet; at most ``most`` at once, for a mailing of this priority."""
        self._run = run
        self._account = account
        self._mailing_id = mailing_id
        self._account_id = account_id
        self._most = most
        self._pool: list[int] = []
        self._claims = 0
        self._priority = priority
        #: Monotonic times: when the turn began, and when others are looked for next.
        self._began = time.monotonic()
        self._look_at = self._began + LOOK_SECONDS
        #: Monotonic time before which the database need not be asked for the rate.
        self._rate_free_at = 0.0

    def next_ids(self, most: int) -> list[int] | None:
        """At most so many messages; empty: the rate says not now; None: nothing is due, or another's turn."""
        if time.monotonic() > self._run.deadline or self._yields():
            return None
        if not (self._pool or self._claim()):
            return None
        size = self._portion(most)
        ids, self._pool = self._pool[:size], self._pool[size:]
        return ids

    def _yields(self) -> bool:
        """Whether what was leased waits because something more urgent came, or others have waited long."""
        now = time.monotonic()
        if not self._claims or now < self._look_at:
            return False
        self._look_at = now + LOOK_SECONDS
        with self._run.dispatch.database.look() as connection:
            ahead = self._ahead(connection)
        long = now - self._began > TURN_SECONDS
        return ahead is Ahead.URGENT or (ahead is Ahead.EQUAL and long)

    def put_back(self, ids: list[int]) -> None:
        """These were taken for a window that could not be prepared; they come first next time."""
        self._pool = [*ids, *self._pool]

    def give_back(self) -> None:
        """What was not put into a window waits again."""
        pool, self._pool = self._pool, []
        if pool:
            self._run.dispatch.database.run(
                lambda connection: messages.give_back(connection, run_id=self._run.run_id, ids=pool)
            )

    def put_off(self, ids: list[int]) -> None:
        """These and the rest wait for a minute: the host could not be asked. No try is used."""
        pool, self._pool = [*ids, *self._pool], []
        seconds = HOST_PAUSE * self._run.dispatch.settings.retry_scale
        self._run.dispatch.database.run(
            lambda connection: messages.put_off(
                connection, run_id=self._run.run_id, ids=pool, seconds=seconds
            )
        )

    def _portion(self, most: int) -> int:
        """How many may go into the next window; 0: the rate says not now."""
        rate = self._account.rate
        if rate is None:
            return most
        if time.monotonic() < self._rate_free_at:
            return 0
        rate = self._run.rate_now(self._account_id, rate)
        size = max(1, min(most, int(rate * RATE_PORTION)))
        wait = accounts.take_rate(self._run.dispatch, self._account_id, number=size, rate=rate)
        self._rate_free_at = time.monotonic() + wait
        return 0 if wait else size

    def _claim(self) -> bool:
        """Lease the next messages; False: nothing is due, or another has its turn."""
        run = self._run
        if not run.may_send:
            return False

        def work(connection: Connection) -> list[int]:
            if not store.renew(connection, run.run_id, run.lease.seconds):
                run.lease.lost()
                return []
            if self._claims and self._others_turn(connection):
                return []
            return self._claim_rows(connection)

        asked_at = clock()
        self._pool = run.dispatch.database.run(work)
        if self._pool:
            run.lease.renewed(asked_at)
            fail_point("pump.after_claim")
        self._claims += 1
        return bool(self._pool)

    def _claim_rows(self, connection: Connection) -> list[int]:
        rate = self._account.rate
        # A slow account leases little, so that what is urgent need not wait behind it.
        most = self._most if rate is None else max(1, min(self._most, int(rate * CLAIM_SECONDS)))
        ids = self._lease_rows(connection, most, suspects=False)
        if not ids:  # those that died with a run before go one by one
            ids = self._lease_rows(connection, 1, suspects=True)
            if ids:
                store.note_crash_suspect(connection, self._run.run_id, ids[0])
        return ids

    def _lease_rows(self, connection: Connection, limit: int, *, suspects: bool) -> list[int]:
        return messages.claim(
            connection,
            run_id=self._run.run_id,
            mailing_id=self._mailing_id,
            account_id=self._account_id,
            limit=limit,
            suspects=suspects,
        )

    def _others_turn(self, connection: Connection) -> bool:
        """Another mailing's, or the same one's on another of its channels."""
        ahead = self._ahead(connection)
        return ahead is Ahead.URGENT or (ahead is Ahead.EQUAL and self._claims % TURN == 0)

    def _ahead(self, connection: Connection) -> Ahead | None:
        """What else is due on an account that may send; None: nothing that goes before this or beside it."""
        work = due_here(connection, self._run.dispatch, self._run.run_id)
        here = self._mailing_id, self._account_id
        others = [each.priority for each in work if each.where != here]
        if not others or max(others) < self._priority:
            return None
        return Ahead.URGENT if max(others) > self._priority else Ahead.EQUAL
