"""Viber messages through Infobip: labelled by their purpose, and reported as seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from clinic_dispatch_plugin.api import (
    Answer,
    CannotSendError,
    GatewayForm,
    GatewayUrl,
    OutgoingMessage,
    Purpose,
)
from clinic_dispatch_sms import forms
from clinic_dispatch_sms.called import with_secret
from clinic_dispatch_sms.infobip.gateway import InfobipGateway
from clinic_dispatch_sms.infobip.protocol import STATUS, InfobipProtocol, addressed
from clinic_dispatch_sms.infobip.sender import InfobipSender
from clinic_dispatch_sms.infobip.settings import InfobipSettings, account_of
from clinic_dispatch_sms.smsc.settings import sender_of
from clinic_dispatch_sms.text import prepared
from clinic_dispatch_viber.options import LONGEST, SENDER, SENDER_HINT, SENDER_WORDS, lifetime

TRANSACTIONAL, PROMOTIONAL = "TRANSACTIONAL", "PROMOTIONAL"
#: What a message counts as; a greeting asks nobody to do anything, and yet it is no transaction.
_LABELS: Final[Mapping[Purpose, str]] = {
    Purpose.PROMOTION: PROMOTIONAL,
    Purpose.GREETING: PROMOTIONAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ViberInfobipSettings(InfobipSettings):
    """The account, and for how many minutes Viber may try to deliver."""

    ttl: int


class ViberProtocol(InfobipProtocol):
    """A list a request."""

    path: ClassVar[str] = "viber/2/messages"

    def __init__(self, settings: ViberInfobipSettings) -> None:
        super().__init__(settings)
        self._viber = settings

    def admit(self, message: OutgoingMessage) -> None:
        """Look at the text's length.

        :raises CannotSendError: it is too long, or empty.
        """
        text = prepared(message.content.text)
        if not text:
            raise CannotSendError(Answer(system=STATUS, code="55", text="the text is empty"))
        if len(text) > LONGEST:
            said = f"{len(text)} characters, Viber takes {LONGEST}"
            raise CannotSendError(Answer(system="dispatch", code="text_too_long", text=said))

    def options(self) -> dict[str, Any]:
        """Nothing holds for the whole request."""
        return {}

    def written(self, message: OutgoingMessage) -> dict[str, Any]:
        """One message of the list."""
        settings = self._viber
        made = {
            **addressed(message, settings.sender),
            "content": {"type": "TEXT", "text": prepared(message.content.text)},
            "options": {
                "validityPeriod": {"amount": settings.ttl, "timeUnit": "MINUTES"},
                "label": _LABELS.get(message.purpose, TRANSACTIONAL),
            },
        }
        if settings.callback_url:
            url = with_secret(settings.callback_url, settings.callback_secret)
            made["webhooks"] = {"delivery": {"url": url}, "seen": {"url": url}}
        return made


class ViberSender(InfobipSender):
    """An open account."""

    logs: ClassVar[str] = "viber/2/logs"


class ViberInfobip(InfobipGateway):
    """``infobip://key@id.api.infobip.com/?sender=Clinic``."""

    form: ClassVar[GatewayForm | None] = forms.with_sender(forms.INFOBIP, SENDER_HINT)

    def read(self, url: GatewayUrl) -> ViberInfobipSettings:
        """The settings in a URL."""
        sender = sender_of(url, SENDER, SENDER_WORDS)
        return ViberInfobipSettings(sender=sender, ttl=lifetime(url), **account_of(url))

    def sender(self, settings: Any) -> ViberSender:
        """A new sender."""
        assert isinstance(settings, ViberInfobipSettings)
        return ViberSender(settings, ViberProtocol(settings))
