"""The channel for calls as the core sees it: any number that rings, and a text that is spoken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from clinic_dispatch_sms.gateway import Gateway
from clinic_dispatch_sms.gateway_channel import GatewayChannel
from clinic_dispatch_sms.numbers import normalised
from clinic_dispatch_voice.settings import CHANNEL, GATEWAYS


class VoiceChannel(GatewayChannel):
    """Calls through one gateway or several; the gateway speaks."""

    gateways: ClassVar[Mapping[str, Gateway]] = GATEWAYS
    key: ClassVar[str] = CHANNEL
    label: ClassVar[str] = "Voice call"

    def normalise_address(self, raw: str, *, region: str) -> str:
        """The first number of a field that can be called, mobile or not, as ``+77011234567``."""
        return normalised(raw, region=region, landlines=True)
