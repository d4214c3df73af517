"""What gateways say as JSON, read without trust: nothing here fails at a value of the wrong kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from clinic_dispatch_plugin.api import HttpReply, Money, unusable

#: Characters of a gateway's own words that are kept.
_WORDS = 2000


def mapping_of(reply: HttpReply) -> Mapping[str, Any]:
    """The JSON object of an answer, whatever its status.

    :raises HttpFailure: these are not the gateway's words.
    """
    try:
        said = reply.json(exact=True)
    except ValueError:
        raise unusable(reply) from None
    if not isinstance(said, Mapping):
        raise unusable(reply)
    return said


def mapping(value: Any) -> Mapping[str, Any]:
    """An object; empty where it is none."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> Sequence[Mapping[str, Any]]:
    """The objects of a list; empty where it is none."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def words(value: Any, longest: int = _WORDS) -> str:
    """A text or a number as text; empty where it is neither."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return ""
    return str(value)[:longest]


def whole(value: Any) -> int | None:
    """A whole number, also one written as text; None where it is none."""
    text = words(value, 12)
    return int(text) if text.isascii() and text.isdigit() else None


def money(value: Any, currency: Any) -> Money | None:
    """An amount without its sign; None where it or its currency is missing."""
    try:
        amount = abs(Decimal(words(value, 30)))
    except InvalidOperation:
        return None
    unit = words(currency, 3).upper()
    return Money(amount=amount, currency=unit) if amount.is_finite() and unit else None


def balance(value: Any, currency: Any) -> Money | None:
    """What is left, which may be less than nothing."""
    found = money(value, currency)
    owed = words(value, 30).strip().startswith("-")
    return Money(amount=-found.amount, currency=found.currency) if found and owed else found


def moment(value: Any) -> datetime | None:
    """A time as ISO 8601 writes it, in UTC where it names no zone; None where it is none."""
    try:
        at = datetime.fromisoformat(words(value, 60))
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
