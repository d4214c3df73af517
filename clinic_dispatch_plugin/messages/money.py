"""What messages cost: said by the gateway, estimated, or unknown; the three are never mixed up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from clinic_dispatch_plugin.channels.types import Money
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import lists_store, money_store
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.messages.lists import (
    Cursor,
    Line,
    MessageFilter,
    list_messages,
    segments_of,
)
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.i18n import _, format_sum, n_

#: Ids a list may span for its sum: beyond, nobody waits for it.
WIDEST = 200_000
#: Messages that are looked at one by one, where the host hides some or words are searched for.
MOST_LOOKED_AT = 5_000
_PORTION = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What some attempts cost in one currency."""

    said: Money | None = None
    #: What was set aside for those whose price is not told yet.
    estimated: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What a list's messages cost, currency by currency."""

    costs: Sequence[Cost] = ()
    #: Attempts of which nobody knows a price.
    unknown: int = 0
    #: Only so many messages were looked at; 0: all.
    only: int = 0

    def __bool__(self) -> bool:
        """Whether any price is known."""
        return bool(self.costs)


def sum_of(dispatch: Dispatch, actor: Actor, wanted: MessageFilter) -> Sum:
    """What the messages of a list cost that the actor may see; empty where the list is too long to be added up."""
    if not Sight(dispatch, actor).everything or wanted.search:
        return _one_by_one(dispatch, actor, wanted)
    rows: list[Mapping[Any, Any]] = []
    with dispatch.database.begin() as connection:
        for segment in segments_of(dispatch, connection, wanted):
            last = segment.last_id or lists_store.last_id(connection)
            if wanted.mailing_id is None and last - segment.first_id > WIDEST:
                return Sum()
            rows += money_store.sums(connection, segment)
    return _summed(rows)


def in_words(found: Sum) -> str:
    """One line, such as ``12.40 € · ≈ 3.75 € not confirmed yet · 2 without a price``."""
    pieces = []
    for cost in found.costs:
        if cost.said is not None:
            pieces.append(format_sum(cost.said))
        if cost.estimated is not None:
            pieces.append(_("≈ {amount} not confirmed yet", amount=format_sum(cost.estimated)))
    if found.unknown:
        pieces.append(n_("{n} without a price", "{n} without a price", found.unknown))
    if found.only:
        pieces.append(n_("only the first {n} message", "only the first {n} messages", found.only))
    return " · ".join(pieces)


def of_attempt(row: Mapping[Any, Any]) -> Cost:
    """What one attempt cost."""
    if not row["currency"]:
        return Cost()
    if row["price"] is not None:
        return Cost(said=Money(amount=row["price"], currency=row["currency"]))
    if row["estimate"] is not None:
        return Cost(estimated=Money(amount=row["estimate"], currency=row["currency"]))
    return Cost()


def of_lines(dispatch: Dispatch, lines: Sequence[Line]) -> dict[int, Sum]:
    """What each message of a page cost."""
    with dispatch.database.begin() as connection:
        rows = money_store.of_messages(connection, [line.id for line in lines])
    by_message: dict[int, list[Mapping[Any, Any]]] = {}
    for row in rows:
        by_message.setdefault(row["message_id"], []).append(_as_sum(row))
    return {message_id: _summed(several) for message_id, several in by_message.items()}


def _one_by_one(dispatch: Dispatch, actor: Actor, wanted: MessageFilter) -> Sum:
    cursor: Cursor | None = None
    rows: list[Mapping[Any, Any]] = []
    looked_at = 0
    while True:
        page = list_messages(dispatch, actor, wanted, cursor=cursor, limit=_PORTION)
        looked_at += len(page.lines)
        with dispatch.database.begin() as connection:
            found = money_store.of_messages(connection, [line.id for line in page.lines])
        rows += [_as_sum(row) for row in found]
        cursor = page.after
        if cursor is None:
            return _summed(rows)
        if looked_at >= MOST_LOOKED_AT or page.unfinished:
            return _summed(rows, only=looked_at)


def _as_sum(row: Mapping[Any, Any]) -> Mapping[Any, Any]:
    known = "said" if row["price"] is not None else "estimated"
    if row["price"] is None and row["estimate"] is None:
        known = "unknown"
    amount = row["price"] if row["price"] is not None else row["estimate"]
    return {"known": known, "currency": row["currency"], "attempts": 1, "amount": amount}


def _summed(rows: Iterable[Mapping[Any, Any]], *, only: int = 0) -> Sum:
    amounts: dict[str, dict[str, Decimal]] = {}
    unknown = 0
    for row in rows:
        if row["known"] == "unknown" or not row["currency"]:
            unknown += row["attempts"]
            continue
        known = amounts.setdefault(row["currency"], {})
        known[row["known"]] = known.get(row["known"], Decimal(0)) + row["amount"]
    costs = [
        Cost(
            said=_money(known.get("said"), currency),
            estimated=_money(known.get("estimated"), currency),
        )
        for currency, known in sorted(amounts.items())
    ]
    return Sum(costs=costs, unknown=unknown, only=only if costs else 0)


def _money(amount: Decimal | None, currency: str) -> Money | None:
    return None if amount is None else Money(amount=amount, currency=currency)
