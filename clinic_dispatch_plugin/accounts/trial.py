"""Tries whether an account can sign in: in a thread with an end, and what it found is there for every process."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.accounts import setup_store
from clinic_dispatch_plugin.channels.channel import Channel
from clinic_dispatch_plugin.channels.errors import ChannelError
from clinic_dispatch_plugin.channels.types import Account, Answer
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Seconds a page waits for the end of a trial; afterwards it looks again and again.
SHORT = 2.0
#: Seconds a trial waits for a connection that nobody sends over.
PATIENCE = 20.0
#: Seconds after which a trial without an end is taken for dead.
LONGEST = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a trial found."""

    #: ``ok``, ``failed`` or ``none``: the channel has no way to try.
    outcome: str
    answer: Answer | None = None


IN_USE = Answer(system="dispatch", code="connections_in_use")


def begin(
    dispatch: Dispatch, account: Account, row_id: int, *, by: str, is_full: Callable[[], bool]
) -> None:
    """Begin a trial and wait a moment for its end; it goes on by itself.

    :param is_full: whether every connection the account may have is in use.
    """
    token = secrets.token_hex(8)
    dispatch.database.run(lambda c: setup_store.begin_trial(c, row_id, token=token, by=by))
    work = threading.Thread(
        target=_work,
        args=(dispatch, account, row_id, token, is_full),
        name="dispatch-trial",
        daemon=True,
    )
    work.start()
    work.join(SHORT)


def trials(connection: Connection) -> Mapping[int, RowMapping]:
    """The last trial of each account."""
    return setup_store.trials(connection)


def signed_in(dispatch: Dispatch, account: Account) -> Found:
    """Sign in and out again; whatever a channel raises is an answer."""
    channel = dispatch.channels[account.channel]
    if type(channel).connect is Channel.connect:
        return Found(outcome="none")
    try:
        channel.connect(account)
    except ChannelError as error:
        return Found(outcome="failed", answer=error.answer)
    except Exception as error:
        log.error("channel %s failed when it was tried: %s", account.channel, places(error))
        text = f"the channel failed: {type(error).__name__}"
        return Found(
            outcome="failed", answer=Answer(system="dispatch", code="channel_failed", text=text)
        )
    return Found(outcome="ok")


def _free(is_full: Callable[[], bool]) -> bool:
    """Wait for a connection to be free; False: there was none."""
    until = time.monotonic() + PATIENCE
    while is_full():
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
    return True


def _work(
    dispatch: Dispatch, account: Account, row_id: int, token: str, is_full: Callable[[], bool]
) -> None:
    try:
        with dispatch.app_context():
            in_use = Found(outcome="failed", answer=IN_USE)
            found = signed_in(dispatch, account) if _free(is_full) else in_use
            dispatch.database.run(lambda c: _write(dispatch, c, account, row_id, token, found))
    except SQLAlchemyError as error:
        log.error("what a trial found could not be kept: %s", type(error).__name__)


def _write(
    dispatch: Dispatch,
    connection: Connection,
    account: Account,
    row_id: int,
    token: str,
    found: Found,
) -> None:
    answer_id, text = None, ""
    if found.answer is not None:
        text = found.answer.text[:2_000]
        answer_id, _ = note_answer(dispatch, connection, found.answer, channel=account.channel)
    setup_store.end_trial(
        connection,
        row_id,
        token=token,
        outcome=found.outcome,
        answer_id=answer_id,
        answer_text=text,
    )
