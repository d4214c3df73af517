"""The channel for text messages as the core sees it: numbers and texts are alike for all, the rest is the gateway's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from clinic_dispatch_plugin.api import (
    Account,
    Channel,
    Cheaper,
    Content,
    ContentFields,
    DeliveryReport,
    Measure,
    Sender,
)
from clinic_dispatch_sms.numbers import normalised
from clinic_dispatch_sms.saving import cheaper_texts
from clinic_dispatch_sms.settings import CHANNEL, SmsSettings
from clinic_dispatch_sms.text import measured


class SmsChannel(Channel):
    """Text messages through one gateway or several."""

    key: ClassVar[str] = CHANNEL
    label: ClassVar[str] = "SMS"
    fields: ClassVar[ContentFields] = ContentFields(counter="sms")

    def __init__(self, accounts: Sequence[Account]) -> None:
        """Have these accounts, the first one first."""
        self._accounts = tuple(accounts)
        if self._accounts:
            self.capabilities = _settings(self._accounts[0]).gateway.capabilities

    def accounts(self) -> Sequence[Account]:
        """The accounts in the order of the configuration."""
        return self._accounts

    def normalise_address(self, raw: str, *, region: str) -> str:
        """The first mobile number of a field as ``+77011234567``."""
        return normalised(raw, region=region)

    def measure(self, content: Content) -> Measure:
        """Characters, parts and alphabet as they are billed."""
        return measured(content.text)

    def cheaper(self, text: str) -> Sequence[Cheaper]:
        """Other signs, other letters, Latin letters: whatever saves a part."""
        return cheaper_texts(text, transliterate=True)

    def open(self, account: Account) -> AbstractContextManager[Sender]:
        """The sender of the account's gateway."""
        settings = _settings(account)
        return settings.gateway.open(settings.of_gateway)

    def connect(self, account: Account) -> None:
        """Sign in at the account's gateway, without sending.

        :raises ChannelError: what went wrong.
        """
        settings = _settings(account)
        settings.gateway.connect(settings.of_gateway)

    def parse_callback(
        self, account: Account, headers: Mapping[str, str], body: bytes
    ) -> Sequence[DeliveryReport]:
        """Understand what the account's gateway calls back.

        :raises CallbackRefused: it is forged or not for us.
        """
        settings = _settings(account)
        return settings.gateway.parse_callback(settings.of_gateway, headers, body)


def _settings(account: Account) -> SmsSettings:
    settings = account.settings
    assert isinstance(settings, SmsSettings)
    return settings
