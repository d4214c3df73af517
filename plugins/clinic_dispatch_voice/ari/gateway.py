"""A clinic's Asterisk, by its own interface, as one of the channel's gateways."""

from __future__ import annotations

from typing import Any, ClassVar

from clinic_dispatch_plugin.api import GatewayForm, GatewayUrl
from clinic_dispatch_voice.ari.caller import AriCaller
from clinic_dispatch_voice.ari.settings import AriSettings, read_settings
from clinic_dispatch_voice.exchange.gateway import ExchangeGateway
from clinic_dispatch_voice.forms import ARI


class VoiceAri(ExchangeGateway):
    """``ari://user:password@host/?endpoint=PJSIP/{number}@trunk&sender=%2B493012345678``."""

    scheme: ClassVar[str] = "ari"
    example: ClassVar[str] = (
        "ari://user:password@asterisk.example/?endpoint=PJSIP/{number}@trunk&sender=%2B493012345678"
    )
    form: ClassVar[GatewayForm | None] = ARI

    def read(self, url: GatewayUrl) -> AriSettings:
        """The settings in a URL."""
        return read_settings(url)

    def caller(self, settings: Any) -> AriCaller:
        """Calls through Asterisk."""
        assert isinstance(settings, AriSettings)
        return AriCaller(settings)
