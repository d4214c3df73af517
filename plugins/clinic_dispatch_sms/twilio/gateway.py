"""Twilio as one of the channel's gateways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from clinic_dispatch_plugin.api import Capabilities, DeliveryReport, GatewayForm, GatewayUrl
from clinic_dispatch_sms import forms
from clinic_dispatch_sms.http_gateway import HttpGateway
from clinic_dispatch_sms.twilio.reports import called_back
from clinic_dispatch_sms.twilio.sender import TwilioSender
from clinic_dispatch_sms.twilio.settings import TwilioSettings, read_settings


class TwilioGateway(HttpGateway):
    """``twilio://AC…:token@api.twilio.com/?sender=Clinic``."""

    scheme: ClassVar[str] = "twilio"
    example: ClassVar[str] = "twilio://ACsid:token@api.twilio.com/?sender=Clinic"
    form: ClassVar[GatewayForm | None] = forms.TWILIO
    capabilities: ClassVar[Capabilities] = Capabilities(
        # Messages are kept for months; no network reports later than a few days.
        report_window=4 * 86_400,
        callbacks=True,
        balance=True,
        price=True,
    )

    def read(self, url: GatewayUrl) -> TwilioSettings:
        """The settings in a URL."""
        return read_settings(url)

    def sender(self, settings: Any) -> TwilioSender:
        """A new sender."""
        assert isinstance(settings, TwilioSettings)
        return TwilioSender(settings)

    def parse_callback(
        self, settings: Any, headers: Mapping[str, str], body: bytes
    ) -> Sequence[DeliveryReport]:
        """One state of one message a call.

        :raises CallbackRefused: it is not signed with the account's token.
        """
        assert isinstance(settings, TwilioSettings)
        report = called_back(headers, body, settings)
        return [report] if report is not None else []
