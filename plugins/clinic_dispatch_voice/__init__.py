"""Voice calls that speak a text, and what telephone networks and systems answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clinic_dispatch_plugin.api import Channel, ReferencePack, hookimpl, load_packs
from clinic_dispatch_voice.channel import VoiceChannel
from clinic_dispatch_voice.settings import load_accounts


@hookimpl
def clinic_dispatch_channels(config: Mapping[str, Any]) -> Sequence[Channel]:
    """The channel; without ``CLINIC_DISPATCH_VOICE_URL`` it has the accounts of the settings page alone."""
    return [VoiceChannel(load_accounts(config))]


@hookimpl
def clinic_dispatch_reference_packs() -> Sequence[ReferencePack]:
    """One pack for each system of codes."""
    return load_packs(__name__)
