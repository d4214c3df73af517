"""What may be spent through an account: values and decisions, in decimals alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from clinic_dispatch_plugin.channels.types import Money

#: What a column holds: twelve figures before the point and six behind it.
_HIGHEST = Decimal(10) ** 12
_MILLIONTH = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What may be spent in a day and in a month; None: as much as there is."""

    day: Decimal | None = None
    month: Decimal | None = None

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self.day is not None or self.month is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was spent, and is set aside, in this day and this month."""

    day: Decimal = Decimal(0)
    month: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A cap that is used up, and when there is room again."""

    #: ``day`` or ``month``.
    period: str
    cap: Money
    until: datetime
    #: The account's row; 0: it is not said.
    account_id: int = 0

    def __str__(self) -> str:
        until = self.until.isoformat(timespec="seconds")
        text = f"{self.period}|{self.cap.amount}|{self.cap.currency}|{until}"
        return f"{text}|{self.account_id}" if self.account_id else text

    def raised(self, caps: Caps) -> bool:
        """Whether the clinic allows more by now than when it was used up."""
        now = caps.month if self.period == "month" else caps.day
        return now is None or now > self.cap.amount

    @classmethod
    def read(cls, text: str) -> Reached | None:
        """What :meth:`__str__` wrote; None for anything else."""
        try:
            period, amount, currency, until, *account = text.split("|")
            cap = Money(amount=Decimal(amount), currency=currency)
            [account_id] = account or ["0"]
            return cls(
                period=period,
                cap=cap,
                until=datetime.fromisoformat(until),
                account_id=int(account_id),
            )
        except (ValueError, InvalidOperation):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """An account that holds too little for a mailing, and when that is looked at again."""

    account_id: int
    balance: Money
    need: Money
    until: datetime

    def __str__(self) -> str:
        until = self.until.isoformat(timespec="seconds")
        amounts = f"{self.balance.amount}|{self.need.amount}|{self.need.currency}"
        return f"{self.account_id}|{amounts}|{until}"

    @classmethod
    def read(cls, text: str) -> Lacking | None:
        """What :meth:`__str__` wrote; None for anything else."""
        try:
            account_id, balance, need, currency, until = text.split("|")
            return cls(
                account_id=int(account_id),
                balance=Money(amount=Decimal(balance), currency=currency),
                need=Money(amount=Decimal(need), currency=currency),
                until=datetime.fromisoformat(until),
            )
        except (ValueError, InvalidOperation):
            return None


def storable_money(money: Money | None) -> Money | None:
    """The amount as a column holds it; None where it is none: endless, too large, or in no currency."""
    if money is None or not money.amount.is_finite() or abs(money.amount) >= _HIGHEST:
        return None
    currency = money.currency.strip().upper()
    if not (currency.isascii() and currency.isalpha() and 1 < len(currency) <= 8):
        return None
    return Money(amount=money.amount.quantize(_MILLIONTH), currency=currency)


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """The clinic's day."""
    return at.astimezone(zone).date()


def room_in(caps: Caps, spent: Spent) -> Decimal | None:
    """What may still be spent; None: no end to it."""
    left = [
        cap - used
        for cap, used in ((caps.day, spent.day), (caps.month, spent.month))
        if cap is not None
    ]
    return min(left, default=None)


def fitting(room: Decimal | None, prices: Sequence[Decimal]) -> int:
    """How many of these, in their order, there is room for."""
    if room is None:
        return len(prices)
    for number, price in enumerate(prices):
        room -= price
        if room < 0:
            return number
    return len(prices)


def reached(
    caps: Caps, spent: Spent, price: Money, *, now: datetime, zone: ZoneInfo
) -> Reached | None:
    """The cap that has no room for this price; of two the one that lasts longer."""
    day = day_of(now, zone)
    if caps.month is not None and spent.month + price.amount > caps.month:
        cap = Money(amount=caps.month, currency=price.currency)
        return Reached(period="month", cap=cap, until=_midnight(next_month(day), zone))
    if caps.day is not None and spent.day + price.amount > caps.day:
        cap = Money(amount=caps.day, currency=price.currency)
        return Reached(period="day", cap=cap, until=_midnight(day + timedelta(days=1), zone))
    return None


def next_month(day: date) -> date:
    """The first day of the month after."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def counted(state: str, price: Decimal | None, estimate: Decimal | None) -> Decimal:
    """What an attempt counts for: its price once that is said, what is set aside while it may have gone out."""
    if price is not None:
        return price
    goes_out = state in ("open", "accepted", "uncertain")
    return estimate if goes_out and estimate is not None else Decimal(0)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)
