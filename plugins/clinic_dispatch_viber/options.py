"""The options that mean the same at every gateway, and what Viber takes."""

from __future__ import annotations

import re

from clinic_dispatch_plugin.api import GatewayUrl

#: Characters of a text.
LONGEST = 1000
#: The name recipients see, as it was registered.
SENDER = re.compile(r"[^\s\x00-\x1f](?:.{0,26}[^\s])?")
SENDER_HINT = "The name registered at Viber."
SENDER_WORDS = "the name registered at Viber, at most 28 characters"


def lifetime(url: GatewayUrl) -> int:
    """Minutes in which Viber may try to deliver: short enough that an SMS can still follow in time.

    :raises ConfigurationError: it is no such number.
    """
    return url.whole("ttl", 120, lowest=1, highest=24 * 60)
