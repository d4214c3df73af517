"""What SMSC says later of a message: in its answer to ``status.php``, and when it calls back."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from clinic_dispatch_plugin.api import Answer, CallbackRefused, DeliveryReport, ReportStatus
from clinic_dispatch_sms.smsc.answers import whole
from clinic_dispatch_sms.smsc.ids import digits_of, message_id
from clinic_dispatch_sms.smsc.kinds import SmscKind, SmscTexts, count_of

#: Bytes of a call that are read.
MOST_BYTES = 64 * 1024
NOT_FOUND, STOPPED, WAITING, UNDER_WAY = -3, -2, -1, 0
_DELIVERED = {1: "delivered", 2: "read", 4: "clicked"}
_TEXTS = SmscTexts()
_SIGNED = {"md5": hashlib.md5, "sha1": hashlib.sha1}


def report_of(
    row: Mapping[str, Any], provider_id: str, kind: SmscKind = _TEXTS, *, currency: str = ""
) -> DeliveryReport | None:
    """A state as ``status.php`` and callbacks tell it; None: it holds no state."""
    status, error = whole(row.get("status")), whole(row.get("err"))
    if status is None:
        return None
    answer = None
    if status in _DELIVERED:
        found = ReportStatus.DELIVERED
    elif status == NOT_FOUND:
        found, answer = ReportStatus.NOT_FOUND, _state(status)
    elif status == WAITING:
        found = ReportStatus.ACCEPTED
    elif status == UNDER_WAY:
        found = ReportStatus.UNDER_WAY
    elif status == STOPPED:
        found, answer = ReportStatus.UNDER_WAY, _state(status)
    else:
        found = ReportStatus.FAILED
        answer = Answer(system="smsc_delivery", code=str(error)) if error else _state(status)
    details = {"state": _DELIVERED[status]} if status in _DELIVERED else {}
    if row.get("cost") not in (None, ""):
        details["price"] = str(row["cost"])[:30]
        if currency:
            details["currency"] = currency
    details |= count_of(kind, row)
    return DeliveryReport(
        status=found, provider_id=provider_id, answer=answer, at=_time(row), details=details
    )


def called_back(
    body: bytes, secret: str, kind: SmscKind = _TEXTS, *, currency: str = ""
) -> DeliveryReport | None:
    """A call of the gateway's; None: it is genuine and tells no message's state (an incoming text, a call).

    :raises CallbackRefused: it is not signed with our secret, or not readable.
    """
    if not secret:
        raise CallbackRefused(
            "no callback_key is set: nobody can tell a genuine call from a forged"
        )
    if len(body) > MOST_BYTES:
        raise CallbackRefused("too long", status=413)
    fields = _fields(body)
    status = fields.get("status")
    if status is None:
        _prove(fields, _other(fields), secret)
        return None
    _prove(fields, [fields.get("id", ""), fields.get("phone", ""), status], secret)
    number = digits_of(fields.get("phone", ""))
    report = report_of(fields, message_id(fields.get("id", ""), number), kind, currency=currency)
    if report is None:
        raise CallbackRefused("its status is no number")
    return report


def _state(status: int) -> Answer:
    return Answer(system="smsc_status", code=str(status))


def _other(fields: Mapping[str, str]) -> list[str]:
    if "mes" in fields:
        return [fields.get("phone", ""), fields["mes"], fields.get("to", "")]
    return [fields.get("phone", ""), fields.get("ts", "")]


def _prove(fields: Mapping[str, str], signed: list[str], secret: str) -> None:
    text = ":".join([*signed, secret]).encode("utf-8", "replace")
    for name, method in _SIGNED.items():
        if name in fields:
            right = method(text, usedforsecurity=False).hexdigest()
            if hmac.compare_digest(right.encode(), fields[name].lower().encode("utf-8", "replace")):
                return
            raise CallbackRefused("the signature is wrong")
    raise CallbackRefused("it is not signed: put md5=1 or sha1=1 into the callback address")


def _fields(body: bytes) -> dict[str, str]:
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            said = json.loads(text, parse_float=Decimal)
        except (ValueError, RecursionError):
            raise CallbackRefused("it cannot be read") from None
        return {str(name): str(value) for name, value in said.items()}
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=50))
    except ValueError:
        raise CallbackRefused("it holds too many fields", status=413) from None


def _time(row: Mapping[str, Any]) -> datetime | None:
    seconds = whole(row.get("last_timestamp") or row.get("ts"))
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None
