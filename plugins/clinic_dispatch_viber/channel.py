"""The channel for Viber as the core sees it: numbers, a text, and answers told in Viber's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

from clinic_dispatch_plugin.api import Account, DeliveryReport, Sender
from clinic_dispatch_sms.gateway import Gateway
from clinic_dispatch_sms.gateway_channel import GatewayChannel
from clinic_dispatch_sms.numbers import normalised
from clinic_dispatch_viber.retelling import RetellingSender, retold_report
from clinic_dispatch_viber.settings import CHANNEL, GATEWAYS


class ViberChannel(GatewayChannel):
    """Viber's messages for businesses, by telephone number."""

    gateways: ClassVar[Mapping[str, Gateway]] = GATEWAYS
    key: ClassVar[str] = CHANNEL
    label: ClassVar[str] = "Viber"
    #: Whoever does not open Viber for an hour is reached by the next way.
    silence_minutes: ClassVar[int] = 60

    def normalise_address(self, raw: str, *, region: str) -> str:
        """The first mobile number of a field as ``+77011234567``: nobody has Viber on another."""
        return normalised(raw, region=region)

    @contextmanager
    def open(self, account: Account) -> Iterator[Sender]:
        """The sender of the account's gateway."""
        with super().open(account) as sender:
            yield RetellingSender(sender)

    def parse_callback(
        self, account: Account, headers: Mapping[str, str], body: bytes
    ) -> Sequence[DeliveryReport]:
        """Understand what the account's gateway calls back.

        :raises CallbackRefused: it is forged or not for us.
        """
        return [retold_report(each) for each in super().parse_callback(account, headers, body)]
