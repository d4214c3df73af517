"""What is spent through an account, and whether its caps have room for more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import spending_store, store
from clinic_dispatch_plugin.accounts.spending_rules import (
    Caps,
    Reached,
    Spent,
    day_of,
    fitting,
    reached,
    room_in,
)
from clinic_dispatch_plugin.channels.types import Account, Money
from clinic_dispatch_plugin.registry import Dispatch

#: Days over which a usual day is reckoned.
USUAL_DAYS = 28


def caps_of(account: Account) -> Caps:
    """What the clinic set for an account."""
    return Caps(day=account.cap_day, month=account.cap_month)


def part_price(connection: Connection, account: Account, row_id: int) -> Money | None:
    """What a part costs, as the clinic says, else as the gateway said last; None: nobody knows."""
    if account.part_price is not None:
        return account.part_price
    row = store.account(connection, row_id)
    if row is None or row["part_price"] is None or not row["part_currency"]:
        return None
    return Money(amount=row["part_price"], currency=row["part_currency"])


def keep_part_price(connection: Connection, row_id: int, price: Money) -> None:
    """A gateway said what a part costs."""
    spending_store.keep_part_price(connection, row_id, amount=price.amount, currency=price.currency)


def set_aside(
    dispatch: Dispatch,
    connection: Connection,
    account: Account,
    row_id: int,
    prices: Sequence[Money],
    *,
    now: datetime,
) -> tuple[int, Reached | None]:
    """Set money aside for as many of these as the caps have room for, in their order, all in one currency.

    :returns: how many there is room for, and where it is not for all, the cap that is used up.
    """
    if not prices:
        return 0, None
    zone, currency = dispatch.settings.timezone, prices[0].currency
    day, caps = day_of(now, zone), caps_of(account)
    # The row of today is written first, so that workers wait for each other here.
    spending_store.add(connection, row_id, day=day, currency=currency, amount=Decimal(0))
    days = spending_store.held(
        connection, row_id, since=day.replace(day=1), until=day, currency=currency
    )
    spent = Spent(day=days.get(day, Decimal(0)), month=sum(days.values(), Decimal(0)))
    many = fitting(room_in(caps, spent), [each.amount for each in prices])
    taken = sum((each.amount for each in prices[:many]), Decimal(0))
    spending_store.add(connection, row_id, day=day, currency=currency, amount=taken)
    if many == len(prices):
        return many, None
    after = Spent(day=spent.day + taken, month=spent.month + taken)
    return many, reached(caps, after, prices[many], now=now, zone=zone)


def correct(
    dispatch: Dispatch,
    connection: Connection,
    changes: Iterable[tuple[int, datetime, str, Decimal]],
) -> None:
    """What attempts cost more or less than was counted: ``(account, opened at, currency, difference)``."""
    zone = dispatch.settings.timezone
    sums: Mapping[tuple[int, date, str], list[Decimal]] = defaultdict(list)
    for account_id, opened_at, currency, difference in changes:
        if difference and currency:
            sums[account_id, day_of(opened_at, zone), currency].append(difference)
    for (account_id, day, currency), several in sorted(sums.items()):
        total = sum(several, Decimal(0))
        spending_store.add(connection, account_id, day=day, currency=currency, amount=total)


def usual_day(
    dispatch: Dispatch, connection: Connection, row_id: int, currency: str, *, now: datetime
) -> Money | None:
    """What a day on which something is sent costs as a rule; None: nothing was spent in four weeks."""
    today = day_of(now, dispatch.settings.timezone)
    rows = spending_store.by_day(connection, row_id, since=today - timedelta(days=USUAL_DAYS))
    spent = [row.amount for row in rows if row.currency == currency and row.amount > 0]
    if not spent:
        return None
    return Money(amount=sum(spent, Decimal(0)) / len(spent), currency=currency)


def spent_by_currency(
    dispatch: Dispatch, connection: Connection, row_id: int, *, now: datetime
) -> dict[str, Spent]:
    """What was spent today and in this month, by currency."""
    day = day_of(now, dispatch.settings.timezone)
    rows = spending_store.by_day(connection, row_id, since=day.replace(day=1))
    return {
        currency: Spent(
            day=sum(
                (r.amount for r in rows if r.currency == currency and r.day == day), Decimal(0)
            ),
            month=sum((r.amount for r in rows if r.currency == currency), Decimal(0)),
        )
        for currency in sorted({row.currency for row in rows})
    }


def spent_now(
    dispatch: Dispatch, connection: Connection, row_id: int, currency: str, *, now: datetime
) -> Spent:
    """What was spent today and in this month."""
    return spent_by_currency(dispatch, connection, row_id, now=now).get(currency, Spent())
