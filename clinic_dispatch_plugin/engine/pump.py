"""One run: takes what is due, mailing by mailing, and sends it, until nothing is due or its time is over."""

from __future__ import annotations

import logging
import os
import socket
import time
from contextlib import ExitStack

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.channels.channel import Sender
from clinic_dispatch_plugin.channels.types import Account
from clinic_dispatch_plugin.engine import drain, store
from clinic_dispatch_plugin.engine.journal import Journal, boot_id
from clinic_dispatch_plugin.engine.lease import Lease
from clinic_dispatch_plugin.engine.prepare import unsubscribe_url
from clinic_dispatch_plugin.engine.stream import RunState, Stream, attempt_numbers
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Seconds after which a run ends, so that a leak dies with its process.
BUDGET_SECONDS = 300.0


def worker_name() -> str:
    """Host name and process id."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}"


def pump(dispatch: Dispatch) -> int:
    """Send what is due; returns how many messages were handled. More is due afterwards: the bell is rung again."""
    with dispatch.database.begin() as connection:
        if not _choose(connection, dispatch, served=[]) or _one_is_enough(connection):
            return 0
    settings = dispatch.settings

    def start(connection: Connection) -> int:
        return store.start_run(
            connection,
            worker=worker_name(),
            host=socket.gethostname()[:128],
            boot_id=boot_id(),
            lease=settings.lease_seconds,
        )

    run_id = dispatch.database.run(start)
    journal = Journal(settings.spool_dir, run_id)
    lease = Lease(dispatch, run_id)
    lease.start()
    run = RunState(
        dispatch=dispatch,
        run_id=run_id,
        journal=journal,
        lease=lease,
        deadline=time.monotonic() + BUDGET_SECONDS,
        unsubscribe_url=lambda row, text: unsubscribe_url(dispatch, row, text),
        numbers=attempt_numbers(),
    )
    clean = False
    try:
        handled = _streams(run)
        clean = True
    finally:
        lease.stop()
        if clean:
            _end(dispatch, run_id)
        journal.close(keep=not clean)
    return handled


def _end(dispatch: Dispatch, run_id: int) -> None:
    def work(connection: Connection) -> bool:
        store.end_run(connection, run_id)
        messages.give_back(connection, run_id=run_id)
        return bool(_choose(connection, dispatch, served=[]))

    if dispatch.database.run(work) and not drain.requested():
        dispatch.doorbell.ring()


def _streams(run: RunState) -> int:
    handled = 0
    served: list[int] = []
    senders: dict[int, tuple[Sender, Account]] = {}
    with ExitStack() as stack:
        while not drain.requested() and run.lease.holds and time.monotonic() < run.deadline:
            with run.dispatch.database.begin() as connection:
                chosen = _choose(connection, run.dispatch, served=served)
            if chosen is None:
                break
            mailing_id, account_id, account = chosen
            if account_id not in senders:
                channel = run.dispatch.channels[account.channel]
                senders[account_id] = (stack.enter_context(channel.open(account)), account)
            sender, account = senders[account_id]
            stream = Stream(run, sender, account, mailing_id=mailing_id, account_id=account_id)
            stream.run()
            handled += stream.handled
            served.append(mailing_id)
            mark_progress(run.dispatch, mailing_id)
    return handled


def mark_progress(dispatch: Dispatch, mailing_id: int) -> None:
    """Write down when a mailing's first pass ended and when it finished."""

    def work(connection: Connection) -> None:
        messages.first_pass_ended(connection, mailing_id)
        messages.mailing_finished(connection, mailing_id)

    dispatch.database.run(work)


def _choose(
    connection: Connection, dispatch: Dispatch, *, served: list[int]
) -> tuple[int, int, Account] | None:
    """The next mailing and account: urgent first, then the one this run served longest ago."""
    ready = {}
    for row in accounts.accounts(connection):
        account = dispatch.account(row["channel"])
        if account is not None and account.key == row["key"] and row["state"] == "ready":
            ready[row["id"]] = account
    work = [(m, a, p) for m, a, p in messages.due_work(connection) if a in ready]
    if not work:
        return None
    last = {mailing_id: position for position, mailing_id in enumerate(served)}
    mailing_id, account_id, _ = min(work, key=lambda item: (-item[2], last.get(item[0], -1), item[0]))
    return mailing_id, account_id, ready[account_id]


def _one_is_enough(connection: Connection) -> bool:
    """SQLite has one writer: a second sending process would only wait for the first."""
    return connection.dialect.name == "sqlite" and store.live_runs(connection) > 0
