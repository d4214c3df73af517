"""One mailing through one account: windows open while messages go out, results are recorded while others are sent."""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, select
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts import store as account_store
from clinic_dispatch_plugin.channels.channel import Sender
from clinic_dispatch_plugin.channels.errors import AccountError, ConnectionFailed
from clinic_dispatch_plugin.channels.faults import fail_point
from clinic_dispatch_plugin.channels.types import (
    Account,
    Answer,
    NotSent,
    OutgoingMessage,
    SendResult,
    Uncertain,
)
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.engine import drain, store
from clinic_dispatch_plugin.engine.feed import Feed
from clinic_dispatch_plugin.engine.journal import Journal
from clinic_dispatch_plugin.engine.lease import Lease, clock
from clinic_dispatch_plugin.engine.prepare import HostUnavailable, Prepared, Text, load_text, prepare
from clinic_dispatch_plugin.engine.recorder import Recorded, Result, record
from clinic_dispatch_plugin.engine.rules import Facts
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.tables import Attempt
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Messages whose attempts one transaction opens: what a machine's death leaves uncertain at most.
WINDOW = 50
#: Messages one transaction leases.
CLAIM = 500
#: Claims in a row before another mailing has its turn.
TURN = 4
#: Seconds a result waits at most before it is recorded.
RECORD_WITHIN = 0.05
#: Seconds until messages are looked at again whose host did not answer.
HOST_PAUSE = 60.0


@dataclass(slots=True, kw_only=True)
class RunState:
    """What one run's streams share."""

    dispatch: Dispatch
    run_id: int
    journal: Journal
    lease: Lease
    #: Monotonic time at which the run gives its turn to a fresh one.
    deadline: float
    unsubscribe_url: Callable[[RowMapping, Text], str | None]
    numbers: Iterator[int]

    def next_attempt_id(self) -> int:
        """Run and number in one: no two runs make the same, and no database need count."""
        return (self.run_id << 20) | next(self.numbers)


def attempt_numbers() -> Iterator[int]:
    """Numbers within a run, from 1."""
    return itertools.count(1)


