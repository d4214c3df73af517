"""A clinic's own exchange, by SIP, as one of the channel's gateways."""

from __future__ import annotations

from typing import Any, ClassVar

from clinic_dispatch_plugin.api import GatewayForm, GatewayUrl
from clinic_dispatch_voice.exchange.gateway import ExchangeGateway
from clinic_dispatch_voice.forms import SIP, SIPS
from clinic_dispatch_voice.sip.caller import SipCaller
from clinic_dispatch_voice.sip.settings import SipSettings, read_settings


class VoiceSip(ExchangeGateway):
    """``sip://user:password@exchange.example/?sender=%2B493012345678``, by datagrams or a connection."""

    scheme: ClassVar[str] = "sip"
    example: ClassVar[str] = "sip://user:password@exchange.example/?sender=%2B493012345678"
    form: ClassVar[GatewayForm | None] = SIP

    def read(self, url: GatewayUrl) -> SipSettings:
        """The settings in a URL."""
        return read_settings(url)

    def caller(self, settings: Any) -> SipCaller:
        """Calls by SIP."""
        assert isinstance(settings, SipSettings)
        return SipCaller(settings)


class VoiceSips(VoiceSip):
    """The same with TLS."""

    scheme: ClassVar[str] = "sips"
    example: ClassVar[str] = "sips://user:password@exchange.example/?sender=%2B493012345678"
    form: ClassVar[GatewayForm | None] = SIPS
