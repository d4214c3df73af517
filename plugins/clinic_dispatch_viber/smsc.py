"""Viber messages through SMSC. Its templates decide what a message counts as, so it is told no label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from clinic_dispatch_plugin.api import GatewayForm, GatewayUrl, OutgoingMessage
from clinic_dispatch_sms import forms
from clinic_dispatch_sms.smsc.gateway import SmscGateway
from clinic_dispatch_sms.smsc.kinds import SmscKind
from clinic_dispatch_sms.smsc.settings import SmscSettings, read_settings, sender_of
from clinic_dispatch_viber.options import SENDER, SENDER_HINT, SENDER_WORDS, lifetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ViberMessages(SmscKind):
    """Viber messages: they have no parts."""

    has_parts: bool = False
    #: Minutes in which Viber may try to deliver.
    ttl: int

    def fields(self, group: Sequence[OutgoingMessage]) -> Mapping[str, str]:
        """That it goes by Viber, and for how long it is tried; below an hour and between hours with minutes."""
        hours, minutes = divmod(self.ttl, 60)
        return {"viber": "1", "valid": f"{hours:02}:{minutes:02}" if minutes else str(hours)}


class ViberSmsc(SmscGateway):
    """``smsc://login:password@smsc.kz/?sender=Clinic``."""

    form: ClassVar[GatewayForm | None] = forms.with_sender(forms.SMSC, SENDER_HINT)

    def read(self, url: GatewayUrl) -> SmscSettings:
        """The settings in a URL."""
        return read_settings(url, _read_kind)


def _read_kind(url: GatewayUrl) -> ViberMessages:
    sender_of(url, SENDER, SENDER_WORDS)
    return ViberMessages(ttl=lifetime(url))
