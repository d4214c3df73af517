"""What became of a message: in a receipt that calls back, and in the records when they are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from clinic_dispatch_plugin.api import Answer, CallbackRefused, DeliveryReport, ReportStatus
from clinic_dispatch_sms.called import bounded, form_of, header, prove_secret, same
from clinic_dispatch_sms.reading import moment, money, words
from clinic_dispatch_sms.vonage.settings import VonageSettings
from clinic_dispatch_sms.vonage.signing import prove

DELIVERY = "vonage_delivery"
_STATUSES = {
    "accepted": ReportStatus.ACCEPTED,
    "submitted": ReportStatus.ACCEPTED,
    "buffered": ReportStatus.UNDER_WAY,
    "delivered": ReportStatus.DELIVERED,
    "expired": ReportStatus.FAILED,
    "failed": ReportStatus.FAILED,
    "rejected": ReportStatus.FAILED,
    # The operator does not know, and will not know later either.
    "unknown": ReportStatus.NO_REPORT,
}


def called_back(
    headers: Mapping[str, str], body: bytes, settings: VonageSettings
) -> DeliveryReport | None:
    """A form or JSON; None: it is genuine and tells no message's state.

    :raises CallbackRefused: it is neither signed nor does it know the secret.
    """
    fields = _fields(headers, body)
    if settings.signature_secret:
        prove(fields, settings.signature_secret, settings.signature_method)
    else:
        prove_secret(headers, settings.callback_secret)
    if not same(fields.get("api-key", settings.user), settings.user):
        raise CallbackRefused("it is another account's")
    said = {
        "status": fields.get("status"),
        "message_id": fields.get("messageId"),
        "client_ref": fields.get("client-ref"),
        "error_code": fields.get("err-code"),
        "date_finalized": fields.get("message-timestamp"),
        "total_price": fields.get("price"),
        "currency": settings.currency,
    }
    return report_of(said)


def report_of(row: Mapping[str, Any]) -> DeliveryReport | None:
    """A message as the records tell it; None: it holds no state we know."""
    state, identifier = words(row.get("status"), 20).lower(), words(row.get("message_id"), 64)
    status = _STATUSES.get(state)
    if status is None or not identifier:
        return None
    details = {"state": state}
    price = money(row.get("total_price"), row.get("currency"))
    if price is not None:
        details |= {"price": str(price.amount), "currency": price.currency}
    answer = None
    if status is ReportStatus.FAILED:
        code = words(row.get("error_code"), 16)
        answer = Answer(system=DELIVERY, code=code if code not in {"", "0"} else "*", text=state)
    return DeliveryReport(
        status=status,
        attempt_key=words(row.get("client_ref"), 100) or None,
        provider_id=identifier,
        answer=answer,
        at=moment(row.get("date_finalized")),
        details=details,
    )


def _fields(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    if "json" not in header(headers, "Content-Type").lower():
        return form_of(body)
    bounded(body)
    try:
        said = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise CallbackRefused("it cannot be read") from None
    if not isinstance(said, dict):
        raise CallbackRefused("it cannot be read")
    return {str(name): words(value) for name, value in said.items()}
