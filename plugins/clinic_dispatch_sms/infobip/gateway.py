"""Infobip as one of the channel's gateways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from clinic_dispatch_plugin.api import Capabilities, DeliveryReport, GatewayForm, GatewayUrl
from clinic_dispatch_sms import forms
from clinic_dispatch_sms.http_gateway import HttpGateway
from clinic_dispatch_sms.infobip.reports import called_back
from clinic_dispatch_sms.infobip.sender import InfobipSender
from clinic_dispatch_sms.infobip.settings import MOST, InfobipSettings, read_settings


class InfobipGateway(HttpGateway):
    """``infobip://key@id.api.infobip.com/?sender=Clinic``."""

    scheme: ClassVar[str] = "infobip"
    example: ClassVar[str] = "infobip://key@id.api.infobip.com/?sender=Clinic"
    form: ClassVar[GatewayForm | None] = forms.INFOBIP
    capabilities: ClassVar[Capabilities] = Capabilities(
        max_batch=MOST,
        query_by_our_id=True,
        report_window=2 * 86_400,
        callbacks=True,
        secret_address=True,
        balance=True,
    )

    def read(self, url: GatewayUrl) -> InfobipSettings:
        """The settings in a URL."""
        return read_settings(url)

    def sender(self, settings: Any) -> InfobipSender:
        """A new sender."""
        assert isinstance(settings, InfobipSettings)
        return InfobipSender(settings)

    def parse_callback(
        self, settings: Any, headers: Mapping[str, str], body: bytes
    ) -> Sequence[DeliveryReport]:
        """Several states a call.

        :raises CallbackRefused: it does not know the secret.
        """
        assert isinstance(settings, InfobipSettings)
        return called_back(headers, body, settings)
