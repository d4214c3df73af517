"""Viber: messages by telephone number through a clinic's gateway, and what Viber and its resellers answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clinic_dispatch_plugin.api import Channel, ReferencePack, hookimpl, load_packs
from clinic_dispatch_viber.channel import ViberChannel
from clinic_dispatch_viber.settings import load_accounts


@hookimpl
def clinic_dispatch_channels(config: Mapping[str, Any]) -> Sequence[Channel]:
    """The channel, where ``CLINIC_DISPATCH_VIBER_URL`` names an account."""
    accounts = load_accounts(config)
    return [ViberChannel(accounts)] if accounts else []


@hookimpl
def clinic_dispatch_reference_packs() -> Sequence[ReferencePack]:
    """One pack for each system of codes."""
    return load_packs(__name__)
