"""Handing a message over: one request, and what is said of each of its parts."""

from __future__ import annotations

import re
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
    Money,
    OutgoingMessage,
    Refused,
    SendResult,
    unusable,
)
from clinic_dispatch_sms.http_gateway import added
from clinic_dispatch_sms.reading import mapping_of, mappings, money, words
from clinic_dispatch_sms.text import measured, prepared
from clinic_dispatch_sms.vonage.settings import VonageSettings
from clinic_dispatch_sms.vonage.signing import signed

SEND = "vonage_send"
_TAKEN, _THROTTLED = "0", "1"
#: Login, contract or money: the whole account is at fault.
_OF_THE_ACCOUNT = {"4", "8", "9", "11", "14", "32"}
_WAIT = re.compile(r"\[\s*(\d{1,6})\s*\]")


class VonageProtocol(HttpProtocol):
    """One message a request."""

    def __init__(self, settings: VonageSettings) -> None:
        self._settings = settings

    def admit(self, message: OutgoingMessage) -> None:
        """Look whether there is a text.

        :raises CannotSendError: there is none.
        """
        if not prepared(message.content.text):
            raise CannotSendError(Answer(system=SEND, code="2", text="the text is empty"))

    def compose(self, group: Sequence[OutgoingMessage]) -> HttpRequest:
        """The form with number, sender and text."""
        (message,) = group
        settings = self._settings
        text = prepared(message.content.text)
        fields = {
            "from": settings.sender,
            "to": message.address.removeprefix("+"),
            "text": text,
            # Without being told so, the gateway puts a question mark for every other letter.
            "type": "unicode" if measured(text).encoding == "UCS-2" else "text",
            "client-ref": message.attempt_key,
        }
        if settings.callback_url:
            fields |= {"callback": settings.report_to, "status-report-req": "1"}
        if settings.validity:
            fields["ttl"] = str(settings.validity * 1000)
        url = f"{settings.root}/sms/json"
        if not settings.signs:
            return HttpRequest.form(url, fields, headers=settings.basic)
        fields["api_key"] = settings.user
        return HttpRequest.form(
            url, signed(fields, settings.signature_secret, settings.signature_method)
        )

    def understand(
        self, group: Sequence[OutgoingMessage], reply: HttpReply
    ) -> Sequence[SendResult]:
        """Taken whole, refused whole, or in doubt where only some parts were taken.

        :raises AccountError: the account is at fault.
        :raises ConnectionFailed: too many requests.
        :raises HttpFailure: these are not the gateway's words.
        """
        (message,) = group
        if not reply.ok:  # what becomes of messages is said with 200 alone
            raise of_status(reply) or unusable(reply)
        parts = mappings(mapping_of(reply).get("messages"))
        codes = [words(part.get("status"), 16) for part in parts]
        if not codes or not all(codes):
            raise unusable(reply)
        failed = [part for part, code in zip(parts, codes, strict=True) if code != _TAKEN]
        if not failed:
            return [self._accepted(message, parts)]
        answer = _answer(failed[0])
        if len(failed) < len(parts):
            return [self.doubt(message, answer)]
        error = _of_the_account(answer)
        if error is not None:
            raise error
        return [Refused(attempt_id=message.attempt_id, answer=answer)]

    def _accepted(self, message: OutgoingMessage, parts: Sequence[Mapping[str, Any]]) -> SendResult:
        prices: list[Money | None] = [
            money(part.get("message-price"), self._settings.currency) for part in parts
        ]
        return Accepted(
            attempt_id=message.attempt_id,
            # Every part has an id; receipts of all of them carry our own.
            provider_id=words(parts[0].get("message-id"), 64) or None,
            parts=len(parts),
            price=added(prices),
        )


def of_status(reply: HttpReply) -> ChannelError | None:
    """What an HTTP status alone says of the account; None: nothing."""
    text = f"HTTP {reply.status}"
    if reply.status == 429:
        answer = Answer(system=SEND, code=_THROTTLED, text=text)
        return ConnectionFailed(answer, retry_after=reply.retry_after())
    if reply.status in {401, 402}:
        code = "4" if reply.status == 401 else "9"
        return AccountError(Answer(system=SEND, code=code, text=text))
    return None


def _answer(part: Mapping[str, Any]) -> Answer:
    code, text = words(part.get("status"), 16), words(part.get("error-text"))
    return Answer(system=SEND, code=code, text=text)


def _of_the_account(answer: Answer) -> ChannelError | None:
    if answer.code == _THROTTLED:
        wait = _WAIT.search(answer.text)
        return ConnectionFailed(answer, retry_after=int(wait[1]) / 1000 if wait else None)
    return AccountError(answer) if answer.code in _OF_THE_ACCOUNT else None
