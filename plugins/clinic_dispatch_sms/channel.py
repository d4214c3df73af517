"""The channel for text messages as the core sees it: numbers and texts are alike for all, the rest is the gateway's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from clinic_dispatch_plugin.api import Cheaper, Content, ContentFields, Measure
from clinic_dispatch_sms.gateway import Gateway
from clinic_dispatch_sms.gateway_channel import GatewayChannel
from clinic_dispatch_sms.gateways import GATEWAYS
from clinic_dispatch_sms.numbers import normalised
from clinic_dispatch_sms.saving import cheaper_texts
from clinic_dispatch_sms.settings import CHANNEL
from clinic_dispatch_sms.text import measured


class SmsChannel(GatewayChannel):
    """Text messages through one gateway or several."""

    gateways: ClassVar[Mapping[str, Gateway]] = GATEWAYS
    key: ClassVar[str] = CHANNEL
    label: ClassVar[str] = "SMS"
    fields: ClassVar[ContentFields] = ContentFields(counter="sms")

    def normalise_address(self, raw: str, *, region: str) -> str:
        """The first mobile number of a field as ``+77011234567``."""
        return normalised(raw, region=region)

    def measure(self, content: Content) -> Measure:
        """Characters, parts and alphabet as they are billed."""
        return measured(content.text)

    def cheaper(self, text: str) -> Sequence[Cheaper]:
        """Other signs, other letters, Latin letters: whatever saves a part."""
        return cheaper_texts(text, transliterate=True)
