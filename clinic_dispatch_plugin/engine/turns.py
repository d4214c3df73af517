"""Whose turn it is: the urgent first, then whoever was served longest ago."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts.rules import AccountState
from clinic_dispatch_plugin.channels.types import Account
from clinic_dispatch_plugin.database.connection import now
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


def next_turn(
    connection: Connection,
    dispatch: Dispatch,
    *,
    served: Sequence[tuple[int, int]] = (),
    without: Collection[int] = (),
) -> Turn | None:
    """What to send next; None: nothing is due on an account that is configured here and may send.

    :param served: the mailings this run has served and through which accounts, the last one last: a mailing on
        several channels has a turn on each.
    :param without: mailings that are left out.
    """
    ready, probing = _usable(connection, dispatch)
    work = [
        (-priority, mailing_id, account_id)
        for mailing_id, account_id, priority in messages.due_work(connection)
        if account_id in ready and mailing_id not in without
    ]
    if not work:
        return None
    last = {each: position for position, each in enumerate(served)}
    _, mailing_id, account_id = min(
        work, key=lambda item: (item[0], last.get(item[1:], -1), item[1], item[2])
    )
    return Turn(
        mailing_id=mailing_id,
        account_id=account_id,
        account=ready[account_id],
        probing=account_id in probing,
    )


def _usable(connection: Connection, dispatch: Dispatch) -> tuple[dict[int, Account], set[int]]:
    """The accounts configured here that may send or be checked, and which of them are to be checked."""
    usable: dict[int, Account] = {}
    probing: set[int] = set()
    for row in accounts.accounts(connection):
        account = dispatch.account_called(row["channel"], row["key"])
        if account is None:
            continue
        if row["state"] == AccountState.READY.value:
            usable[row["id"]] = account
        elif row["state"] == AccountState.PROBING.value and _is_free(connection, row["rest_until"]):
            usable[row["id"]] = account
            probing.add(row["id"])
    return usable, probing


def _is_free(connection: Connection, taken_until: datetime | None) -> bool:
    """Whether no other run checks it."""
    return taken_until is None or taken_until <= now(connection)
