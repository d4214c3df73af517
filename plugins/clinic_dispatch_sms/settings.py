"""The channel's one variable: a URL for each account, the first one first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clinic_dispatch_plugin.api import Account
from clinic_dispatch_sms.accounts import GatewayAccount, accounts_of
from clinic_dispatch_sms.gateways import GATEWAYS

__all__ = ["CHANNEL", "URL", "SmsSettings", "load_accounts"]

URL = "CLINIC_DISPATCH_SMS_URL"
CHANNEL = "sms"
SmsSettings = GatewayAccount


def load_accounts(config: Mapping[str, Any]) -> Sequence[Account]:
    """The accounts in their order; empty where none is configured.

    :raises ConfigurationError: one of them is wrong.
    """
    return accounts_of(config, URL, CHANNEL, GATEWAYS)
