"""Twilio as one of the channel's gateways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from clinic_dispatch_plugin.api import (
    CallbackReply,
    Capabilities,
    DeliveryReport,
    GatewayForm,
    GatewayUrl,
)
from clinic_dispatch_sms import forms
from clinic_dispatch_sms.twilio.gateway import TwilioGateway
from clinic_dispatch_voice.details import NUMBER_SHOWN
from clinic_dispatch_voice.twilio.reports import called_back, reply_to
from clinic_dispatch_voice.twilio.sender import CallSender
from clinic_dispatch_voice.twilio.settings import TwilioCallSettings, read_settings


class VoiceTwilio(TwilioGateway):
    """``twilio://AC…:token@api.twilio.com/?sender=%2B15005550006``."""

    example: ClassVar[str] = "twilio://ACsid:token@api.twilio.com/?sender=%2B15005550006"
    form: ClassVar[GatewayForm | None] = forms.with_sender(forms.TWILIO, NUMBER_SHOWN)
    capabilities: ClassVar[Capabilities] = replace(
        # A call is over within minutes.
        TwilioGateway.capabilities,
        report_window=86_400,
        price=False,
    )

    def read(self, url: GatewayUrl) -> TwilioCallSettings:
        """The settings in a URL."""
        return read_settings(url)

    def sender(self, settings: Any) -> CallSender:
        """A new sender."""
        assert isinstance(settings, TwilioCallSettings)
        return CallSender(settings)

    def parse_callback(
        self, settings: Any, headers: Mapping[str, str], body: bytes
    ) -> Sequence[DeliveryReport]:
        """One state of one call, or a key.

        :raises CallbackRefused: it is not signed with the account's token.
        """
        assert isinstance(settings, TwilioCallSettings)
        report = called_back(headers, body, settings)
        return [report] if report is not None else []

    def callback_reply(
        self, settings: Any, headers: Mapping[str, str], body: bytes
    ) -> CallbackReply | None:
        """What is said to somebody who pressed a key."""
        assert isinstance(settings, TwilioCallSettings)
        return reply_to(headers, body, settings)
