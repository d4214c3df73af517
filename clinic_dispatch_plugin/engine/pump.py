"""One run: takes what is due, mailing by mailing, and sends it, until nothing is due or its time is over."""

from __future__ import annotations

import logging
import os
import socket
import time
from contextlib import ExitStack, suppress
from dataclasses import replace

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts import shares
from clinic_dispatch_plugin.channels.channel import Sender
from clinic_dispatch_plugin.channels.errors import AccountError, ConnectionFailed
from clinic_dispatch_plugin.channels.types import Account
from clinic_dispatch_plugin.engine import drain, store
from clinic_dispatch_plugin.engine.aftermath import settle
from clinic_dispatch_plugin.engine.journal import Journal, boot_id
from clinic_dispatch_plugin.engine.lease import Lease
from clinic_dispatch_plugin.engine.leftovers import decide_cancelled
from clinic_dispatch_plugin.engine.prepare import Text, load_text, unsubscribe_url
from clinic_dispatch_plugin.engine.presence import SILENT_SECONDS
from clinic_dispatch_plugin.engine.recovery import awaits_recovery
from clinic_dispatch_plugin.engine.remembered import Remembered, remember
from clinic_dispatch_plugin.engine.run import RunState
from clinic_dispatch_plugin.engine.stream import Stream, account_trouble, channel_failed
from clinic_dispatch_plugin.engine.turns import Turn, next_turn
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.queue.logs import about
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Seconds after which a run ends, so that a leak dies with its process.
BUDGET_SECONDS = 300.0


