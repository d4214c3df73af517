"""A text as it is sent, and how long it is in what is billed."""

from __future__ import annotations

import unicodedata

from clinic_dispatch_plugin.api import Measure


def prepared(text: str) -> str:
    """The text as it goes to a gateway: composed letters, plain line ends, nothing blank at its end."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).rstrip()


def measured(text: str) -> Measure:
    """Characters, parts and alphabet."""
    return Measure(characters=len(prepared(text)))
