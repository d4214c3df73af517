"""Whose turn it is: the urgent first, then whoever was served longest ago."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts import shares
from clinic_dispatch_plugin.accounts.rules import AccountState
from clinic_dispatch_plugin.channels.types import Account
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.registry import Dispatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One mailing on one account that may send."""

    mailing_id: int
    account_id: int
    account: Account
    #: The account is being checked: one message tells.
    probing: bool = False
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A mailing with something due on an account."""

    mailing_id: int
    account_id: int
    priority: int

    @property
    def where(self) -> tuple[int, int]:
        """The mailing and the account."""
        return self.mailing_id, self.account_id


def next_turn(
    connection: Connection,
    dispatch: Dispatch,
    *,
    served: Sequence[tuple[int, int]] = (),
    without: Collection[int] = (),
    run_id: int = 0,
) -> Turn | None:
    """What to send next; None: nothing is due on an account that is configured here and may send.

    :param served: the mailings this run has served and through which accounts, the last one last: a mailing on
        several channels has a turn on each.
    :param without: mailings that are left out.
    :param run_id: the run that asks, which may go on with the connections it holds.
    """
    ready, probing = _usable(connection, dispatch, run_id)
    work = [each for each in _due(connection, ready) if each.mailing_id not in without]
    if not work:
        return None
    last = {each: position for position, each in enumerate(served)}
    first = min(work, key=lambda each: (-each.priority, last.get(each.where, -1), each.where))
    return Turn(
        mailing_id=first.mailing_id,
        account_id=first.account_id,
        account=ready[first.account_id],
        probing=first.account_id in probing,
        priority=first.priority,
    )


def due_here(connection: Connection, dispatch: Dispatch, run_id: int) -> list[Due]:
    """What is due on accounts that are configured here and may send, by this run."""
    return _due(connection, _usable(connection, dispatch, run_id)[0])


def _due(connection: Connection, usable: Collection[int]) -> list[Due]:
    return [
        Due(mailing_id=mailing_id, account_id=account_id, priority=priority)
        for mailing_id, account_id, priority in messages.due_work(connection)
        if account_id in usable
    ]


def _usable(
    connection: Connection, dispatch: Dispatch, run_id: int
) -> tuple[dict[int, Account], set[int]]:
    """The accounts configured here that may send or be checked, and which of them are to be checked."""
    usable: dict[int, Account] = {}
    probing: set[int] = set()
    for row in accounts.accounts(connection):
        account = dispatch.account_called(row["channel"], row["key"])
        if account is None or _is_full(connection, account, row["id"], run_id):
            continue
        if row["state"] == AccountState.READY.value:
            usable[row["id"]] = account
        elif row["state"] == AccountState.PROBING.value and _is_free(connection, row["rest_until"]):
            usable[row["id"]] = account
            probing.add(row["id"])
    return usable, probing


def is_full(dispatch: Dispatch, account: Account) -> bool:
    """Whether runs hold all connections the clinic allows: one more could cost a run its own."""
    if account.connection_limit is None:
        return False

    def look(connection: Connection) -> bool:
        row_id = accounts.account_id(connection, account.channel, account.key)
        return _is_full(connection, account, row_id, 0)

    return dispatch.database.run(look)


def _is_full(connection: Connection, account: Account, row_id: int, run_id: int) -> bool:
    """Whether other runs hold all connections the clinic allows."""
    if account.connection_limit is None:
        return False
    live = store.live_run_ids(connection)
    return shares.held(connection, row_id, live=live, without=run_id) >= account.connection_limit


def _is_free(connection: Connection, taken_until: datetime | None) -> bool:
    """Whether no other run checks it."""
    return taken_until is None or taken_until <= now(connection)
