"""A gateway's report as it is kept: whatever a channel says, in a form every database takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from clinic_dispatch_plugin.channels.types import Answer, DeliveryReport, Money, ReportStatus
from clinic_dispatch_plugin.engine.rules import storable

#: What a gateway calls a message that was opened; more than "delivered", where it says so.
READ_WORDS = frozenset({"read", "seen", "clicked"})
READ = "read"
#: Other spellings of an id that are kept.
MOST_SPELLINGS = 10
_MOST_DETAILS = 20
_LONGEST_DETAIL = 200
_LONGEST_KEY = 100
_LONGEST_ID = 255


def action_of(report: DeliveryReport) -> str:
    """What it says, in one word: a message that was read also arrived."""
    read = str(report.details.get("state", "")).lower() in READ_WORDS
    return READ if report.status is ReportStatus.DELIVERED and read else report.status.value


def names(report: DeliveryReport) -> list[str]:
    """The gateway's id in every spelling it is known by, its own first."""
    given = [report.provider_id or "", *str(report.details.get("also", "")).split()]
    found = dict.fromkeys(_plain(each, _LONGEST_ID) for each in given)
    return [each for each in found if each][:MOST_SPELLINGS]


def kept(report: DeliveryReport, *, channel: str, account_id: int, source: str) -> dict[str, Any]:
    """A report as a row, without the time it came."""
    answer = storable(report.answer or Answer(system="", code=""))
    ids = names(report)
    values: dict[str, Any] = {
        "channel": channel,
        "account_id": account_id,
        "action": action_of(report),
        "attempt_key": _plain(report.attempt_key or "", _LONGEST_KEY),
        "provider_id": ids[0] if report.provider_id and ids else "",
        "also": ids[1:] if report.provider_id else ids,
        "answer_system": answer.system,
        "answer_code": answer.code,
        "answer_text": answer.text,
        "said_at": _in_utc(report.at),
        "details": _details(report.details),
    }
    return {**values, "digest": digest(values), "source": source, "looks": 0, "part": ""}


def digest(values: Mapping[str, Any]) -> str:
    """The fingerprint by which the same report is known again, however often it comes."""
    text = json.dumps(values, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def answer_in(row: Mapping[Any, Any]) -> Answer:
    """The answer of a kept report; one that says no more than "failed" still has to be explained."""
    if row["answer_system"]:
        return Answer(system=row["answer_system"], code=row["answer_code"], text=row["answer_text"])
    return Answer(system="dispatch", code="unknown_answer", text=row["answer_text"])


def price_in(row: Mapping[Any, Any], currency: str | None) -> Money | None:
    """What a report says that the whole message cost; None: nothing.

    :param currency: of the attempt, for gateways that name none beside the amount.
    """
    said = row["details"] or {}
    unit = said.get("currency") or currency
    try:
        amount = Decimal(said.get("price") or "")
    except InvalidOperation:
        return None
    return Money(amount=amount, currency=unit) if unit else None


def parts_in(row: Mapping[Any, Any]) -> int | None:
    """How many parts a report says that the message had; None: it does not say."""
    text = str((row["details"] or {}).get("parts", ""))
    return int(text) or None if text.isascii() and text.isdigit() and len(text) < 4 else None


def whole(parts: Sequence[str], said: Mapping[str, Sequence[str]]) -> str:
    """What is true of a message of several parts: arrived when all of them did, failed when one did.

    :param said: what was said of each part; a late "failed" of one that arrived is no news.
    """
    ends = [_end(said.get(part, ())) for part in parts]
    if ReportStatus.FAILED.value in ends:
        return ReportStatus.FAILED.value
    if all(end in (READ, ReportStatus.DELIVERED.value) for end in ends):
        return READ if all(end == READ for end in ends) else ReportStatus.DELIVERED.value
    return ReportStatus.UNDER_WAY.value


def _end(said: Sequence[str]) -> str:
    heaviest = (READ, ReportStatus.DELIVERED.value, ReportStatus.FAILED.value)
    return next((each for each in heaviest if each in said), "")


def _details(details: Mapping[str, str]) -> dict[str, str]:
    several = [(name, value) for name, value in details.items() if name != "also" and value]
    return {
        _plain(str(name), 40): _plain(str(value), _LONGEST_DETAIL)
        for name, value in several[:_MOST_DETAILS]
    }


def _plain(text: str, longest: int) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:longest]


def _in_utc(at: datetime | None) -> datetime | None:
    """A time a database can hold; None where the gateway's is beyond that."""
    if at is None:
        return None
    try:
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return at if 1970 <= at.year < 3000 else None
