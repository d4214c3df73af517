"""An account at Twilio that calls, as its URL describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clinic_dispatch_plugin.api import GatewayUrl
from clinic_dispatch_sms.twilio.settings import TwilioSettings, account_of

_SENDER = re.compile(r"\+[1-9][0-9]{6,14}")
#: What a machine that answers means: call again, the message is on it and that is enough, or nobody looks.
AGAIN, ENOUGH, OFF = "again", "enough", "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioCallSettings(TwilioSettings):
    """The account, and how it calls."""

    #: Seconds it rings.
    ring: int = 30
    machine: str = AGAIN
    #: The gateway's name of a voice; empty: its usual one for the language.
    voice: str = ""
    #: How often the message is said to somebody who presses nothing.
    repeat: int = 2


def read_settings(url: GatewayUrl) -> TwilioCallSettings:
    """The settings in ``twilio://AC…:token@api.twilio.com/?sender=%2B15005550006``.

    :raises ConfigurationError: something is wrong or missing.
    """
    sender = url.text("sender")
    if _SENDER.fullmatch(sender) is None:
        raise url.wrong("sender is a number of yours with its country code; write + as %2B.")
    return TwilioCallSettings(
        sender=sender,
        ring=url.whole("ring", 30, lowest=5, highest=120),
        machine=url.choice("machine", AGAIN, (AGAIN, ENOUGH, OFF)),
        voice=url.text("voice", longest=60),
        repeat=url.whole("repeat", 2, lowest=1, highest=5),
        **account_of(url),
    )
