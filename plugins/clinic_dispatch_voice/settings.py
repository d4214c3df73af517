"""The channel's one variable: a URL for each account, the first one first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from clinic_dispatch_plugin.api import Account
from clinic_dispatch_sms.accounts import accounts_of
from clinic_dispatch_sms.gateway import Gateway
from clinic_dispatch_voice.ari.gateway import VoiceAri
from clinic_dispatch_voice.sip.gateway import VoiceSip, VoiceSips
from clinic_dispatch_voice.smsc import VoiceSmsc
from clinic_dispatch_voice.twilio.gateway import VoiceTwilio

URL = "CLINIC_DISPATCH_VOICE_URL"
CHANNEL = "voice"
#: By scheme; a new gateway is a module and a line here.
GATEWAYS: Final[Mapping[str, Gateway]] = {
    each.scheme: each for each in (VoiceSmsc(), VoiceTwilio(), VoiceSip(), VoiceSips(), VoiceAri())
}


def load_accounts(config: Mapping[str, Any]) -> Sequence[Account]:
    """The accounts in their order; empty where none is configured.

    :raises ConfigurationError: one of them is wrong.
    """
    return accounts_of(config, URL, CHANNEL, GATEWAYS)
