"""How long a text is in what is billed."""

from __future__ import annotations

from clinic_dispatch_plugin.api import Measure
from clinic_dispatch_sms.parts import parted, prepared

__all__ = ["measured", "prepared"]


def measured(text: str, *, language: str = "") -> Measure:
    """Characters, parts and alphabet; an empty text counts as one part, for it is sent as one."""
    found = parted(text, language=language)
    return Measure(characters=found.characters, parts=max(found.parts, 1), encoding=found.encoding)
