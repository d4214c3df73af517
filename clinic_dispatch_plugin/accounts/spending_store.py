"""The SQL of what was spent: one row for each account, day and currency, which all workers change in turn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from clinic_dispatch_plugin.accounts.tables import AccountRow, Spending


def add(
    connection: Connection, account_id: int, *, day: date, currency: str, amount: Decimal
) -> None:
    """Spend, or give back what is less than nothing."""
    here = (
        Spending.account_id == account_id,
        Spending.day == day,
        Spending.currency == currency,
    )
    more = update(Spending).where(*here).values(amount=Spending.amount + amount)
    if connection.execute(more).rowcount:
        return
    values = {"account_id": account_id, "day": day, "currency": currency, "amount": amount}
    try:
        with connection.begin_nested():
            connection.execute(insert(Spending).values(values))
    except IntegrityError:  # another worker made it first
        connection.execute(more)


def held(
    connection: Connection, account_id: int, *, since: date, until: date, currency: str
) -> dict[date, Decimal]:
    """What was spent on each day, both ends included; nobody else spends before this transaction ends."""
    query = select(Spending.day, Spending.amount).where(
        Spending.account_id == account_id,
        Spending.day.between(since, until),
        Spending.currency == currency,
    )
    rows = connection.execute(query.order_by(Spending.day).with_for_update())
    return {row.day: row.amount for row in rows}


def by_day(
    connection: Connection, account_id: int, *, since: date
) -> Sequence[Row[*tuple[Any, ...]]]:
    """``(day, currency, amount)`` since a day."""
    query = select(Spending.day, Spending.currency, Spending.amount).where(
        Spending.account_id == account_id, Spending.day >= since
    )
    return connection.execute(query.order_by(Spending.day)).all()


def keep_part_price(
    connection: Connection, account_id: int, *, amount: Decimal, currency: str
) -> None:
    """What a part costs, for what is set aside next."""
    connection.execute(
        update(AccountRow)
        .where(
            AccountRow.id == account_id,
            # Most windows tell nothing new, and the row is everybody's.
            AccountRow.part_price.is_(None)
            | (AccountRow.part_price != amount)
            | (AccountRow.part_currency != currency),
        )
        .values(part_price=amount, part_currency=currency)
    )
