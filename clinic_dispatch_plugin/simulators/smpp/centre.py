"""The message centre behind all links: what it takes, what it says later, and who is bound."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from clinic_dispatch_plugin.simulators.smpp.ledger import Ledger, LedgerLine
from clinic_dispatch_plugin.simulators.smpp.packets import (
    MESSAGE_STATE,
    RECEIPTED_MESSAGE_ID,
    SAR,
    USER_MESSAGE_REFERENCE,
    VENDOR,
    Submit,
    deliver_body,
)
from clinic_dispatch_plugin.simulators.smpp.plans import STATES, Plan, Way
from clinic_dispatch_plugin.simulators.smpp.settings import CentreSettings

#: Texts remembered for questions.
_REMEMBERED = 200_000
_ENROUTE = 1
#: Ways in which no answer to the text is given.
UNANSWERED = frozenset({Way.SILENT, Way.LOST_ANSWER, Way.CUT_AFTER, Way.RUBBISH, Way.NOISE})
_NO_RECEIPT = frozenset({Way.SILENT, Way.NO_RECEIPT})


class Mode(StrEnum):
    """Troubles of the whole centre that are switched on by hand."""

    NORMAL = "normal"
    #: Nobody is let in, and whoever is in is cut off.
    WRONG_PASSWORD = "wrong_password"
    #: Everything is read, nothing is said, not even to enquire_link.
    MUTE = "mute"


class Receiver(Protocol):
    """A link that takes receipts."""

    def deliver(self, receipt: Receipt) -> None:
        """Send it; the answer comes back by :meth:`Centre.receipt_answered`."""


@dataclass(slots=True, eq=False)
class Text:
    """A text the centre took."""

    submit: Submit
    plan: Plan
    number: int
    system_id: str
    taken_at: float

    @property
    def answer_id(self) -> str:
        """The id in the answer."""
        if self.plan.way is Way.NO_ID:
            return ""
        return f"{self.number:X}" if self.plan.way is Way.HEX_ID else str(self.number)

    @property
    def receipt_id(self) -> str:
        """The id in the receipt."""
        return f"{self.number:014d}" if self.plan.way is Way.HEX_ID else str(self.number)


@dataclass(slots=True, eq=False)
class Receipt:
    """One word about a text on its way to the client."""

    text: Text
    state: int
    body: bytes = field(repr=False)


@dataclass(slots=True)
class Counters:
    """What has happened since the start; read from any thread."""

    binds: int = 0
    taken: int = 0
    refused: int = 0
    throttled: int = 0
    receipts: int = 0
    receipts_kept: int = 0
    protocol_errors: int = 0


class Centre:
    """All of one centre that lives on the loop."""

    def __init__(self, settings: CentreSettings) -> None:
        """Open the ledger.

        :raises OSError: it cannot be opened.
        """
        self.settings = settings
        self.counters = Counters()
        self.mode = Mode.NORMAL
        #: Bound links of each client.
        self.links: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()
        self._ledger = Ledger(settings.ledger) if settings.ledger is not None else None
        self._texts: OrderedDict[str, Text] = OrderedDict()
        self._last = 1_000_000_000
        self._receivers: dict[str, list[Receiver]] = {}
        self._waiting: dict[str, deque[Receipt]] = {}
        self._throttled: Counter[str] = Counter()
        self._free_at = 0.0
        self._timers: set[asyncio.TimerHandle] = set()

    def close(self) -> None:
        """Say nothing more and let go of the ledger."""
        for timer in self._timers:
            timer.cancel()
        if self._ledger is not None:
            self._ledger.close()

    def is_full(self, system_id: str) -> bool:
        """Whether this client holds all the links it may."""
        limit = self.settings.sessions
        return bool(limit) and self.links[system_id] >= limit

    # Texts

    def too_fast(self, destination: str, plan: Plan) -> bool:
        """Whether this one gets "too fast"."""
        now = self._loop.time()
        if (
            plan.way is Way.THROTTLED
            and self._throttled[destination] < self.settings.throttle_times
        ):
            self._throttled[destination] += 1
            return True
        if self.settings.rate:
            if now < self._free_at - 1.0:  # a second's worth may come at once
                return True
            self._free_at = max(self._free_at, now) + 1.0 / self.settings.rate
        return False

    def take(self, submit: Submit, plan: Plan, system_id: str) -> Text:
        """Take a text: write it down, and plan its receipts. The caller syncs before it answers."""
        self._last += 1
        text = Text(submit, plan, self._last, system_id, self._loop.time())
        self._texts[text.receipt_id] = text
        if text.answer_id:
            self._texts[text.answer_id] = text
        while len(self._texts) > _REMEMBERED:
            self._texts.popitem(last=False)
        self.counters.taken += 1
        if self._ledger is not None:
            self._ledger.append(_line(text))
        for receipt in self._receipts(text):
            self.later(self.settings.receipt_after, receipt)
        return text

    def sync(self) -> None:
        """Put what was taken on the disk."""
        if self._ledger is not None:
            self._ledger.sync()

    def state_of(self, message_id: str, source: str) -> tuple[int, str] | None:
        """State and error of a text for query_sm; None: there is none of this sender."""
        text = self._texts.get(message_id)
        if text is None or text.submit.source != source:
            return None
        if self._loop.time() < text.taken_at + self.settings.receipt_after:
            return _ENROUTE, "000"
        return text.plan.state, text.plan.error

    # Receipts

    def joined(self, system_id: str, receiver: Receiver) -> None:
        """A link that takes receipts is bound."""
        self._receivers.setdefault(system_id, []).append(receiver)
        waiting = self._waiting.pop(system_id, deque())
        for receipt in waiting:
            self._bring(receipt)

    def left(self, system_id: str, receiver: Receiver, unanswered: Sequence[Receipt]) -> None:
        """It ended; what it did not answer for goes to the next one."""
        receivers = self._receivers.get(system_id, [])
        if receiver in receivers:
            receivers.remove(receiver)
        for receipt in unanswered:
            self._bring(receipt)

    def receipt_answered(self, receipt: Receipt, status: int | None) -> None:
        """The client kept it (0), did not (else), or said nothing (None)."""
        if status == 0:
            self.counters.receipts_kept += 1
        else:
            self.later(self.settings.receipt_again, receipt)

    def later(self, seconds: float, receipt: Receipt) -> None:
        """Bring a receipt after so long."""
        self.call_later(seconds, lambda: self._bring(receipt))

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do it after so long, unless the centre ends before."""

        def act() -> None:
            self._timers.discard(timer)
            action()

        timer = self._loop.call_later(seconds, act)
        self._timers.add(timer)

    def _bring(self, receipt: Receipt) -> None:
        system_id = receipt.text.system_id
        receivers = self._receivers.get(system_id)
        if receivers:
            self.counters.receipts += 1
            receivers[-1].deliver(receipt)
        else:
            self._waiting.setdefault(system_id, deque()).append(receipt)

    def early_receipts(self, text: Text) -> list[Receipt]:
        """The receipts of a text whose receipt is faster than its answer."""
        return [_receipt(text, text.plan.state)] if _wanted(text) else []

    def _receipts(self, text: Text) -> list[Receipt]:
        way = text.plan.way
        if way in _NO_RECEIPT or way is Way.EARLY or not _wanted(text):
            return []
        final = _receipt(text, text.plan.state)
        if way is Way.TWICE:
            return [final, _receipt(text, text.plan.state)]
        if way is Way.DISORDERED:
            return [final, _receipt(text, _ENROUTE)]
        return [final]


