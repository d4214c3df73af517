"""What an account at Twilio is asked: to call, what became of calls, what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from clinic_dispatch_plugin.api import DeliveryReport, Money, OutgoingMessage
from clinic_dispatch_sms.twilio.sender import TwilioSender
from clinic_dispatch_voice.twilio.protocol import CallProtocol
from clinic_dispatch_voice.twilio.reports import report_of
from clinic_dispatch_voice.twilio.settings import TwilioCallSettings


class CallSender(TwilioSender):
    """An open account."""

    resource: ClassVar[str] = "Calls"
    sent_at: ClassVar[str] = "StartTime"

    def __init__(self, settings: TwilioCallSettings) -> None:
        super().__init__(settings, CallProtocol(settings))
        self._calls = settings

    def report(
        self, said: Mapping[str, Any], *, attempt_key: str | None = None
    ) -> DeliveryReport | None:
        """What the gateway says of one call; None: it holds no state we know."""
        return report_of(said, self._calls, attempt_key=attempt_key)

    def price(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        """None: what a call costs depends on how long somebody listens."""
        return None
