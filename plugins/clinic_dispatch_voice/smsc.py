"""Calls through SMSC: it speaks, notices machines, and follows a menu that stands in the text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from clinic_dispatch_plugin.api import (
    DeliveryReport,
    GatewayForm,
    GatewayUrl,
    OutgoingMessage,
    ReportStatus,
)
from clinic_dispatch_sms import forms
from clinic_dispatch_sms.called import (
    callback_url,
    prove_secret,
    query_of,
    secret_from,
    with_query,
    with_secret,
)
from clinic_dispatch_sms.smsc.gateway import SmscGateway
from clinic_dispatch_sms.smsc.kinds import SmscKind
from clinic_dispatch_sms.smsc.protocol import LONGEST
from clinic_dispatch_sms.smsc.settings import SmscSettings, read_settings, sender_of
from clinic_dispatch_voice.details import NUMBER_SHOWN, confirmed
from clinic_dispatch_voice.words import AGAIN, CONFIRM, language_of, spoken, words_in

VOICES = ("w", "w2", "w3", "w4", "m", "m2", "m3", "m4")
_SENDER = re.compile(r"\+?[0-9]{1,15}|")
_ATTEMPT, _KEY = "attempt", "key"
#: Seconds between the gateway's own tries; it has only one, the rest is the error reference's matter.
_PAUSE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls(SmscKind):
    """Calls: counted in seconds, and spoken in one language a request."""

    has_parts: bool = False
    voice: str = "w"
    #: Seconds it rings.
    ring: int = 30
    #: Where a pressed key is told; empty: no key is asked for.
    callback_url: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)

    def fields(self, group: Sequence[OutgoingMessage]) -> Mapping[str, str]:
        """That it is a call, who speaks, and that busy lines are ours to try again."""
        language = language_of(group[0].locale)
        voice = self.voice if language == "ru" else f"{self.voice},{language}"
        return {"call": "1", "voice": voice, "param": f"{self.ring},{_PAUSE},1"}

    def together(self, group: Sequence[OutgoingMessage], message: OutgoingMessage) -> bool:
        """One voice speaks for a whole request."""
        return language_of(group[0].locale) == language_of(message.locale)

    def text(self, message: OutgoingMessage) -> str:
        """The message, with a menu behind it where it fits: 1 says it again, 2 tells us."""
        said, words = spoken(message.content.text), words_in(message.locale)
        if not (self.callback_url and said):
            return said
        url = with_query(self.callback_url, **{_ATTEMPT: message.attempt_key, _KEY: CONFIRM})
        told = with_secret(url, self.secret)
        menu = f"{{menu: {words.both}\n{AGAIN}: {said}\n{CONFIRM}: {told}\n}}"
        whole = f"{said}\n{menu}\n{words.bye}"
        return whole if len(whole) <= LONGEST else said


class VoiceSmsc(SmscGateway):
    """``smsc://login:password@smsc.kz/?sender=77001234567``."""

    example: ClassVar[str] = "smsc://login:password@smsc.kz/?sender=77001234567"
    form: ClassVar[GatewayForm | None] = forms.with_fields(
        forms.with_sender(forms.SMSC, NUMBER_SHOWN, required=False), forms.CALLBACK
    )

    def read(self, url: GatewayUrl) -> SmscSettings:
        """The settings in a URL."""
        return read_settings(url, _read_kind)

    def parse_callback(
        self, settings: Any, headers: Mapping[str, str], body: bytes
    ) -> Sequence[DeliveryReport]:
        """A pressed key, or one state of one call.

        :raises CallbackRefused: it does not know the secret, or is not signed.
        """
        assert isinstance(settings, SmscSettings)
        query = query_of(headers)
        if _KEY not in query:
            return super().parse_callback(settings, headers, body)
        assert isinstance(settings.kind, Calls)
        prove_secret(headers, settings.kind.secret)
        return [
            DeliveryReport(
                status=ReportStatus.DELIVERED,
                attempt_key=query.get(_ATTEMPT),
                details=confirmed(query[_KEY]),
            )
        ]


def _read_kind(url: GatewayUrl) -> Calls:
    sender_of(url, _SENDER, "at most 15 digits: the number that is shown to whoever is called")
    password = url.password or url.text("api_key")
    return Calls(
        voice=url.choice("voice", "w", VOICES),
        ring=url.whole("ring", 30, lowest=10, highest=35),
        callback_url=callback_url(url, longest=300),
        secret=secret_from(password, f"calls at smsc {url.host}"),
    )