class Stream:
    """Sends what is due of one mailing through one account until nothing is, or somebody says stop."""

    def __init__(self, run: RunState, sender: Sender, account: Account, *, mailing_id: int, account_id: int) -> None:
        self._run = run
        self._dispatch = run.dispatch
        self._sender = sender
        self._account = account
        self._mailing_id = mailing_id
        self._account_id = account_id
        self._feed = Feed(run.journal, self._may_take)
        self._facts: dict[int, tuple[RowMapping, Facts]] = {}
        self._results: deque[SendResult] = deque()
        self._pool: list[int] = []
        self._claims = 0
        self._exhausted = False
        self._sending_over = False
        self._failed: BaseException | None = None
        self._wake = threading.Event()
        self._text: Text | None = None
        #: Messages that went out or were decided.
        self.handled = 0

    def run(self) -> None:
        """Send until nothing is due; raises what the recording thread raised."""
        with self._dispatch.database.begin() as connection:
            self._text = load_text(connection, self._mailing_id)
        recorder = threading.Thread(target=self._record_all, name="dispatch-recorder", daemon=True)
        recorder.start()
        try:
            trouble = self._send_all()
        finally:
            self._sending_over = True
            self._feed.stop()
            self._wake.set()
            recorder.join()
        if self._failed is not None:
            raise self._failed
        if trouble is not None:
            self._account_trouble(trouble)

    # -- the sending side -------------------------------------------------------------------------

    def _may_take(self) -> bool:
        return self._run.lease.holds and not drain.requested()

    def _send_all(self) -> Exception | None:
        """Let the sender work; what it took and said nothing of is decided here."""
        answered: set[int] = set()
        trouble: Exception | None = None
        left: Callable[[int], SendResult] = _unsaid
        try:
            for result in self._sender.send(self._feed):
                self._note(result)
                answered.add(result.attempt_id)
        except (AccountError, ConnectionFailed) as error:
            trouble = error
            left = _not_sent
        except Exception as error:
            log.exception("channel %s failed while sending", self._account.channel)
            text = f"the channel failed: {type(error).__name__}"
            trouble = ConnectionFailed(Answer(system="dispatch", code="connect_failed", text=text))
        for attempt_id in sorted(self._feed.taken - answered):
            self._note(left(attempt_id))
        return trouble

    def _note(self, result: SendResult) -> None:
        fail_point("send.after_answer")
        self._run.journal.answered(result)
        self._run.lease.progress()
        self._results.append(result)
        if len(self._results) >= WINDOW or len(self._feed) < WINDOW // 2:
            self._wake.set()

    def _account_trouble(self, trouble: Exception) -> None:
        if isinstance(trouble, AccountError):
            self._dispatch.database.run(
                lambda connection: accounts.stop(
                    self._dispatch, connection, self._account_id, trouble.answer
                )
            )
        elif isinstance(trouble, ConnectionFailed):
            rests = self._dispatch.database.run(
                lambda connection: accounts.failed(
                    self._dispatch, connection, self._account_id, trouble.answer
                )
            )
            if not rests:
                time.sleep(random.uniform(0.2, 1.0) * min(1.0, self._dispatch.settings.retry_scale * 10))

    # -- the recording side -----------------------------------------------------------------------

    def _record_all(self) -> None:
        try:
            while not self._sending_over:
                self._step()
                if len(self._feed) >= WINDOW // 2 or self._exhausted:
                    self._wake.wait(RECORD_WITHIN)
                    self._wake.clear()
            self._finish()
        except BaseException as error:
            self._failed = error
            self._feed.stop()

    def _step(self) -> None:
        results = self._drain_results()
        prepared = self._prepare_next() if len(self._feed) < WINDOW else None
        if results or prepared:
            self._commit(results, prepared)

    def _drain_results(self) -> list[SendResult]:
        drained = []
        while self._results:
            drained.append(self._results.popleft())
        return drained

    def _finish(self) -> None:
        """After the sender's last word: record the rest, withdraw what was open and never taken, give the leased back."""
        untaken: list[SendResult] = [
            NotSent(attempt_id=message.attempt_id) for message in self._feed.untaken()
        ]
        self._exhausted = True
        self._commit([*self._drain_results(), *untaken], None)
        self._give_back_pool()

    def _give_back_pool(self) -> None:
        pool, self._pool = self._pool, []
        if pool:
            self._dispatch.database.run(
                lambda connection: messages.give_back(connection, run_id=self._run.run_id, ids=pool)
            )

    def _prepare_next(self) -> Prepared | None:
        if self._exhausted:
            return None
        if not self._pool and not self._claim():
            self._exhausted = True
            self._feed.close()
            return None
        size = self._portion()
        if not size:
            return None
        ids, self._pool = self._pool[:size], self._pool[size:]
        assert self._text is not None
        with self._dispatch.database.begin() as connection:
            rows = messages.leased(connection, run_id=self._run.run_id, ids=ids)
        try:
            return prepare(
                self._dispatch,
                rows,
                self._text,
                next_attempt_id=self._run.next_attempt_id,
                unsubscribe_url=self._run.unsubscribe_url,
            )
        except HostUnavailable:
            self._put_off(ids + self._pool)
            return None

    def _put_off(self, ids: list[int]) -> None:
        seconds = HOST_PAUSE * self._dispatch.settings.retry_scale
        self._dispatch.database.run(
            lambda connection: messages.put_off(
                connection, run_id=self._run.run_id, ids=ids, seconds=seconds
            )
        )
        self._pool = []
        self._exhausted = True
        self._feed.close()

    def _portion(self) -> int:
        """How many may go into the next window; 0: the rate says not now."""
        if self._account.rate is None:
            return WINDOW
        rate = self._account.rate
        size = max(1, min(WINDOW, int(rate * 0.2)))
        taken = self._dispatch.database.run(
            lambda connection: account_store.take_rate(
                connection, self._account_id, number=size, rate=rate, burst=size
            )
        )
        return size if taken else 0

    def _claim(self) -> bool:
        """Lease the next messages; False: nothing is due, or another has its turn."""
        if drain.requested() or not self._run.lease.holds or time.monotonic() > self._run.deadline:
            return False

        def work(connection: Connection) -> list[int]:
            if not store.renew(connection, self._run.run_id, self._run.lease.seconds):
                self._run.lease.lost()
                return []
            if self._claims and self._others_turn(connection):
                return []
            return self._claim_rows(connection)

        asked_at = clock()
        self._pool = self._dispatch.database.run(work)
        if self._pool:
            self._run.lease.renewed(asked_at)
            fail_point("pump.after_claim")
        self._claims += 1
        return bool(self._pool)

    def _claim_rows(self, connection: Connection) -> list[int]:
        where = {
            "run_id": self._run.run_id,
            "mailing_id": self._mailing_id,
            "account_id": self._account_id,
        }
        ids = messages.claim(connection, limit=CLAIM, **where)
        if not ids:  # those that died with a run before go one by one
            ids = messages.claim(connection, limit=1, suspects=True, **where)
            if ids:
                store.note_crash_suspect(connection, self._run.run_id, ids[0])
        return ids

    def _others_turn(self, connection: Connection) -> bool:
        work = messages.due_work(connection)
        mine = [priority for mailing, _, priority in work if mailing == self._mailing_id]
        others = [priority for mailing, _, priority in work if mailing != self._mailing_id]
        if not mine or not others:
            return False
        return max(others) > mine[0] or (self._claims % TURN == 0 and max(others) == mine[0])

    # -- one window's transaction -----------------------------------------------------------------

    def _commit(self, results: list[SendResult], prepared: Prepared | None) -> None:
        """Record what came and open what goes next, in one transaction; for as long as the process lives."""
        asked_at = clock()
        tries = 0
        while True:
            try:
                opened, recorded = self._dispatch.database.run(
                    lambda connection: self._window(connection, results, prepared)
                )
                break
            except (OperationalError, InterfaceError, DBAPIError) as error:
                if isinstance(error, IntegrityError) and prepared is not None:
                    opened, recorded = self._already_open(prepared), Recorded()
                    break
                tries += 1
                if drain.requested() and tries > 2:
                    raise
                log.warning("window not recorded (%s); trying again", type(error).__name__)
                time.sleep(random.uniform(0.5, min(15.0, 1.0 * 2**min(tries, 4))))
        fail_point("record.after_commit")
        self._run.journal.recorded(result.attempt_id for result in results)
        for result in results:
            self._facts.pop(result.attempt_id, None)
        self.handled += len(results)
        if opened:
            self._run.lease.renewed(asked_at)
            fail_point("pump.after_open")
            self._feed.add(opened)
        elif prepared is not None and prepared.outgoing:
            self._give_back_pool()

    def _already_open(self, prepared: Prepared) -> list[OutgoingMessage]:
        """The commit's answer was lost, yet it happened: the attempts are there."""
        ids = [message.attempt_id for _, message in prepared.outgoing]
        with self._dispatch.database.begin() as connection:
            there = set(connection.scalars(select(Attempt.id).where(Attempt.id.in_(ids))))
        return [message for _, message in prepared.outgoing if message.attempt_id in there]

    def _window(
        self, connection: Connection, results: list[SendResult], prepared: Prepared | None
    ) -> tuple[list[OutgoingMessage], Recorded]:
        alive = store.renew(connection, self._run.run_id, self._run.lease.seconds)
        now = database_now(connection)
        known = [self._known(result) for result in results if result.attempt_id in self._facts]
        recorded = record(self._dispatch, connection, known, now=now)
        self._tell_account(connection, recorded)
        fail_point("record.before_commit")
        if prepared is None:
            return [], recorded
        self._skip(connection, prepared)
        if not alive or not self._may_open(connection):
            self._stop_opening(connection, prepared)
            return [], recorded
        opening = [self._attempt(row, message, now) for row, message in prepared.outgoing]
        if opening:
            messages.open_attempts(connection, opening)
        return [message for _, message in prepared.outgoing], recorded

    def _known(self, result: SendResult) -> Result:
        row, facts = self._facts[result.attempt_id]
        return Result(said=result, facts=facts, channel=row["channel"], address=row["address"])

    def _tell_account(self, connection: Connection, recorded: Recorded) -> None:
        if recorded.cleared:
            accounts.accepted(connection, self._account_id)
        if recorded.stops_account is not None:
            accounts.stop(self._dispatch, connection, self._account_id, recorded.stops_account)
        elif recorded.suspicious:
            accounts.suspect(
                self._dispatch,
                connection,
                self._account_id,
                recorded.suspicious,
                cleared=recorded.cleared,
            )

    def _may_open(self, connection: Connection) -> bool:
        state = connection.execute(
            select(Mailing.state).where(Mailing.id == self._mailing_id)
        ).scalar_one()
        return state == MailingState.RUNNING.value and accounts.may_send(
            connection, self._account_id
        )

    def _stop_opening(self, connection: Connection, prepared: Prepared) -> None:
        ids = [row["id"] for row, _ in prepared.outgoing]
        messages.give_back(connection, run_id=self._run.run_id, ids=ids)
        self._exhausted = True
        self._feed.stop()

    def _skip(self, connection: Connection, prepared: Prepared) -> None:
        rows = []
        for row, reason in prepared.skipped:
            answer_id = reason
            if isinstance(reason, Answer):
                answer_id, _ = note_answer(
                    self._dispatch, connection, reason, channel=row["channel"]
                )
            state = MessageState.UNDELIVERED if row["attempts"] else MessageState.SKIPPED
            rows.append({"b_message": row["id"], "b_answer": answer_id, "b_state": state.value})
        if rows:
            messages.skip_leased(connection, rows, run_id=self._run.run_id)

    def _attempt(self, row: RowMapping, message: OutgoingMessage, now: Any) -> dict[str, Any]:
        facts = Facts(
            message_id=row["id"],
            attempt_id=message.attempt_id,
            number=row["last_number"] + 1,
            tries=row["tries"],
            attempts=row["attempts"] + 1,
            not_after=self._text.not_after if self._text else None,
        )
        self._facts[message.attempt_id] = (row, facts)
        return {
            "id": message.attempt_id,
            "message_id": row["id"],
            "number": facts.number,
            "key": message.attempt_key,
            "channel": row["channel"],
            "address": row["address"],
            "account_id": self._account_id,
            "run_id": self._run.run_id,
            "opened_at": now,
            "answer_text": "",
        }


def _not_sent(attempt_id: int) -> SendResult:
    return NotSent(attempt_id=attempt_id)


def _unsaid(attempt_id: int) -> SendResult:
    """A channel that said nothing about what it took: nobody knows."""
    answer = Answer(system="dispatch", code="connection_lost", text="the channel gave no result")
    return Uncertain(attempt_id=attempt_id, answer=answer)
