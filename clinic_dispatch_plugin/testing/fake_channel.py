"""A channel without a gateway: what it answers is scripted by address, and what it got is remembered."""

from __future__ import annotations

import os
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clinic_dispatch_plugin.api import (
    Accepted,
    Account,
    Answer,
    Batch,
    Channel,
    ContentFields,
    DeliveryReport,
    InvalidAddress,
    Money,
    NotSent,
    OutgoingMessage,
    Permanence,
    ReferenceEntry,
    ReferencePack,
    Refused,
    Sender,
    SendResult,
    SentMessage,
    TellsMoney,
    Texts,
    Uncertain,
    hookimpl,
)

#: What a script says of one message: a result, or an exception that is raised.
Say = Callable[[OutgoingMessage], SendResult]

SYSTEM = "fake"


def accept(message: OutgoingMessage) -> SendResult:
    """The gateway takes it."""
    return Accepted(attempt_id=message.attempt_id, provider_id=f"fake-{message.attempt_id}")


def refuse(
    code: str,
    text: str = "",
    *,
    system: str = SYSTEM,
    retryable: bool | None = None,
    retry_after: float | None = None,
) -> Say:
    """The gateway says no; see :data:`PACK` for the codes it knows."""

    def say(message: OutgoingMessage) -> SendResult:
        return Refused(
            attempt_id=message.attempt_id,
            answer=Answer(system=system, code=code, text=text or f"{code} by the fake gateway"),
            retryable=retryable,
            retry_after=retry_after,
        )

    return say


def leave_uncertain(message: OutgoingMessage) -> SendResult:
    """Bytes left, no answer came."""
    answer = Answer(system="dispatch", code="connection_lost", text="no answer")
    return Uncertain(attempt_id=message.attempt_id, answer=answer)


def break_off(message: OutgoingMessage) -> SendResult:
    """The connection ended before it was handed over."""
    answer = Answer(system="dispatch", code="connect_failed", text="closed")
    return NotSent(attempt_id=message.attempt_id, answer=answer)


def raising(error: Exception) -> Say:
    """The sender raises instead of giving a result."""

    def say(message: OutgoingMessage) -> SendResult:
        raise error

    return say


class FakeChannel(Channel):
    """Accepts everything that no script says otherwise about."""

    fields = ContentFields(subject=True, html=True)
    system = SYSTEM

    def __init__(
        self,
        *,
        key: str = "fake",
        rate: float | None = None,
        ledger: Path | None = None,
        before: Callable[[OutgoingMessage], object] | None = None,
    ) -> None:
        """Script nothing yet.

        :param rate: messages a second over all workers; None: no limit.
        :param ledger: every hand-over is appended to this file, one line each: message key, attempt key, address;
            several processes may share it.
        :param before: called with each message before it is handed over; may wait, or raise.
        """
        self.key = key  # type: ignore[misc]
        self.label = key.capitalize()  # type: ignore[misc]
        self.configured = True
        self.rate = rate
        self.before = before
        self.ledger = ledger
        #: What is left on its account, and what a message costs when it is asked before; None: it does not say.
        self.left: Money | None = None
        self.price_each: Money | None = None
        #: What the clinic's settings say of the account, such as ``cap_day``.
        self.options: dict[str, Any] = {}
        #: Every message that was handed over, in order.
        self.handed: list[OutgoingMessage] = []
        #: How many senders were opened.
        self.opened = 0
        self._scripts: dict[str, deque[Say]] = defaultdict(deque)
        self._always: dict[str, Say] = {}

    def will(self, address: str, *say: Say) -> None:
        """What happens to the next messages to this address, one after the other; then they are accepted."""
        self._scripts[address].extend(say)

    def always(self, address: str, say: Say) -> None:
        """What happens to every message to this address that no :meth:`will` is left for."""
        self._always[address] = say

    @property
    def counts(self) -> Mapping[str, int]:
        """Messages handed over by address."""
        return Counter(message.address for message in self.handed)

    def accounts(self) -> Sequence[Account]:
        if not self.configured:
            return ()
        return (Account(channel=self.key, label="nowhere", rate=self.rate, **self.options),)

    def tells_money(self, account: Account) -> TellsMoney:
        return TellsMoney(balance=self.left is not None, price=self.price_each is not None)

    def normalise_address(self, raw: str, *, region: str) -> str:
        address = raw.strip()
        if "@" not in address:
            raise InvalidAddress(Answer(system="dispatch", code="malformed_address", text="no @"))
        return address

    @contextmanager
    def open(self, account: Account) -> Iterator[Sender]:
        self.opened += 1
        yield _FakeSender(self)

    def hand_over(self, message: OutgoingMessage) -> SendResult:
        """What the gateway does with one message."""
        if self.before is not None:
            self.before(message)
        self.handed.append(message)
        if self.ledger is not None:
            _append(self.ledger, message)
        script = self._scripts.get(message.address)
        say = script.popleft() if script else self._always.get(message.address, accept)
        return say(message)


class _FakeSender:
    def __init__(self, channel: FakeChannel) -> None:
        self._channel = channel

    def send(self, batch: Batch) -> Iterator[SendResult]:
        for message in batch:
            yield self._channel.hand_over(message)

    def check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        return iter(())

    def balance(self) -> Money | None:
        return self._channel.left

    def price(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        each = self._channel.price_each
        return each and Money(amount=each.amount * len(batch), currency=each.currency)


def _append(ledger: Path, message: OutgoingMessage) -> None:
    line = f"{message.message_key} {message.attempt_key} {message.address}\n".encode()
    handle = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)


def _entry(code: str, category: str, permanence: str, **policy: Any) -> ReferenceEntry:
    texts = Texts(
        short=code.replace("_", " ").capitalize(),
        what_happened="The fake gateway said so.",
        what_helps="Nothing: it is a test.",
    )
    return ReferenceEntry(
        code=code,
        category=category,
        permanence=Permanence(permanence),
        group="sending",
        who="administration",
        texts=dict.fromkeys(("de", "en", "ru"), texts),
        policy=policy or None,
    )


#: What the answers of the fake gateway mean.
PACK = ReferencePack(
    key="fake",
    system=SYSTEM,
    version=1,
    entries=(
        _entry("unknown", "unknown_recipient", "permanent"),
        _entry("full", "recipient_full", "permanent"),
        _entry("greylisted", "quota_or_rate", "temporary"),
        _entry("busy", "network_fault", "temporary", tries=3),
        _entry("denied", "configuration", "permanent"),
        _entry("login", "authentication", "permanent"),
        _entry("spam", "spam_content", "permanent"),
    ),
)


class FakePlugin:
    """Brings a fake channel and its entries through the door every plugin uses."""

    def __init__(self, *channels: FakeChannel) -> None:
        self._channels = channels

    @hookimpl
    def clinic_dispatch_channels(self, config: Mapping[str, Any]) -> Sequence[Channel]:
        """The channels it was given."""
        return self._channels

    @hookimpl
    def clinic_dispatch_reference_packs(self) -> Sequence[ReferencePack]:
        """What the fake gateway's answers mean."""
        return (PACK,)
