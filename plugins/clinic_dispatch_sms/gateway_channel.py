"""A channel whose accounts are at gateways: which one is a matter of the account, and the rest is the gateway's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar

from clinic_dispatch_plugin.api import (
    Account,
    CallbackReply,
    Capabilities,
    Channel,
    DeliveryReport,
    GatewayForm,
    Sender,
    TellsMoney,
)
from clinic_dispatch_sms.accounts import GatewayAccount, account_at
from clinic_dispatch_sms.gateway import Gateway
from clinic_dispatch_sms.tariffs import tariff_of


class GatewayChannel(Channel):
    """A channel through one gateway or several."""

    #: The gateways it may go through, by scheme.
    gateways: ClassVar[Mapping[str, Gateway]]

    def __init__(self, accounts: Sequence[Account]) -> None:
        """Have these accounts, the first one first."""
        self._accounts = tuple(accounts)
        if self._accounts:
            self.capabilities = _settings(self._accounts[0]).gateway.capabilities

    def accounts(self) -> Sequence[Account]:
        """The accounts in the order of the configuration."""
        return self._accounts

    def forms(self) -> Sequence[GatewayForm]:
        """One for each gateway."""
        return [each.form for each in self.gateways.values() if each.form is not None]

    def account_at(self, url: str, *, key: str, allowed: Sequence[str]) -> Account:
        """The account that a URL of the settings page describes.

        :raises ConfigurationError: something is wrong or missing.
        """
        return account_at(url, self.key, self.gateways, key=key, allowed=allowed)

    def capabilities_of(self, account: Account) -> Capabilities:
        """What the account's gateway can do."""
        return _settings(account).gateway.capabilities

    def open(self, account: Account) -> AbstractContextManager[Sender]:
        """The sender of the account's gateway, with no more connections than the account has."""
        settings = _settings(account)
        of_gateway = settings.of_gateway
        if account.connections < of_gateway.connections:
            of_gateway = replace(of_gateway, connections=account.connections)
        return settings.gateway.open(of_gateway)

    def tells_money(self, account: Account) -> TellsMoney:
        """What the account's gateway says."""
        found = _settings(account).gateway.capabilities
        return TellsMoney(balance=found.balance, price=found.price)

    def tariff(self, address: str) -> str:
        """Country and operator of a number; an operator's customers may have taken theirs elsewhere."""
        return tariff_of(address)

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

    def callback_reply(
        self, account: Account, headers: Mapping[str, str], body: bytes
    ) -> CallbackReply | None:
        """What the account's gateway wants to hear on its call."""
        settings = _settings(account)
        return settings.gateway.callback_reply(settings.of_gateway, headers, body)


def _settings(account: Account) -> GatewayAccount:
    settings = account.settings
    assert isinstance(settings, GatewayAccount)
    return settings
