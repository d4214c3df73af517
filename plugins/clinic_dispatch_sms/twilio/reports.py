"""What became of a message: in a report that calls back, and in the message itself when it is asked for."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from clinic_dispatch_plugin.api import (
    Answer,
    CallbackRefused,
    DeliveryReport,
    ReportStatus,
)
from clinic_dispatch_sms.called import called_url, form_of, header, query_of, same
from clinic_dispatch_sms.reading import money, words
from clinic_dispatch_sms.twilio.protocol import ATTEMPT, DELIVERY, SEND
from clinic_dispatch_sms.twilio.settings import TwilioSettings

_STATUSES = {
    "accepted": ReportStatus.ACCEPTED,
    "scheduled": ReportStatus.ACCEPTED,
    "queued": ReportStatus.ACCEPTED,
    "sending": ReportStatus.UNDER_WAY,
    "sent": ReportStatus.UNDER_WAY,
    "delivered": ReportStatus.DELIVERED,
    "read": ReportStatus.DELIVERED,
    "undelivered": ReportStatus.FAILED,
    "failed": ReportStatus.FAILED,
    "canceled": ReportStatus.FAILED,
}
#: First digits of codes that are given later: of networks and of messengers.
_LATER = ("30", "63")


def report_of(said: Mapping[str, Any], *, attempt_key: str | None = None) -> DeliveryReport | None:
    """A message as the gateway shows it; None: it holds no state we know."""
    state, identifier = words(said.get("status"), 20), words(said.get("sid"), 64)
    status = _STATUSES.get(state)
    if status is None or not identifier:
        return None
    code = words(said.get("error_code"), 16)
    price = money(said.get("price"), said.get("price_unit"))
    details = {"state": state}
    if words(said.get("num_segments"), 5):
        details["parts"] = words(said.get("num_segments"), 5)
    if price is not None:
        details |= {"price": str(price.amount), "currency": price.currency}
    return DeliveryReport(
        status=status,
        attempt_key=attempt_key,
        provider_id=identifier,
        answer=_answer(status, state, code, words(said.get("error_message"))),
        at=created_at(said.get("date_sent")),
        details=details,
    )


def called_back(
    headers: Mapping[str, str], body: bytes, settings: TwilioSettings
) -> DeliveryReport | None:
    """A signed form; None: it is genuine and tells no message's state.

    :raises CallbackRefused: it is not signed with the account's token.
    """
    fields = proved(headers, body, settings)
    said = {
        "sid": fields.get("MessageSid") or fields.get("SmsSid"),
        "status": fields.get("MessageStatus") or fields.get("SmsStatus"),
        "error_code": fields.get("ErrorCode"),
        "error_message": fields.get("ErrorMessage"),
    }
    return report_of(said, attempt_key=attempt_in(headers))


def attempt_in(headers: Mapping[str, str]) -> str | None:
    """The attempt that the called address names."""
    return query_of(headers).get(ATTEMPT) or None


def proved(headers: Mapping[str, str], body: bytes, settings: TwilioSettings) -> dict[str, str]:
    """The fields of a form that is signed.

    :raises CallbackRefused: it is not signed with the account's token.
    """
    if not settings.callback_url or not settings.auth_token:
        raise CallbackRefused("without callback_url and auth_token no call can be proved genuine")
    fields = form_of(body)
    url = called_url(settings.callback_url, headers)
    if not same(header(headers, "X-Twilio-Signature"), signature(url, fields, settings.auth_token)):
        raise CallbackRefused("the signature is wrong or missing")
    if fields.get("AccountSid", settings.account_sid) != settings.account_sid:
        raise CallbackRefused("it is another account's")
    return fields


def signature(url: str, fields: Mapping[str, str], token: str) -> str:
    """The signature of a form sent to this address: SHA-1 keyed with the token over address, names and values."""
    whole = url + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.new(token.encode(), whole.encode("utf-8", "replace"), "sha1").digest()
    return base64.b64encode(digest).decode()


def created_at(value: Any) -> datetime | None:
    """A time as mails write it; None where it is none."""
    try:
        return parsedate_to_datetime(words(value, 60))
    except (TypeError, ValueError):
        return None


def _answer(status: ReportStatus, state: str, code: str, text: str) -> Answer | None:
    if status is not ReportStatus.FAILED:
        return None
    if not code:
        return Answer(system=DELIVERY, code="*", text=state)
    return Answer(system=DELIVERY if code.startswith(_LATER) else SEND, code=code, text=text)