def _wanted(text: Text) -> bool:
    """Whether the client asked for this receipt (registered_delivery, 5.2.17)."""
    kind = text.submit.registered & 3
    delivered = text.plan.state == 2
    return kind == 1 or (kind == 2 and not delivered) or (kind == 3 and delivered)


def _receipt(text: Text, state: int) -> Receipt:
    submit, way = text.submit, text.plan.way
    optional = {
        RECEIPTED_MESSAGE_ID: text.receipt_id.encode() + b"\0",
        MESSAGE_STATE: bytes([state]),
    }
    for tag, value in submit.optional.items():
        if tag == USER_MESSAGE_REFERENCE or tag in VENDOR:
            optional[tag] = value
    if way is Way.WORDS_ONLY:
        optional = {}
    words = "" if way is Way.TLV_ONLY else _words(text, state)
    if way is Way.ODD_WORDS:
        optional = {}
        words = f"Stat:{STATES[state].title()} Err:{text.plan.error} ID:{text.receipt_id} Text:x"
    body = deliver_body(submit, words, esm_class=0x04, optional=optional)
    return Receipt(text, state, body)


def _words(text: Text, state: int) -> str:
    """The receipt's text (appendix B)."""
    now = datetime.now(UTC).strftime("%y%m%d%H%M")
    delivered = 1 if state == 2 else 0
    beginning = text.submit.text[:20].decode("latin-1").replace("\0", "")
    return (
        f"id:{text.receipt_id} sub:001 dlvrd:{delivered:03d} submit date:{now} done date:{now}"
        f" stat:{STATES[state]} err:{text.plan.error} text:{beginning}"
    )


def _line(text: Text) -> LedgerLine:
    submit = text.submit
    reference = submit.optional.get(USER_MESSAGE_REFERENCE)
    return LedgerLine(
        at=datetime.now(UTC).isoformat(),
        system_id=text.system_id,
        message_id=text.receipt_id,
        source=submit.source,
        destination=submit.destination,
        data_coding=submit.data_coding,
        esm_class=submit.esm_class,
        text=submit.text.hex(),
        reference=None if reference is None else int.from_bytes(reference, "big"),
        vendor={
            f"0x{tag:04X}": value.decode("latin-1")
            for tag, value in submit.optional.items()
            if tag in VENDOR
        },
        sar=[int.from_bytes(submit.optional[tag], "big") for tag in SAR if tag in submit.optional],
        answered=text.plan.way not in UNANSWERED,
    )
