"""One mailing through one account: messages go out while windows open and results are recorded."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.channels.channel import Sender
from clinic_dispatch_plugin.channels.errors import AccountError, ConnectionFailed
from clinic_dispatch_plugin.channels.faults import fail_point
from clinic_dispatch_plugin.channels.types import Account, Answer, NotSent, SendResult, Uncertain
from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.engine.claims import CLAIM, Claims
from clinic_dispatch_plugin.engine.feed import Feed
from clinic_dispatch_plugin.engine.hearing import Hearing
from clinic_dispatch_plugin.engine.prepare import Text
from clinic_dispatch_plugin.engine.rules import storable
from clinic_dispatch_plugin.engine.run import RunState
from clinic_dispatch_plugin.engine.windows import Windows
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Seconds a result waits at most before it is recorded.
RECORD_WITHIN = 0.05
#: Seconds to wait at most after a failed connection that did not make the account rest.
PAUSE_AFTER_FAILURE = 1.0


class Stream:
    """Sends what is due of one mailing through one account until nothing is, or somebody says stop."""

    def __init__(
        self,
        run: RunState,
        sender: Sender,
        account: Account,
        text: Text,
        *,
        account_id: int,
        probing: bool = False,
        priority: int = 0,
    ) -> None:
        """Begin nothing yet; ``probing``: one message is sent, to see whether the account works."""
        self._run = run
        self._sender = sender
        self._account = account
        self._account_id = account_id
        self._feed = Feed(run.journal, lambda: run.may_send)
        claims = Claims(
            run,
            account,
            mailing_id=text.mailing_id,
            account_id=account_id,
            most=1 if probing else CLAIM,
            priority=priority,
        )
        self._windows = Windows(
            run,
            self._feed,
            claims,
            text,
            account=account,
            account_id=account_id,
            probing=probing,
        )
        self._hearing = Hearing(
            run.dispatch, sender, channel=account.channel, account_id=account_id
        )
        self._results: deque[SendResult] = deque()
        self._sending_over = False
        self._failed: BaseException | None = None
        self._wake = threading.Event()

    @property
    def handled(self) -> int:
        """Messages that went out or were decided."""
        return self._windows.handled

    def run(self) -> None:
        """Send until nothing is due.

        :raises Exception: what the recording thread raised, or a journal that cannot be written; the run is lost then.
        """
        recorder = threading.Thread(target=self._record_all, name="dispatch-recorder", daemon=True)
        recorder.start()
        try:
            trouble = self._send_all()
        finally:
            self._sending_over = True
            self._feed.stop()
            self._wake.set()
            recorder.join()
        failed = self._failed or self._feed.failed
        if failed is not None:
            raise failed
        if trouble is not None:
            account_trouble(self._run.dispatch, self._account_id, trouble)

    # -- the sending side -------------------------------------------------------------------------

    def _send_all(self) -> AccountError | ConnectionFailed | None:
        """Let the sender work; what it took and said nothing of is decided here."""
        trouble: AccountError | ConnectionFailed | None = None
        left: Callable[[int], SendResult] = _unsaid
        try:
            for result in self._sender.send(self._feed):
                self._note(result)
                self._feed.answered(result.attempt_id)
                self._hearing.between()
        except (AccountError, ConnectionFailed) as error:
            trouble = error
            left = _not_sent
        except Exception as error:
            log.error("channel %s failed while sending: %s", self._account.channel, places(error))
            trouble = channel_failed(error)
        for attempt_id in sorted(self._feed.taken):
            self._note(left(attempt_id))
        self._hearing.at_the_end()
        return trouble

    def _note(self, result: SendResult) -> None:
        fail_point("send.after_answer")
        try:
            self._run.journal.answered(result)
        except OSError as error:
            # The result is in hand and will be recorded; without its line only a crash would cost us.
            self._feed.fail(error)
        self._run.lease.progress()
        self._results.append(result)
        if len(self._results) >= self._windows.half or not len(self._feed):
            self._wake.set()

    # -- the recording side -----------------------------------------------------------------------

    def _record_all(self) -> None:
        try:
            while not self._sending_over:
                opened = self._step()
                if not opened or not self._windows.wanted(len(self._results)):
                    self._wake.wait(RECORD_WITHIN)
                    self._wake.clear()
            untaken = [NotSent(attempt_id=each.attempt_id) for each in self._feed.untaken()]
            self._windows.finish([*self._drain_results(), *untaken])
        except BaseException as error:
            self._failed = error
            self._feed.stop()

    def _step(self) -> bool:
        """Record what came and open the next window; False: there was none to open."""
        prepared = None
        answered = len(self._results)
        if self._windows.wanted(answered):
            prepared = self._windows.prepare_next(meanwhile=self._record_ready, answered=answered)
        results = self._drain_results()
        if results or prepared:
            self._windows.commit(results, prepared)
        return prepared is not None

    def _record_ready(self) -> None:
        """Record what came while something else is waited for."""
        if results := self._drain_results():
            self._windows.commit(results, None)

    def _drain_results(self) -> list[SendResult]:
        drained = []
        while self._results:
            drained.append(self._results.popleft())
        return drained


def account_trouble(
    dispatch: Dispatch, account_id: int, trouble: AccountError | ConnectionFailed
) -> None:
    """Write down that an account is at fault or cannot be reached; after a single failure wait a moment."""
    answer = storable(trouble.answer)
    if isinstance(trouble, AccountError):
        dispatch.database.run(
            lambda connection: accounts.stop(dispatch, connection, account_id, answer)
        )
        return

    def work(connection: Connection) -> bool:
        if trouble.retry_after is not None:
            store.slow_down(connection, account_id)
        return accounts.failed(
            dispatch, connection, account_id, answer, retry_after=trouble.retry_after
        )

    rests = dispatch.database.run(work)
    if not rests:
        pause = random.uniform(0.2, 1.0) * PAUSE_AFTER_FAILURE
        time.sleep(pause * min(1.0, dispatch.settings.retry_scale * 10))


def channel_failed(error: Exception) -> ConnectionFailed:
    """A channel that raises what it must not: the account rests like one that cannot be reached."""
    text = f"the channel failed: {type(error).__name__}"
    return ConnectionFailed(Answer(system="dispatch", code="channel_failed", text=text))


def _not_sent(attempt_id: int) -> SendResult:
    return NotSent(attempt_id=attempt_id)


def _unsaid(attempt_id: int) -> SendResult:
    """A channel that said nothing about what it took: nobody knows."""
    answer = Answer(system="dispatch", code="connection_lost", text="the channel gave no result")
    return Uncertain(attempt_id=attempt_id, answer=answer)
