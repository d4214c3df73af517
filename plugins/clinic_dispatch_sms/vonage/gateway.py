"""Vonage as one of the channel's gateways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from clinic_dispatch_plugin.api import Capabilities, DeliveryReport, GatewayForm, GatewayUrl
from clinic_dispatch_sms import forms
from clinic_dispatch_sms.http_gateway import HttpGateway
from clinic_dispatch_sms.vonage.reports import called_back
from clinic_dispatch_sms.vonage.sender import VonageSender
from clinic_dispatch_sms.vonage.settings import VonageSettings, read_settings


class VonageGateway(HttpGateway):
    """``vonage://key:secret@rest.nexmo.com/?sender=Clinic``."""

    scheme: ClassVar[str] = "vonage"
    example: ClassVar[str] = "vonage://key:secret@rest.nexmo.com/?sender=Clinic"
    form: ClassVar[GatewayForm | None] = forms.VONAGE
    capabilities: ClassVar[Capabilities] = Capabilities(
        # Networks try for three days.
        report_window=3 * 86_400,
        callbacks=True,
        secret_address=True,
        balance=True,
        price=True,
    )

    def read(self, url: GatewayUrl) -> VonageSettings:
        """The settings in a URL."""
        return read_settings(url)

    def sender(self, settings: Any) -> VonageSender:
        """A new sender."""
        assert isinstance(settings, VonageSettings)
        return VonageSender(settings)

    def parse_callback(
        self, settings: Any, headers: Mapping[str, str], body: bytes
    ) -> Sequence[DeliveryReport]:
        """One receipt of one part a call.

        :raises CallbackRefused: it is neither signed nor does it know the secret.
        """
        assert isinstance(settings, VonageSettings)
        report = called_back(headers, body, settings)
        return [report] if report is not None else []
