"""What became of a call: whether anybody answered, whether it was a person, and which key they pressed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clinic_dispatch_plugin.api import Answer, CallbackReply, DeliveryReport, ReportStatus
from clinic_dispatch_sms.called import form_of, query_of
from clinic_dispatch_sms.reading import money, words
from clinic_dispatch_sms.twilio.reports import attempt_in, created_at, proved
from clinic_dispatch_voice.details import confirmed
from clinic_dispatch_voice.twilio.protocol import CALL, LOCALE
from clinic_dispatch_voice.twilio.script import reply_to_key
from clinic_dispatch_voice.twilio.settings import ENOUGH, TwilioCallSettings
from clinic_dispatch_voice.words import CONFIRM

_STATUSES = {
    "queued": ReportStatus.ACCEPTED,
    "initiated": ReportStatus.ACCEPTED,
    "ringing": ReportStatus.UNDER_WAY,
    "in-progress": ReportStatus.UNDER_WAY,
    "completed": ReportStatus.DELIVERED,
    "busy": ReportStatus.FAILED,
    "no-answer": ReportStatus.FAILED,
    "failed": ReportStatus.FAILED,
    "canceled": ReportStatus.FAILED,
}
_MACHINES = ("machine", "fax")


def report_of(
    said: Mapping[str, Any], settings: TwilioCallSettings, *, attempt_key: str | None = None
) -> DeliveryReport | None:
    """A call as the gateway shows it; None: it holds no state we know."""
    state, identifier = words(said.get("status"), 20), words(said.get("sid"), 64)
    status = _STATUSES.get(state)
    if status is None or not identifier:
        return None
    answered_by = words(said.get("answered_by"), 30)
    why = state if status is ReportStatus.FAILED else ""
    if status is ReportStatus.DELIVERED and _missed(answered_by, settings):
        status, why = ReportStatus.FAILED, answered_by
    return DeliveryReport(
        status=status,
        attempt_key=attempt_key,
        provider_id=identifier,
        answer=Answer(system=CALL, code=why, text=_text(said)) if why else None,
        at=created_at(said.get("end_time")),
        details={"state": state, **_details(said, answered_by)},
    )


def called_back(
    headers: Mapping[str, str], body: bytes, settings: TwilioCallSettings
) -> DeliveryReport | None:
    """A signed form: a pressed key, or a state; None: it is genuine and tells neither.

    :raises CallbackRefused: it is not signed with the account's token.
    """
    fields = proved(headers, body, settings)
    attempt_key, identifier = attempt_in(headers), fields.get("CallSid", "")
    if fields.get("Digits") == CONFIRM:
        return DeliveryReport(
            status=ReportStatus.DELIVERED,
            attempt_key=attempt_key,
            provider_id=identifier[:64] or None,
            details=confirmed(CONFIRM),
        )
    said = {
        "sid": identifier,
        "status": fields.get("CallStatus"),
        "answered_by": fields.get("AnsweredBy"),
        "duration": fields.get("CallDuration"),
        "sip": fields.get("SipResponseCode"),
    }
    return report_of(said, settings, attempt_key=attempt_key)


def reply_to(
    headers: Mapping[str, str], body: bytes, settings: TwilioCallSettings
) -> CallbackReply | None:
    """What is said to somebody who pressed a key; None: nobody did."""
    digits = form_of(body).get("Digits")
    if digits is None:
        return None
    locale = query_of(headers).get(LOCALE, "en")
    said = reply_to_key(locale=locale, voice=settings.voice, confirmed=digits == CONFIRM)
    return CallbackReply(media_type="text/xml", body=said.encode())


def _missed(answered_by: str, settings: TwilioCallSettings) -> bool:
    """Whether it was no person, and a machine is not enough; a fax machine never is."""
    if not answered_by.startswith(_MACHINES):
        return False
    return settings.machine != ENOUGH or answered_by == "fax"


def _details(said: Mapping[str, Any], answered_by: str) -> dict[str, str]:
    details = {"answered_by": answered_by, "seconds": words(said.get("duration"), 10)}
    price = money(said.get("price"), said.get("price_unit"))
    if price is not None:
        details |= {"price": str(price.amount), "currency": price.currency}
    return {name: value for name, value in details.items() if value}


def _text(said: Mapping[str, Any]) -> str:
    sip = words(said.get("sip"), 10)
    return f"SIP {sip}" if sip else ""
