"""Beginning a call: one request, with everything that is to be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from clinic_dispatch_plugin.api import (
    Answer,
    CannotSendError,
    HttpReply,
    HttpRequest,
    OutgoingMessage,
    Refused,
    SendResult,
)
from clinic_dispatch_sms.called import with_query
from clinic_dispatch_sms.twilio.protocol import ATTEMPT, TwilioProtocol
from clinic_dispatch_voice.twilio.script import LONGEST, script_of
from clinic_dispatch_voice.twilio.settings import ENOUGH, OFF, TwilioCallSettings
from clinic_dispatch_voice.words import language_of, spoken

CALL = "twilio_call"
#: Field of the address for keys that names the recipient's language.
LOCALE = "lang"
#: First digits of codes that are about calls.
_OF_CALLS = ("13", "31", "32")


class CallProtocol(TwilioProtocol):
    """One call a request."""

    def __init__(self, settings: TwilioCallSettings) -> None:
        super().__init__(settings)
        self._calls = settings

    def admit(self, message: OutgoingMessage) -> None:
        """Look at the text's length.

        :raises CannotSendError: it is too long, or empty.
        """
        if not spoken(message.content.text):
            raise CannotSendError(Answer(system="twilio", code="21602", text="the text is empty"))
        length = len(self._script(message))
        if length > LONGEST:
            said = f"{length} characters as a script, the gateway takes {LONGEST}"
            raise CannotSendError(Answer(system=CALL, code="32018", text=said))

    def compose(self, group: Sequence[OutgoingMessage]) -> HttpRequest:
        """The form with number, sender and script."""
        (message,) = group
        settings = self._calls
        fields = {
            "To": message.address,
            "From": settings.sender,
            "Twiml": self._script(message),
            "Timeout": str(settings.ring),
        }
        if settings.callback_url:
            fields["StatusCallback"] = self._callback(message)
        if settings.machine != OFF:
            whole = settings.machine == ENOUGH  # then it speaks after the machine's tone
            fields["MachineDetection"] = "DetectMessageEnd" if whole else "Enable"
        url = f"{settings.address}/Calls.json"
        return HttpRequest.form(url, fields, headers=settings.basic)

    def understand(
        self, group: Sequence[OutgoingMessage], reply: HttpReply
    ) -> Sequence[SendResult]:
        """Begun with an identifier, or refused with a code.

        :raises AccountError: the account is at fault.
        :raises ConnectionFailed: too many requests at once.
        :raises HttpFailure: these are not the gateway's words.
        """
        return [_of_calls(each) for each in super().understand(group, reply)]

    def _callback(self, message: OutgoingMessage) -> str:
        return with_query(self._calls.callback_url, **{ATTEMPT: message.attempt_key})

    def _script(self, message: OutgoingMessage) -> str:
        settings = self._calls
        action = with_query(self._callback(message), **{LOCALE: language_of(message.locale)})
        return script_of(
            message.content.text,
            locale=message.locale,
            voice=settings.voice,
            action=action,
            repeat=settings.repeat,
        )


def _of_calls(result: SendResult) -> SendResult:
    if isinstance(result, Refused) and result.answer.code.startswith(_OF_CALLS):
        return replace(result, answer=replace(result.answer, system=CALL))
    return result
