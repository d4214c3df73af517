"""Viber: messages by telephone number through a clinic's gateway, and what Viber and its resellers answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clinic_dispatch_plugin.api import Channel, ReferencePack, hookimpl, load_packs
from clinic_dispatch_viber.channel import ViberChannel
from clinic_dispatch_viber.settings import load_accounts


@hookimpl
def clinic_dispatch_channels(config: Mapping[str, Any]) -> Sequence[Channel]:
    """The channel; without ``CLINIC_DISPATCH_VIBER_URL`` it has the accounts of the settings page alone."""
    return [ViberChannel(load_accounts(config))]


@hookimpl
def clinic_dispatch_reference_packs() -> Sequence[ReferencePack]:
    """One pack for each system of codes."""
    return load_packs(__name__)
