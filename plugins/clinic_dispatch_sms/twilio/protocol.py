"""Handing a message over: one request, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clinic_dispatch_plugin.api import (
    Accepted,
    AccountError,
    Answer,
    CannotSendError,
    ChannelError,
    ConnectionFailed,
    HttpProtocol,
    HttpReply,
    HttpRequest,
    OutgoingMessage,
    Refused,
    SendResult,
    unusable,
)
from clinic_dispatch_sms.called import with_query
from clinic_dispatch_sms.reading import mapping_of, money, whole, words
from clinic_dispatch_sms.text import prepared
from clinic_dispatch_sms.twilio.settings import TwilioSettings

SEND, DELIVERY = "twilio", "twilio_delivery"
#: Characters of a text the gateway takes.
LONGEST = 1600
#: Field of the callback's address that names the attempt.
ATTEMPT = "attempt"
#: Login, contract or money: the whole account is at fault; 20404 says that there is no such account.
_OF_THE_ACCOUNT = {"10001", "20003", "20005", "20006", "20008", "20403", "20404"}
_TOO_MANY = "20429"


class TwilioProtocol(HttpProtocol):
    """One message a request."""

    def __init__(self, settings: TwilioSettings) -> None:
        self._settings = settings

    def admit(self, message: OutgoingMessage) -> None:
        """Look at the text's length.

        :raises CannotSendError: it is too long, or empty.
        """
        text = prepared(message.content.text)
        if len(text) > LONGEST:
            raise CannotSendError(Answer(system=SEND, code="21617", text=f"{len(text)} characters"))
        if not text:
            raise CannotSendError(Answer(system=SEND, code="21602", text="the text is empty"))

    def compose(self, group: Sequence[OutgoingMessage]) -> HttpRequest:
        """The form with number, sender and text."""
        (message,) = group
        settings = self._settings
        by_service = settings.sender.startswith("MG")
        fields = {
            "To": message.address,
            "MessagingServiceSid" if by_service else "From": settings.sender,
            "Body": prepared(message.content.text),
        }
        if settings.callback_url:
            # The gateway keeps no id of ours: the address of its report is where one can stand.
            fields["StatusCallback"] = with_query(
                settings.callback_url, **{ATTEMPT: message.attempt_key}
            )
        if settings.validity:
            fields["ValidityPeriod"] = str(settings.validity)
        if settings.smart_encoding:
            fields["SmartEncoded"] = "true"
        url = f"{settings.address}/Messages.json"
        return HttpRequest.form(url, fields, headers=settings.basic)

    def understand(
        self, group: Sequence[OutgoingMessage], reply: HttpReply
    ) -> Sequence[SendResult]:
        """Taken with an identifier, or refused with a code.

        :raises AccountError: the account is at fault.
        :raises ConnectionFailed: too many requests at once.
        :raises HttpFailure: these are not the gateway's words.
        """
        (message,) = group
        said = mapping_of(reply)
        if reply.ok:
            return [_accepted(message, said, reply)]
        answer = error_in(said, reply)
        error = of_the_account(answer, reply)
        if error is not None:
            raise error
        if reply.status >= 500:  # it may have failed behind the taking
            return [self.doubt(message, answer)]
        return [Refused(attempt_id=message.attempt_id, answer=answer)]


def _accepted(message: OutgoingMessage, said: Mapping[str, Any], reply: HttpReply) -> SendResult:
    identifier = words(said.get("sid"), 64)
    if not identifier:
        raise unusable(reply)
    return Accepted(
        attempt_id=message.attempt_id,
        provider_id=identifier,
        parts=max(1, whole(said.get("num_segments")) or 1),
        price=money(said.get("price"), said.get("price_unit")),
        text=words(said.get("status")),
    )


def error_in(said: Mapping[str, Any], reply: HttpReply) -> Answer:
    """The error of a request; a code may be missing, then the status stands for it.

    :raises HttpFailure: it is no error of the gateway's.
    """
    code = words(said.get("code"), 16)
    if not code and "message" not in said:
        raise unusable(reply)
    return Answer(system=SEND, code=code or str(reply.status), text=words(said.get("message")))


def of_the_account(answer: Answer, reply: HttpReply) -> ChannelError | None:
    """The error that concerns more than this message; None: nothing more."""
    if reply.status == 429 or answer.code == _TOO_MANY:
        return ConnectionFailed(answer, retry_after=reply.retry_after())
    if reply.status == 401 or answer.code in _OF_THE_ACCOUNT:
        return AccountError(answer)
    return None
