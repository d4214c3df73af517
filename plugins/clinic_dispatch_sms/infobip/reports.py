"""What became of a message: in a report that calls back, and in the log when it is asked for."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from clinic_dispatch_plugin.api import Answer, CallbackRefused, DeliveryReport, ReportStatus
from clinic_dispatch_sms.called import bounded, header, prove_secret, same
from clinic_dispatch_sms.infobip.protocol import ERROR, STATUS
from clinic_dispatch_sms.infobip.settings import InfobipSettings
from clinic_dispatch_sms.reading import mapping, mappings, moment, money, whole, words

#: Reports one call may hold.
_MOST = 1000
_GROUPS = {
    0: ReportStatus.ACCEPTED,
    1: ReportStatus.UNDER_WAY,
    2: ReportStatus.FAILED,
    3: ReportStatus.DELIVERED,
    4: ReportStatus.FAILED,
    5: ReportStatus.FAILED,
}
#: States that say something else than their group.
_STATES = {"2": ReportStatus.UNDER_WAY, "26": ReportStatus.ACCEPTED}


def report_of(row: Mapping[str, Any]) -> DeliveryReport | None:
    """A message as reports and logs tell it; None: it holds no state we know."""
    identifier = words(row.get("messageId"), 200)
    said = mapping(row.get("status"))
    code = words(said.get("id"), 16)
    status = _STATES.get(code) or _GROUPS.get(whole(said.get("groupId")) or 0)
    seen = not said and "seenAt" in row
    if seen:
        status = ReportStatus.DELIVERED
    if status is None or not identifier or not (said or seen):
        return None
    return DeliveryReport(
        status=status,
        attempt_key=identifier,
        provider_id=identifier,
        answer=_answer(row, code) if status is ReportStatus.FAILED else None,
        at=moment(row.get("seenAt") or row.get("doneAt")),
        details=_details(row, "read" if seen else words(said.get("name"), 60)),
    )


def called_back(
    headers: Mapping[str, str], body: bytes, settings: InfobipSettings
) -> Sequence[DeliveryReport]:
    """Several reports a call.

    :raises CallbackRefused: it does not know the secret, or cannot be read.
    """
    _prove(headers, settings)
    bounded(body)
    try:
        rows = mappings(mapping(json.loads(body, parse_float=Decimal)).get("results"))
    except (ValueError, RecursionError):
        raise CallbackRefused("it cannot be read") from None
    if len(rows) > _MOST:
        raise CallbackRefused("it holds too many reports", status=413)
    return [report for row in rows if (report := report_of(row)) is not None]


def _prove(headers: Mapping[str, str], settings: InfobipSettings) -> None:
    """The secret stands in the address, or as a password in the header."""
    kind, _, login = header(headers, "Authorization").partition(" ")
    if kind.lower() != "basic":
        prove_secret(headers, settings.callback_secret)
        return
    try:
        password = base64.b64decode(login, validate=True).decode().partition(":")[2]
    except ValueError:
        password = ""
    if not same(password, settings.callback_secret):
        prove_secret(headers, settings.callback_secret)


def _answer(row: Mapping[str, Any], status: str) -> Answer:
    error = mapping(row.get("error"))
    code = words(error.get("id"), 16)
    if code not in {"", "0"}:
        text = words(error.get("description") or error.get("name"))
        return Answer(system=ERROR, code=code, text=text)
    said = mapping(row.get("status"))
    text = words(said.get("description") or said.get("name"))
    return Answer(system=STATUS, code=status or "*", text=text)


def _details(row: Mapping[str, Any], state: str) -> dict[str, str]:
    details = {"state": state} if state else {}
    parts = whole(row.get("messageCount"))
    said = mapping(row.get("price"))
    price = money(said.get("pricePerMessage"), said.get("currency"))
    if parts:
        details["parts"] = str(parts)
    if price is not None:
        details |= {"price": str(price.amount * (parts or 1)), "currency": price.currency}
    return details
