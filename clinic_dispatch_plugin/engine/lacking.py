"""Whether accounts hold enough for a whole mailing: looked at before its first message, however it was started."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from clinic_dispatch_plugin.accounts import purse, spending
from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts.spending_rules import Lacking
from clinic_dispatch_plugin.channels.types import Account, Money, OutgoingMessage
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.messages import money_store
from clinic_dispatch_plugin.registry import Dispatch

#: Seconds until the balance is looked at again.
LOOK_AGAIN = 600


def lacking(
    dispatch: Dispatch,
    account: Account,
    account_id: int,
    mailing_id: int,
    outgoing: Sequence[OutgoingMessage],
) -> Lacking | None:
    """The account that is known to hold too little for all that waits of a mailing; None: none is, or it began.

    What goes on to a next channel later is not counted: nobody knows how many that will be.

    :param outgoing: the first messages, which go through ``account``; the others are thought to be as long.
    """
    if not any(_tells_balance(dispatch, each) for each in _all_of(dispatch)):
        return None
    with dispatch.database.begin() as connection:
        waiting = money_store.waiting_by_account(connection, mailing_id)
    for each, count in waiting.items():
        through = account if each == account_id else _account(dispatch, each)
        if through is None or not _tells_balance(dispatch, through):
            continue
        own = outgoing if each == account_id else ()
        need = _need(dispatch, through, each, count, own)
        left = purse.balance(dispatch, through) if need is not None else None
        if need is None or left is None or left.currency != need.currency:
            continue
        if need.amount > left.amount:
            purse.forget_balances(dispatch)  # somebody may top it up at this moment
            with dispatch.database.begin() as connection:
                until = database_now(connection) + timedelta(seconds=LOOK_AGAIN)
            return Lacking(account_id=each, balance=left, need=need, until=until)
    return None


def _all_of(dispatch: Dispatch) -> list[Account]:
    return [each for key in dispatch.channels for each in dispatch.accounts(key)]


def _account(dispatch: Dispatch, account_id: int) -> Account | None:
    with dispatch.database.begin() as connection:
        row = accounts.account(connection, account_id)
    return None if row is None else dispatch.account_called(row["channel"], row["key"])


def _tells_balance(dispatch: Dispatch, account: Account) -> bool:
    return dispatch.channels[account.channel].tells_money(account).balance


def _need(
    dispatch: Dispatch,
    account: Account,
    account_id: int,
    count: int,
    outgoing: Sequence[OutgoingMessage],
) -> Money | None:
    """What so many messages cost at this account; None: nobody knows."""
    with dispatch.database.begin() as connection:
        part = spending.part_price(connection, account, account_id)
    if part is None and count > 1 and outgoing:
        part = purse.quoted_part(dispatch, account, outgoing[0])
    if part is None:
        return None
    measure = dispatch.channels[account.channel].measure
    parts = sum(max(1, measure(each.content).parts) for each in outgoing)
    share = Decimal(parts) / len(outgoing) if outgoing else Decimal(1)
    amount = (part.amount * share * count).quantize(Decimal("0.000001"))
    return Money(amount=amount, currency=part.currency)
