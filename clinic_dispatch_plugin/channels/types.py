"""The values a channel and the core hand each other; nothing here does anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A provider's words about a failure, or our own (``system="dispatch"``).

    The three together are what the error reference looks up.
    """

    #: Whose table of codes this is: ``"smtp"``, ``"smsc_delivery"``, ``"dispatch"`` …
    system: str
    #: The provider's code as text: ``"5.1.1"``, ``"6"``.
    code: str
    #: What the provider wrote, untouched; at most 2,000 characters are kept.
    text: str = ""


class Purpose(StrEnum):
    """Why a mailing is sent; decides which consent it needs."""

    SERVICE = "service"
    REMINDER = "reminder"
    RESULTS = "results"
    PROMOTION = "promotion"
    GREETING = "greeting"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFields:
    """What a text of a channel consists of; the pages show these fields and no others."""

    subject: bool = False
    html: bool = False
    attachments: bool = False
    audio: bool = False
    #: The script of ours that counts while one types (``"sms"``); empty: length does not matter.
    counter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that travels with a message."""

    filename: str
    #: ``"application/pdf"``: type and subtype, no parameters.
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The finished text of one message: every placeholder is filled in."""

    text: str = field(repr=False)
    subject: str = field(default="", repr=False)
    html: str = field(default="", repr=False)
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a channel's gateway can do; the engine plans by it."""

    #: Most messages one request of the gateway takes; 1 where it takes them singly.
    max_batch: int = 1
    #: True where a repeat under the same id is dropped by the gateway itself.
    idempotent_by_id: bool = False
    #: True where the gateway tells the fate of a message by an id that we gave it.
    query_by_our_id: bool = False
    #: Seconds after sending in which the gateway can still be asked; 0 where it cannot.
    report_window: int = 0
    callbacks: bool = False
    #: True where the gateway signs nothing on its calls: only a secret in their address proves them.
    secret_address: bool = False
    balance: bool = False
    price: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TellsMoney:
    """What the gateway of one account says about money when it is asked."""

    balance: bool = False
    price: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How long a text is, in the units the channel bills."""

    characters: int
    parts: int = 1
    encoding: str = "UTF-8"
    #: What still fits into the last part, in units of the encoding.
    left: int = 0
    #: The characters for whose sake a part holds less, each once.
    odd: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheaper:
    """The same text written so that less is billed."""

    #: ``"signs"`` (look-alikes), ``"letters"`` (without their marks) or ``"latin"`` (in Latin letters).
    kind: str
    text: str = field(repr=False)
    parts: int
    #: Parts it saves.
    saved: int
    #: What is replaced by what, each once; empty where whole words are written anew.
    changed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in one currency (ISO 4217)."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        """Refuse anything but decimals: a float is never exactly what the gateway said."""
        if not isinstance(self.amount, Decimal):
            raise TypeError(f"an amount of money is a Decimal, not {type(self.amount).__name__}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account at a gateway as the clinic configured it; ``settings`` is the channel's and may hold secrets."""

    channel: str
    key: str = "default"
    #: What pages, logs and the doctor may show: host and port, never a password.
    label: str = ""
    settings: Any = field(default=None, repr=False)
    #: Messages a second over all workers; None: no limit of ours.
    rate: float | None = None
    #: Connections one sender may hold open.
    connections: int = 1
    #: Connections over all workers, where the clinic said so; None: each holds its usual number.
    connection_limit: int | None = None
    #: What may be spent through it in a day and in a month of the clinic's, in the account's currency; None: no cap.
    cap_day: Decimal | None = None
    cap_month: Decimal | None = None
    #: What one part of a message costs, where the clinic knows it and the gateway does not say it beforehand.
    part_price: Money | None = None
    #: What may go through it; empty: everything.
    purposes: frozenset[str] = frozenset()

    def takes(self, purpose: str) -> bool:
        """Whether messages of this purpose may go through it; empty: whether anything may."""
        return not purpose or not self.purposes or purpose in self.purposes


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """One message on its way to a gateway: exactly one attempt."""

    attempt_id: int
    #: 26 characters ``[a-z0-9]``, new for every attempt, not guessable: the id to give to a gateway.
    attempt_key: str
    #: 26 characters ``[a-z0-9]``, the same for every attempt of this message: for a Message-ID that stays on a repeat.
    message_key: str
    address: str = field(repr=False)
    name: str = field(default="", repr=False)
    locale: str = "en"
    content: Content
    purpose: Purpose = Purpose.SERVICE
    #: Where the recipient can say "no more of these"; None where the purpose offers none.
    unsubscribe_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """An attempt whose fate a gateway may be asked for."""

    attempt_id: int
    attempt_key: str
    provider_id: str | None
    address: str = field(repr=False)
    opened_at: datetime
    #: What it said, for gateways that can only be asked by listing; empty: not known.
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The gateway took the message."""

    attempt_id: int
    provider_id: str | None = None
    parts: int = 1
    price: Money | None = None
    #: The gateway's words on taking it; kept for staff.
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The gateway said no: the message was not taken.

    ``retryable`` None: the error reference decides; True or False: the channel knows better.
    ``retry_after``: seconds the gateway asked us to wait.
    """

    attempt_id: int
    answer: Answer
    retryable: bool | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertain:
    """Bytes left and no answer came: it may have been sent. Nobody sends it twice by itself."""

    attempt_id: int
    answer: Answer
    #: What the gateway can be asked by, where we chose the id ourselves.
    provider_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Provably not handed over (the connection ended before the text was complete): due again at once, no try used."""

    attempt_id: int
    answer: Answer | None = None


SendResult = Accepted | Refused | Uncertain | NotSent


class ReportStatus(StrEnum):
    """What a gateway says later about an attempt, lowest rank first."""

    #: It knows of no such message: nothing was taken, if there was time enough to take it.
    NOT_FOUND = "not_found"
    ACCEPTED = "accepted"
    UNDER_WAY = "under_way"
    NO_REPORT = "no_report"
    FAILED = "failed"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackReply:
    """What a gateway is told that asks on its call what to do next."""

    #: ``"text/xml"``: type and subtype, no parameters; the body is UTF-8.
    media_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """A gateway's later word; names the attempt by our key or by its own id."""

    status: ReportStatus
    attempt_key: str | None = None
    provider_id: str | None = None
    answer: Answer | None = None
    at: datetime | None = None
    details: Mapping[str, str] = field(default_factory=dict)
