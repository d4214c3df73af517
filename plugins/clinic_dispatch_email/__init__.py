"""Mail over SMTP: a channel that comes in by the same door as anybody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clinic_dispatch_email.accounts import load_accounts
from clinic_dispatch_email.channel import EmailChannel
from clinic_dispatch_plugin.api import Channel, ReferencePack, hookimpl, load_packs


@hookimpl
def clinic_dispatch_channels(config: Mapping[str, Any]) -> Sequence[Channel]:
    """The e-mail channel; without ``CLINIC_DISPATCH_EMAIL_URL`` it has the accounts of the settings page alone."""
    return [EmailChannel(load_accounts(config))]


@hookimpl
def clinic_dispatch_reference_packs() -> Sequence[ReferencePack]:
    """What SMTP servers' answers mean."""
    return load_packs(__name__)
