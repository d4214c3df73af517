"""A channel for tests of mailings: no gateway, addresses need an @, one account that a test may take away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from clinic_dispatch_plugin.api import (
    Accepted,
    Account,
    Answer,
    Channel,
    ContentFields,
    InvalidAddress,
    OutgoingMessage,
    SimpleChannel,
    hookimpl,
)


class Letters(SimpleChannel):
    """Sends nothing; no worker runs in these tests."""

    key: ClassVar[str] = "letter"
    label: ClassVar[str] = "Letter"
    fields: ClassVar[ContentFields] = ContentFields(subject=True, html=True)

    def __init__(self) -> None:
        self.has_account = True

    def accounts(self) -> Sequence[Account]:
        return [Account(channel=self.key)] if self.has_account else []

    def normalise_address(self, raw: str, *, region: str) -> str:
        found = raw.strip().lower()
        if not found:
            raise InvalidAddress(Answer(system="dispatch", code="no_address"))
        if "@" not in found:
            raise InvalidAddress(Answer(system="dispatch", code="malformed_address", text=raw))
        return found

    def send_one(self, message: OutgoingMessage, *, account: Account, timeout: float) -> Accepted:
        raise AssertionError("no worker runs in these tests")


class LetterPlugin:
    """Brings the one channel."""

    def __init__(self) -> None:
        self.channel = Letters()

    @hookimpl
    def clinic_dispatch_channels(self, config: Mapping[str, Any]) -> Sequence[Channel]:
        return [self.channel]