def worker_name() -> str:
    """Host name and process id."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}"


def pump(dispatch: Dispatch) -> int:
    """Send what is due; returns how many messages were handled. More is due afterwards: the bell is rung again.

    :raises OSError: the journal cannot be written; nothing is handed over without it.
    """
    with dispatch.database.begin() as connection:
        if next_turn(connection, dispatch) is None or _one_is_enough(connection):
            return 0
    if awaits_recovery(dispatch):
        return 0
    run_id = dispatch.database.run(lambda connection: _start(dispatch, connection))
    try:
        journal = Journal(dispatch.settings.spool_dir, run_id)
        mine = Remembered(run_id=run_id, worker=worker_name(), boot_id=boot_id())
        remember(dispatch.settings.spool_dir, mine)
    except OSError:
        dispatch.database.run(lambda connection: store.end_run(connection, run_id))
        raise
    about(run=run_id)
    lease = Lease(dispatch, run_id)
    lease.start()
    run = RunState(
        dispatch=dispatch,
        run_id=run_id,
        journal=journal,
        lease=lease,
        deadline=time.monotonic() + BUDGET_SECONDS,
        unsubscribe_url=lambda row, text: unsubscribe_url(dispatch, row, text),
    )
    ended = False
    try:
        handled = _Turns(run).serve()
        lease.stop()
        _end(run)
        ended = True
    except Exception:
        # The process is well: what it only leased waits again, and is not counted as what a dead run held.
        with suppress(SQLAlchemyError):
            dispatch.database.run(lambda connection: messages.give_back(connection, run_id=run_id))
        raise
    finally:
        lease.stop()
        about(run=0, mailing=0, account=0)
        journal.close(keep=not ended)  # one that stays is a dead run's, and the tender reads it
    return handled


def _start(dispatch: Dispatch, connection: Connection) -> int:
    return store.start_run(
        connection,
        worker=worker_name(),
        host=socket.gethostname()[:128],
        boot_id=boot_id(),
        lease=dispatch.settings.lease_seconds,
    )


def _end(run: RunState) -> None:
    def work(connection: Connection) -> bool:
        store.end_run(connection, run.run_id)
        shares.give_back(connection, run.run_id)
        messages.give_back(connection, run_id=run.run_id)
        # Empty but where a commit's answer was lost and the mailing stopped at the same moment.
        settle(run.dispatch, connection, run.run_id, run.journal.content())
        return next_turn(connection, run.dispatch) is not None

    if run.dispatch.database.run(work) and not drain.requested():
        run.dispatch.doorbell.ring()


class _Turns:
    """Gives each mailing its turn, over senders that stay open."""

    def __init__(self, run: RunState) -> None:
        self._run = run
        #: With the account each was opened for: one that was set up anew is opened anew.
        self._senders: dict[int, tuple[Account, Sender]] = {}
        self._texts: dict[tuple[int, str], Text] = {}
        self._served: list[tuple[int, int]] = []
        self._broken: set[int] = set()

    def serve(self) -> int:
        """Send until nothing is due, the lease is over, or this run's time is; returns how many were handled."""
        run, handled = self._run, 0
        with ExitStack() as stack:
            while run.may_send and time.monotonic() < run.deadline:
                with run.dispatch.database.look() as connection:
                    turn = next_turn(
                        connection,
                        run.dispatch,
                        served=self._served,
                        without=self._broken,
                        run_id=run.run_id,
                    )
                if turn is None:
                    break
                about(mailing=turn.mailing_id, account=turn.account_id)
                if turn.probing:
                    handled += self._probe(turn, stack)
                else:
                    handled += self._send(turn, stack)
                self._served.append((turn.mailing_id, turn.account_id))
                decide_cancelled(run.dispatch)
                mark_progress(run.dispatch, turn.mailing_id)
        return handled

    def _send(self, turn: Turn, stack: ExitStack) -> int:
        sender, text = self._sender(turn, stack), self._text(turn)
        if sender is None or text is None:
            return 0
        stream = Stream(
            self._run,
            sender,
            turn.account,
            text,
            account_id=turn.account_id,
            probing=turn.probing,
            priority=turn.priority,
        )
        stream.run()
        return stream.handled

    def _probe(self, turn: Turn, stack: ExitStack) -> int:
        """Send one message through an account that is being checked, unless another run does."""
        database, seconds = self._run.dispatch.database, self._run.lease.seconds
        if not database.run(lambda c: accounts.take_probe(c, turn.account_id, seconds=seconds)):
            return 0
        try:
            return self._send(turn, stack)
        finally:
            database.run(lambda c: accounts.free_probe(c, turn.account_id))

    def _sender(self, turn: Turn, stack: ExitStack) -> Sender | None:
        """The account's sender, opened once; None: it cannot be, and the account was told so."""
        found = self._senders.get(turn.account_id)
        if found is not None and found[0] == turn.account:
            return found[1]
        dispatch = self._run.dispatch
        account = self._with_share(turn)
        if account is None:
            return None
        try:
            opened = dispatch.channels[turn.account.channel].open(account)
            sender = stack.enter_context(opened)
        except (AccountError, ConnectionFailed) as error:
            account_trouble(dispatch, turn.account_id, error)
            return None
        except Exception as error:
            log.error("channel %s cannot be opened: %s", turn.account.channel, places(error))
            account_trouble(dispatch, turn.account_id, channel_failed(error))
            return None
        self._senders[turn.account_id] = turn.account, sender
        return sender

    def _with_share(self, turn: Turn) -> Account | None:
        """The account with the connections that fall to this run; None: others hold them all."""
        run, limit = self._run, turn.account.connection_limit
        if limit is None:
            return turn.account

        def work(connection: Connection) -> int:
            live = store.live_run_ids(connection)
            hands = sum(
                row["concurrency"] for row in store.workers(connection, within=SILENT_SECONDS)
            )
            return shares.take(
                connection, turn.account_id, run.run_id, limit=limit, live=live, hands=hands
            )

        many = run.dispatch.database.run(work)
        return (
            replace(turn.account, connections=min(many, turn.account.connections)) if many else None
        )

    def _text(self, turn: Turn) -> Text | None:
        """The mailing's text for this channel, read once; None: it cannot be used, and the others go on."""
        key = turn.mailing_id, turn.account.channel
        if key not in self._texts:
            try:
                with self._run.dispatch.database.begin() as connection:
                    self._texts[key] = load_text(connection, *key)
            except Exception as error:
                if isinstance(error, SQLAlchemyError):
                    raise
                log.error(
                    "the text of mailing %d cannot be used: %s", turn.mailing_id, places(error)
                )
                self._broken.add(turn.mailing_id)
                self._pause(turn.mailing_id, type(error).__name__)
                return None
        return self._texts[key]

    def _pause(self, mailing_id: int, text: str) -> None:
        """A mailing whose text cannot be used stands still and says so, instead of being tried for ever."""
        self._run.dispatch.database.run(
            lambda connection: messages.pause_mailing(
                connection, mailing_id, reason="text", text=text
            )
        )


def mark_progress(dispatch: Dispatch, mailing_id: int) -> None:
    """Write down when a mailing's first pass ended and when it finished."""

    def work(connection: Connection) -> None:
        messages.first_pass_ended(connection, mailing_id)
        messages.mailing_finished(connection, mailing_id)

    dispatch.database.run(work)


def _one_is_enough(connection: Connection) -> bool:
    """SQLite has one writer: a second sending process would only wait for the first."""
    return connection.dialect.name == "sqlite" and store.live_runs(connection) > 0
