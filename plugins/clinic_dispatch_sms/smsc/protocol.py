"""Handing messages over: ``send.php``, one request for many numbers, each with a text of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clinic_dispatch_plugin.api import (
    Accepted,
    Answer,
    CannotSendError,
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
from clinic_dispatch_sms.smsc.answers import SEND, error_of, money, of_the_account, read, whole
from clinic_dispatch_sms.smsc.ids import digits_of, message_id
from clinic_dispatch_sms.smsc.kinds import SmscKind
from clinic_dispatch_sms.smsc.settings import SmscSettings

#: Characters of a text the gateway takes.
LONGEST = 1000
#: A line's end, and how a list writes one.
_LINE_END, _ESCAPED = "\n", "\\n"


class SmscProtocol(HttpProtocol):
    """The words of ``send.php``."""

    def __init__(self, settings: SmscSettings) -> None:
        """Speak for one account."""
        self._settings = settings
        self.most = settings.most
        #: The request's id of every message under way.
        self._request_ids: dict[int, str] = {}

    def admit(self, message: OutgoingMessage) -> None:
        """Refuse what the gateway would cut off.

        :raises CannotSendError: the text is too long.
        """
        length = len(self._settings.kind.text(message))
        if length > LONGEST:
            text = f"{length} characters, SMSC takes {LONGEST}"
            raise CannotSendError(Answer(system="dispatch", code="text_too_long", text=text))

    def together(self, group: Sequence[OutgoingMessage], message: OutgoingMessage) -> bool:
        """The same number never twice: request and number are what a message is asked for by.

        A backslash before an n would become a line's end in a list, so such a text goes alone.
        """
        if "\\n" in message.content.text or "\\n" in group[0].content.text:
            return False
        if not self._settings.kind.together(group, message):
            return False
        return message.address not in [each.address for each in group]

    def compose(self, group: Sequence[OutgoingMessage]) -> HttpRequest:
        """One POST; its id is the first message's, which nobody used before."""
        settings = self._settings
        request_id = group[0].attempt_key
        fields = {
            **settings.credentials,
            "id": request_id,
            **texts(group, settings.kind),
            **settings.kind.fields(group),
            "cost": "2",
            "op": "1",
            "fmt": "3",
            "charset": "utf-8",
        }
        if settings.sender:
            fields["sender"] = settings.sender
        request = HttpRequest.form(f"{settings.root}/sys/send.php", fields)
        for message in group:
            self._request_ids[message.attempt_id] = request_id
        return request

    def understand(
        self, group: Sequence[OutgoingMessage], reply: HttpReply
    ) -> Sequence[SendResult]:
        """Who was taken and who was not.

        :raises ChannelError: the account is at fault.
        :raises SendApart: somebody among them is at fault, and it is not said who.
        :raises HttpFailure: these are not the gateway's words.
        """
        said = read(reply)
        answer = error_of(said, SEND)
        if answer is not None:
            return self._refused(group, answer)
        if not isinstance(said, Mapping) or "id" not in said:
            raise unusable(reply)
        rows = _rows(said)
        if not rows and "phones" not in said:
            rows = {digits_of(each.address): {} for each in group}
        has_parts = self._settings.kind.has_parts
        parts = (whole(said.get("cnt")) if has_parts else None) or len(group)
        if len(group) == 1 and "cost" in said:
            for row in rows.values():
                row.setdefault("cost", said["cost"])
        return [
            self._result(message, rows[digits_of(message.address)], parts // len(group) or 1)
            for message in group
            if digits_of(message.address) in rows
        ]

    def doubt(self, message: OutgoingMessage, answer: Answer) -> Uncertain:
        """In doubt, with the id by which the gateway can be asked."""
        request_id = self._request_ids.pop(message.attempt_id, message.attempt_key)
        kept = message_id(request_id, message.address)
        return Uncertain(attempt_id=message.attempt_id, answer=answer, provider_id=kept)

    def _refused(self, group: Sequence[OutgoingMessage], answer: Answer) -> Sequence[SendResult]:
        error = of_the_account(answer)
        if error is not None:
            raise error
        if len(group) > 1 and len({each.content.text for each in group}) > 1:
            raise SendApart
        if len(group) > 1 and answer.code != "6":  # the one text they share is at fault
            raise SendApart
        return [Refused(attempt_id=each.attempt_id, answer=answer) for each in group]

    def _result(self, message: OutgoingMessage, row: Mapping[str, Any], parts: int) -> SendResult:
        request_id = self._request_ids.pop(message.attempt_id, message.attempt_key)
        refusal = refusal_of(row)
        if refusal is not None:
            return Refused(attempt_id=message.attempt_id, answer=refusal)
        return Accepted(
            attempt_id=message.attempt_id,
            provider_id=message_id(request_id, message.address),
            parts=parts,
            price=money(row.get("cost"), self._settings.currency),
        )


def texts(group: Sequence[OutgoingMessage], kind: SmscKind) -> dict[str, str]:
    """The fields with numbers and texts; with a plus the gateway changes nothing in a number."""
    written = [kind.text(each) for each in group]
    if len(set(written)) == 1:
        return {"phones": ",".join(each.address for each in group), "mes": written[0]}
    lines = [
        f"{each.address}:{text.replace(_LINE_END, _ESCAPED)}"
        for each, text in zip(group, written, strict=True)
    ]
    return {"list": "\n".join(lines)}


def refusal_of(row: Mapping[str, Any]) -> Answer | None:
    """Why a number was not taken; None: it was."""
    status, error = whole(row.get("status")), whole(row.get("error"))
    if error:
        return Answer(system="smsc_delivery", code=str(error))
    # Status and error stand there only for numbers that failed.
    if status is not None and status not in {-1, 0, 1, 2, 4}:
        return Answer(system="smsc_status", code=str(status))
    return None


def _rows(said: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    phones = said.get("phones")
    rows = phones if isinstance(phones, list) else []
    return {
        digits_of(str(row.get("phone", ""))): dict(row) for row in rows if isinstance(row, dict)
    }
