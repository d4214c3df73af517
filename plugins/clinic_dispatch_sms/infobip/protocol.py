"""Handing messages over: one request for many, each with a text and an id of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

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
    SendApart,
    SendResult,
    Uncertain,
    unusable,
)
from clinic_dispatch_sms.called import with_secret
from clinic_dispatch_sms.infobip.settings import InfobipSettings
from clinic_dispatch_sms.reading import mapping, mapping_of, mappings, whole, words
from clinic_dispatch_sms.text import prepared

REQUEST, STATUS, ERROR = "infobip_request", "infobip_status", "infobip_error"
#: Groups of states: accepted, pending, delivered; all others mean no.
_TAKEN = {0, 1, 3}
#: Refused because a message of this id was taken before.
_TAKEN_BEFORE = "23"
_LONGEST_TEXT = 4000


class InfobipProtocol(HttpProtocol):
    """A list a request."""

    #: Where messages are handed over.
    path: ClassVar[str] = "sms/3/messages"

    def __init__(self, settings: InfobipSettings) -> None:
        self._settings = settings
        self.most = settings.most

    def admit(self, message: OutgoingMessage) -> None:
        """Look at the text's length.

        :raises CannotSendError: it is too long, or empty.
        """
        text = prepared(message.content.text)
        if not text:
            raise CannotSendError(Answer(system=STATUS, code="55", text="the text is empty"))
        if len(text.encode()) > _LONGEST_TEXT:
            raise CannotSendError(Answer(system=STATUS, code="25", text="over 4000 bytes"))

    def compose(self, group: Sequence[OutgoingMessage]) -> HttpRequest:
        """The list."""
        content = {
            "messages": [self.written(message) for message in group],
            **self.options(),
        }
        settings = self._settings
        url = f"{settings.root}/{self.path}"
        return HttpRequest.json(url, content, headers=settings.authorization)

    def options(self) -> dict[str, Any]:
        """What holds for every message of a request."""
        return {
            # Links in a patient's message are nobody's to count.
            "options": {
                "tracking": {"shortenUrl": False, "trackClicks": False},
                "includeSmsCountInResponse": True,
            },
        }

    def understand(
        self, group: Sequence[OutgoingMessage], reply: HttpReply
    ) -> Sequence[SendResult]:
        """What is said of each id.

        :raises AccountError: the account is at fault.
        :raises ConnectionFailed: too many requests.
        :raises SendApart: the list is refused for one of its messages.
        :raises HttpFailure: these are not the gateway's words.
        """
        said = mapping_of(reply)
        if not reply.ok:
            return self._refused(group, error_in(said, reply), reply)
        rows = {words(row.get("messageId"), 200): row for row in mappings(said.get("messages"))}
        if not rows:
            raise unusable(reply)
        return [
            _result(message, rows[message.attempt_key])
            for message in group
            if message.attempt_key in rows
        ]

    def doubt(self, message: OutgoingMessage, answer: Answer) -> Uncertain:
        """In doubt, but under an id the gateway can be asked by."""
        key = message.attempt_key
        return Uncertain(attempt_id=message.attempt_id, answer=answer, provider_id=key)

    def _refused(
        self, group: Sequence[OutgoingMessage], answer: Answer, reply: HttpReply
    ) -> Sequence[SendResult]:
        error = of_the_account(answer, reply)
        if error is not None:
            raise error
        if reply.status >= 500:  # it may have failed behind the taking
            return [self.doubt(message, answer) for message in group]
        if len(group) > 1:
            raise SendApart
        return [Refused(attempt_id=message.attempt_id, answer=answer) for message in group]

    def written(self, message: OutgoingMessage) -> dict[str, Any]:
        """One message of the list."""
        settings = self._settings
        content: dict[str, Any] = {"text": prepared(message.content.text)}
        if settings.transliteration != "NONE":
            content["transliteration"] = settings.transliteration
        if settings.language != "NONE":
            content["language"] = {"languageCode": settings.language}
        made = {**addressed(message, settings.sender), "content": content}
        if settings.validity:
            period = {"amount": settings.validity, "timeUnit": "MINUTES"}
            made["options"] = {"validityPeriod": period}
        if settings.callback_url:
            url = with_secret(settings.callback_url, settings.callback_secret)
            made["webhooks"] = {
                "delivery": {"url": url, "intermediateReport": True, "notify": True},
                "contentType": "application/json",
            }
        return made


def addressed(message: OutgoingMessage, sender: str) -> dict[str, Any]:
    """From whom, to whom, and under which id."""
    number = message.address.removeprefix("+")
    where = {"to": number, "messageId": message.attempt_key}
    return {"sender": sender, "destinations": [where]}


def _result(message: OutgoingMessage, row: Mapping[str, Any]) -> SendResult:
    status = mapping(row.get("status"))
    code, group = words(status.get("id"), 16), whole(status.get("groupId"))
    text = words(status.get("description") or status.get("name"))
    if group in _TAKEN or code == _TAKEN_BEFORE:
        return Accepted(
            attempt_id=message.attempt_id,
            provider_id=message.attempt_key,
            parts=max(1, whole(mapping(row.get("details")).get("messageCount")) or 1),
            text=text,
        )
    answer = Answer(system=STATUS, code=code or "*", text=text)
    if group is None:
        key = message.attempt_key
        return Uncertain(attempt_id=message.attempt_id, answer=answer, provider_id=key)
    return Refused(attempt_id=message.attempt_id, answer=answer)


def error_in(said: Mapping[str, Any], reply: HttpReply) -> Answer:
    """The error of a request, in the newer or the older form.

    :raises HttpFailure: it is no error of the gateway's.
    """
    old = mapping(mapping(said.get("requestError")).get("serviceException"))
    text = words(said.get("description")) or words(old.get("text"))
    if not (text or "errorCode" in said):
        raise unusable(reply)
    wrong = [
        f"{words(each.get('property'), 100)}: {words(each.get('violation'), 200)}"
        for each in mappings(said.get("violations"))[:5]
    ]
    return Answer(system=REQUEST, code=str(reply.status), text="; ".join([text, *wrong])[:2000])


def of_the_account(answer: Answer, reply: HttpReply) -> ChannelError | None:
    """The error that concerns more than these messages; None: nothing more."""
    if reply.status == 429:
        return ConnectionFailed(answer, retry_after=reply.retry_after())
    if reply.status in {401, 403, 404}:  # 404: the account's own host is another
        return AccountError(answer)
    return None
