"""One window after the other: prepared, written down as open, and recorded, each with the one before in one commit."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.channels.faults import fail_point
from clinic_dispatch_plugin.channels.types import Account, Money, OutgoingMessage, SendResult
from clinic_dispatch_plugin.engine import drain, store
from clinic_dispatch_plugin.engine.asking import HostUnavailable
from clinic_dispatch_plugin.engine.budget import Budget
from clinic_dispatch_plugin.engine.claims import Claims
from clinic_dispatch_plugin.engine.feed import Feed
from clinic_dispatch_plugin.engine.lease import clock
from clinic_dispatch_plugin.engine.onward import stuck
from clinic_dispatch_plugin.engine.pace import Pace
from clinic_dispatch_plugin.engine.prepare import Prepared, Row, Text, prepare
from clinic_dispatch_plugin.engine.recorder import Judged, Recorded, Result, judge, write
from clinic_dispatch_plugin.engine.rules import Facts
from clinic_dispatch_plugin.engine.run import RunState
from clinic_dispatch_plugin.engine.spam import Watch
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.addresses_store import readdress
from clinic_dispatch_plugin.messages.onward_store import go_on_untried
from clinic_dispatch_plugin.messages.quiet import QUIET
from clinic_dispatch_plugin.messages.routes import Route, after
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.tries_store import give_tries_back
from clinic_dispatch_plugin.messages.waits_store import wait_until

log = logging.getLogger(__name__)

#: Tries to record before a worker that was asked to end leaves it to the journal.
_TRIES_WHILE_DRAINING = 2
#: The reference's category of answers that say we are too fast.
THROTTLED = "quota_or_rate"


@dataclass(slots=True, kw_only=True)
class _Committed:
    """What one transaction did."""

    opened: list[OutgoingMessage] = field(default_factory=list)
    recorded: Recorded = field(default_factory=Recorded)
    #: No further window of this stream may open.
    stop: bool = False


class Windows:
    """The database's side of one stream: everything between a claim and the recorded result."""

    def __init__(
        self,
        run: RunState,
        feed: Feed,
        claims: Claims,
        text: Text,
        *,
        account: Account,
        account_id: int,
        probing: bool = False,
    ) -> None:
        """Open nothing yet; ``probing``: one window of one message, to see whether the account works."""
        self._run = run
        self._dispatch = run.dispatch
        self._feed = feed
        self._claims = claims
        self._text = text
        self._account_id = account_id
        self._budget = Budget(run.dispatch, account, account_id)
        self._spam = Watch(run.dispatch, mailing_id=text.mailing_id, account_id=account_id)
        self._probing = probing
        self._pace = Pace(most=1) if probing else Pace()
        self._facts: dict[int, tuple[Row, Facts]] = {}
        #: Nothing more will be opened.
        self.over = False
        #: Times the database failed while a window was prepared.
        self._troubles = 0
        #: Messages that went out or were decided.
        self.handled = 0

    def wanted(self, answered: int) -> bool:
        """Whether so few attempts stand open that another window is to be prepared.

        :param answered: results that the next commit records.
        """
        return self._room(answered) >= self.half

    @property
    def half(self) -> int:
        """Results that are worth a commit of their own."""
        return max(1, self._pace.size // 2)

    def _room(self, answered: int) -> int:
        """How many attempts the next commit may open."""
        return self._pace.size - len(self._facts) + answered

    def prepare_next(
        self, *, meanwhile: Callable[[], object], answered: int = 0
    ) -> Prepared | None:
        """The next window's messages with their texts, the host asked afresh; None: there is none now.

        :param meanwhile: called again and again while the host is asked.
        :param answered: results that the next commit records, or one before it.
        """
        if self.over:
            return None
        if self._feed.stopped or not self._run.may_send:
            self._end()
            return None
        ids: list[int] | None = []
        try:
            ids = self._claims.next_ids(self._room(answered))
            if ids is None:
                self.over = True
                self._feed.close()
                return None
            return self._prepare(ids, meanwhile) if ids else None
        except (OperationalError, InterfaceError) as error:
            # The process is well, the database is not: nothing is decided, and what was taken comes first again.
            self._claims.put_back(ids or [])
            self._troubles += 1
            self._wait_for_database(error, self._troubles)
            return None

    def _prepare(self, ids: list[int], meanwhile: Callable[[], object]) -> Prepared | None:
        with self._dispatch.database.look() as connection:
            rows = messages.leased(connection, run_id=self._run.run_id, ids=ids)
        try:
            prepared = prepare(
                self._dispatch,
                rows,
                self._text,
                next_attempt_id=self._run.next_attempt_id,
                unsubscribe_url=self._run.unsubscribe_url,
                meanwhile=meanwhile,
            )
        except HostUnavailable:
            self._claims.put_off(ids)
            self.over = True
            self._feed.close()
            return None
        self._budget.learn(self._text.mailing_id, prepared.messages)
        return prepared

    def finish(self, results: list[SendResult]) -> None:
        """After the sender's last word: record the rest, and give back what was never opened."""
        self.over = True
        self.commit(results, None)
        self._claims.give_back()

    def _end(self) -> None:
        """Open nothing more and let nothing more be taken."""
        self.over = True
        self._feed.stop()

    # -- one window's transaction -----------------------------------------------------------------

    def commit(self, results: list[SendResult], prepared: Prepared | None) -> None:
        """Record what came and open what goes next, in one transaction; for as long as the process lives."""
        asked_at = clock()
        done = self._until_committed(results, prepared)
        fail_point("record.after_commit")
        self._run.journal.recorded(results)
        for result in results:
            self._facts.pop(result.attempt_id, None)
        self.handled += len(results)
        self._pace.answered(len(results))
        self._spam.remember(done.recorded.causes)
        if done.opened:
            self._run.lease.renewed(asked_at)
            fail_point("pump.after_open")
            self._feed.add(done.opened)
            if self._probing:
                self.over = True
                self._feed.close()
        if done.stop:
            self._end()
            self._claims.give_back()
        elif self._budget.used_up and not self.over:
            # What is open is paid for and goes; nothing more opens.
            self.over = True
            self._feed.close()
            self._claims.give_back()

    def _until_committed(self, results: list[SendResult], prepared: Prepared | None) -> _Committed:
        tries = 0
        while True:
            try:
                return self._dispatch.database.run(
                    lambda connection: self._window(connection, results, prepared)
                )
            except IntegrityError:
                # The commit's answer was lost, yet it happened: the attempts are there.
                opened = self._there(prepared.messages) if prepared is not None else []
                if not opened:
                    raise
                return _Committed(opened=opened)
            except (OperationalError, InterfaceError) as error:
                tries += 1
                if drain.requested() and tries > _TRIES_WHILE_DRAINING:
                    raise
                self._wait_for_database(error, tries)

    def _wait_for_database(self, error: DBAPIError, tries: int) -> None:
        log.warning("window not recorded (%s); trying again", type(error.orig).__name__)
        time.sleep(random.uniform(0.5, min(15.0, 2.0 ** min(tries, 4))))

    def _there(self, opening: Sequence[OutgoingMessage]) -> list[OutgoingMessage]:
        with self._dispatch.database.begin() as connection:
            there = messages.those_there(connection, (each.attempt_id for each in opening))
        return [message for message in opening if message.attempt_id in there]

    def _window(
        self, connection: Connection, results: list[SendResult], prepared: Prepared | None
    ) -> _Committed:
        lease = self._run.lease.seconds
        alive, now = store.renew_and_tell(connection, self._run.run_id, lease)
        runs = False
        if prepared is not None:
            # Somebody may have changed the last moment since the text was read.
            runs, self._text.not_after = messages.runs_still(connection, self._text.mailing_id)
        account = accounts.account(connection, self._account_id)
        known = [self._known(result) for result in results if result.attempt_id in self._facts]
        judged = judge(self._dispatch, connection, known, now=now)
        done = _Committed(
            recorded=judged.means, stop=self._consequences(connection, judged, account, now)
        )
        write(self._dispatch, connection, judged)
        fail_point("record.before_commit")
        if prepared is None:
            return done
        if self._text.not_after is not None and self._text.not_after <= now:
            prepared = prepared.expired()
        readdress(connection, prepared.moved, run_id=self._run.run_id)
        self._skip(connection, prepared)
        self._let_wait(connection, prepared)
        may_open = alive and runs and not done.stop
        if may_open and accounts.may_send(connection, self._account_id, probing=self._probing):
            done.opened = self._open(connection, prepared, now)
        else:
            ids = [row["id"] for row, _ in prepared.outgoing]
            messages.give_back(connection, run_id=self._run.run_id, ids=ids)
            done.stop = True
        return done

    def _known(self, result: SendResult) -> Result:
        row, facts = self._facts[result.attempt_id]
        return Result(
            said=result,
            facts=facts,
            channel=row["channel"],
            address=row["address"],
            name=row["name"],
            stuck=stuck(
                row, order=self._text.order, purpose=self._text.purpose, channel=row["channel"]
            )
            if after(self._text.order, row["channel"])
            else None,
        )

    def _consequences(
        self, connection: Connection, judged: Judged, account: RowMapping | None, now: datetime
    ) -> bool:
        """What the results mean for account and mailing; True: one of them stopped now.

        :param account: its row, read in this transaction.
        """
        stopped = self._tell_account(connection, judged.means, account)
        if stopped and (answer_ids := judged.spare(now)):
            give_tries_back(connection, self._account_id, answer_ids)
        if any(cause.category == THROTTLED for cause in judged.means.causes):
            store.slow_down(connection, self._account_id)
        return stopped | self._spam.stopped(connection, judged.means.causes)

    def _tell_account(
        self, connection: Connection, recorded: Recorded, account: RowMapping | None
    ) -> bool:
        if recorded.cleared and accounts.is_suspected(account):
            accounts.accepted(connection, self._account_id)
        if recorded.stops_account is not None:
            accounts.stop(self._dispatch, connection, self._account_id, recorded.stops_account)
            return True
        if self._probing:
            self._conclude(connection, recorded)
        return bool(recorded.suspicious) and accounts.suspect(
            self._dispatch,
            connection,
            self._account_id,
            recorded.suspicious,
            cleared=recorded.cleared,
        )

    def _conclude(self, connection: Connection, recorded: Recorded) -> None:
        """What the one message says about an account that is being checked."""
        if recorded.broken is not None:
            accounts.failed(self._dispatch, connection, self._account_id, recorded.broken)
        elif recorded.causes and not recorded.suspicious:
            accounts.accepted(connection, self._account_id)

    def _let_wait(self, connection: Connection, prepared: Prepared) -> None:
        """What is quiet for its recipient waits for the morning; no try is used."""
        if prepared.later:
            answer_id, _ = note_answer(self._dispatch, connection, QUIET)
            rows = [(row["id"], due) for row, due in prepared.later]
            wait_until(connection, rows, run_id=self._run.run_id, answer_id=answer_id)

    def _skip(self, connection: Connection, prepared: Prepared) -> None:
        rows = []
        for row, reason in prepared.skipped:
            answer_id, _ = note_answer(self._dispatch, connection, reason, channel=row["channel"])
            state = MessageState.UNDELIVERED if row["attempts"] else MessageState.SKIPPED
            rows.append({"b_message": row["id"], "b_answer": answer_id, "b_state": state.value})
        if rows:
            messages.skip_leased(connection, rows, run_id=self._run.run_id)
        self._go_on(connection, prepared)

    def _go_on(self, connection: Connection, prepared: Prepared) -> None:
        """What this channel cannot carry waits for the next one."""
        rows = []
        for row, reason, onward in prepared.onward:
            answer_id, _ = note_answer(self._dispatch, connection, reason, channel=row["channel"])
            route = Route.read(row["route"]).passing(row["channel"], answer_id)
            rows.append((row["id"], onward, route, answer_id))
        go_on_untried(connection, rows, run_id=self._run.run_id)

    def _open(
        self, connection: Connection, prepared: Prepared, now: datetime
    ) -> list[OutgoingMessage]:
        if not prepared.outgoing:
            return []
        allowed = self._budget.allow(connection, prepared.messages, now=now)
        going, left = prepared.outgoing[: allowed.many], prepared.outgoing[allowed.many :]
        if left:
            ids = [row["id"] for row, _ in left]
            messages.give_back(connection, run_id=self._run.run_id, ids=ids)
        if allowed.why is not None:
            self._budget.pause(connection, self._text.mailing_id, allowed.why)
        if not going:
            return []
        attempts = [
            self._attempt(row, message, now, allowed.estimates.get(message.attempt_id))
            for row, message in going
        ]
        opened = messages.open_attempts(connection, attempts)
        self._budget.free(connection, allowed, opened, now=now)
        for attempt in attempts:
            if attempt["id"] not in opened:  # cancelled meanwhile, or arrived by the way it left
                del self._facts[attempt["id"]]
        return [message for message in prepared.messages if message.attempt_id in opened]

    def _attempt(
        self, row: Row, message: OutgoingMessage, now: datetime, estimate: Money | None
    ) -> dict[str, Any]:
        facts = Facts(
            message_id=row["id"],
            attempt_id=message.attempt_id,
            number=row["last_number"] + 1,
            tries=row["tries"],
            attempts=row["attempts"] + 1,
            not_after=self._text.not_after,
            created_at=row["created_at"],
            set_aside=estimate is not None,
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
            "estimate": estimate.amount if estimate else None,
            "currency": estimate.currency if estimate else None,
        }
