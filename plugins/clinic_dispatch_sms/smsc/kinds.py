"""What an account at SMSC sends: texts here; Viber messages and calls are kinds of other channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clinic_dispatch_plugin.api import OutgoingMessage
from clinic_dispatch_sms.text import prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class SmscKind:
    """One kind of message at the gateway, and what is particular to it."""

    #: Whether the gateway counts parts; calls are counted in seconds.
    has_parts: bool = True

    def fields(self, group: Sequence[OutgoingMessage]) -> Mapping[str, str]:
        """What a request says of these, besides numbers and texts."""
        return {}

    def text(self, message: OutgoingMessage) -> str:
        """The text as the gateway gets it."""
        return prepared(message.content.text)

    def together(self, group: Sequence[OutgoingMessage], message: OutgoingMessage) -> bool:
        """Whether one request can say of them what :meth:`fields` says."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SmscTexts(SmscKind):
    """Text messages."""

    #: Hours in which the network may try to deliver; 0: as the gateway does by itself.
    valid: int = 0
    #: Cyrillic in Latin letters by the gateway: 0 not, 1 "translit", 2 look-alikes.
    transliteration: int = 0

    def fields(self, group: Sequence[OutgoingMessage]) -> Mapping[str, str]:
        """How long to try, and in which letters."""
        found = {"valid": self.valid, "translit": self.transliteration}
        return {name: str(value) for name, value in found.items() if value}


def count_of(kind: SmscKind, row: Mapping[str, Any]) -> dict[str, str]:
    """How long a message was: in parts, or in seconds."""
    name = "parts" if kind.has_parts else "seconds"
    counts = [row[key] for key in ("cnt", "sms_cnt") if row.get(key) not in (None, "")]
    return {name: str(counts[0])[:30]} if counts else {}
