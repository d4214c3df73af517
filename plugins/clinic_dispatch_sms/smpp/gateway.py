"""A message centre as one of the channel's gateways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from clinic_dispatch_plugin.api import Capabilities, GatewayForm, GatewayUrl, Sender
from clinic_dispatch_sms import forms
from clinic_dispatch_sms.gateway import Gateway
from clinic_dispatch_sms.smpp.sender import SmppSender
from clinic_dispatch_sms.smpp.settings import SmppSettings, read_settings


class SmppGateway(Gateway):
    """``smpp://system_id:password@smpp.provider.example/?sender=Clinic``."""

    scheme: ClassVar[str] = "smpp"
    example: ClassVar[str] = "smpp://system_id:password@smpp.provider.example:2775/?sender=Clinic"
    form: ClassVar[GatewayForm | None] = forms.SMPP
    # Centres keep states for days at most; two are what they have in common.
    capabilities: ClassVar[Capabilities] = Capabilities(report_window=2 * 86_400)

    def read(self, url: GatewayUrl) -> SmppSettings:
        """The settings in a URL."""
        return read_settings(url)

    @contextmanager
    def open(self, settings: Any) -> Iterator[Sender]:
        """A sender that binds when it first has something to send."""
        assert isinstance(settings, SmppSettings)
        sender = SmppSender(settings)
        try:
            yield sender
        finally:
            sender.close()

    def connect(self, settings: Any) -> None:
        """Bind, and unbind again.

        :raises ChannelError: the login is wrong, or the centre cannot be reached.
        """
        assert isinstance(settings, SmppSettings)
        SmppSender(settings).sign_in()
