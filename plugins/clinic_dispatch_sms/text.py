"""How long a text is in what is billed."""

from __future__ import annotations

from clinic_dispatch_plugin.api import Measure
from clinic_dispatch_sms.alphabet import UCS2
from clinic_dispatch_sms.parts import parted, prepared
from clinic_dispatch_sms.saving import odd_characters

__all__ = ["measured", "prepared"]


def measured(text: str, *, language: str = "") -> Measure:
    """Characters, parts and alphabet; an empty text counts as one part, for it is sent as one."""
    found = parted(text, language=language)
    return Measure(
        characters=found.characters,
        parts=max(found.parts, 1),
        encoding=found.encoding,
        left=found.left,
        odd=tuple(odd_characters(text)) if found.encoding == UCS2 else (),
    )
