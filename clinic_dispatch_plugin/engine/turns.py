"""Whose turn it is: the urgent first, then whoever was served longest ago."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.channels.types import Account
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.registry import Dispatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One mailing on one account that may send."""

    mailing_id: int
    account_id: int
    account: Account


def next_turn(
    connection: Connection,
    dispatch: Dispatch,
    *,
    served: Sequence[int] = (),
    without: Collection[int] = (),
) -> Turn | None:
    """What to send next; None: nothing is due on an account that is configured here and may send.

    :param served: the mailings this run has served, the last one last.
    :param without: mailings that are left out.
    """
    ready = {}
    for row in accounts.accounts(connection):
        account = dispatch.account(row["channel"])
        if account is not None and account.key == row["key"] and row["state"] == "ready":
            ready[row["id"]] = account
    work = [
        (-priority, mailing_id, account_id)
        for mailing_id, account_id, priority in messages.due_work(connection)
        if account_id in ready and mailing_id not in without
    ]
    if not work:
        return None
    last = {mailing_id: position for position, mailing_id in enumerate(served)}
    _, mailing_id, account_id = min(
        work, key=lambda item: (item[0], last.get(item[1], -1), item[1], item[2])
    )
    return Turn(mailing_id=mailing_id, account_id=account_id, account=ready[account_id])
