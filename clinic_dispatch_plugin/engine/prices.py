"""What gateways say of prices is written on the attempts, and counted against what was set aside for them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.accounts import spending
from clinic_dispatch_plugin.accounts.spending_rules import counted, storable_money
from clinic_dispatch_plugin.channels.types import Accepted, Money, SendResult
from clinic_dispatch_plugin.messages import money_store
from clinic_dispatch_plugin.registry import Dispatch

Costs = Sequence[RowMapping]


def before(connection: Connection, attempt_ids: Sequence[int], *, any_money: bool) -> Costs:
    """What attempts count for before their results are recorded; empty where no money is about."""
    return money_store.costs(connection, attempt_ids) if any_money and attempt_ids else []


def note_results(
    dispatch: Dispatch, connection: Connection, results: Sequence[SendResult], was: Costs
) -> None:
    """After results were recorded: write the prices they tell, and correct what was set aside."""
    open_before = {
        row["id"] for row in was if row["state"] in ("open", "uncertain") and row["price"] is None
    }
    for said in results:
        if isinstance(said, Accepted) and said.attempt_id in open_before:
            _note_accepted(connection, said)
    _correct(dispatch, connection, was)
    _learn(connection, results, was)


def note_reported(
    dispatch: Dispatch, connection: Connection, attempt_id: int, said: Money, parts: int | None
) -> None:
    """A gateway says later what an attempt cost."""
    price = storable_money(said)
    was = money_store.costs(connection, [attempt_id])
    if price is None or not was:
        return
    money_store.set_price(
        connection, attempt_id, price=price.amount, currency=price.currency, parts=parts
    )
    _correct(dispatch, connection, was)
    if price.amount and (many := parts or was[0]["parts"]):
        spending.keep_part_price(connection, was[0]["account_id"], _part(price, many))


def note_withdrawn(dispatch: Dispatch, connection: Connection, was: Costs) -> None:
    """These turned out never to have been taken: what was set aside for them is free again."""
    _correct(dispatch, connection, was)


def _note_accepted(connection: Connection, said: Accepted) -> None:
    price = storable_money(said.price)
    if price is not None:
        money_store.set_price(
            connection,
            said.attempt_id,
            price=price.amount,
            currency=price.currency,
            parts=min(max(said.parts, 1), 1_000),
        )


def _correct(dispatch: Dispatch, connection: Connection, was: Costs) -> None:
    if not was:
        return
    now = {row["id"]: row for row in money_store.costs(connection, [row["id"] for row in was])}
    changes = []
    for row in was:
        for each, sign in ((row, -1), (now[row["id"]], 1)):
            amount = counted(each["state"], each["price"], each["estimate"])
            changes.append((row["account_id"], row["opened_at"], each["currency"], sign * amount))
    spending.correct(dispatch, connection, changes)


def _learn(connection: Connection, results: Sequence[SendResult], was: Costs) -> None:
    """The dearest part of these is what is set aside for the next ones."""
    prices = [
        _part(price, said.parts)
        for said in results
        if isinstance(said, Accepted) and (price := storable_money(said.price)) and price.amount
    ]
    if prices and was:
        dearest = max(prices, key=lambda each: each.amount)
        spending.keep_part_price(connection, was[0]["account_id"], dearest)


def _part(price: Money, parts: int) -> Money:
    each = (price.amount / max(parts, 1)).quantize(Decimal("0.000001"))
    return Money(amount=each, currency=price.currency)
