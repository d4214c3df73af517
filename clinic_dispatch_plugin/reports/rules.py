"""What a bounce mail says and what follows from it: values and decisions, without web, database or clock."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

#: Bytes of one mail that are read and kept; a report stands at its beginning.
MOST_BYTES = 256 * 1024
#: Parts of one mail that are looked at.
MOST_PARTS = 100
#: Recipients one report may speak of.
MOST_RECIPIENTS = 1_000
#: Characters of an answer that are kept.
LONGEST_ANSWER = 2_000


class MailKind(StrEnum):
    """What a mail is."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto-reply"
    OTHER = "other"


class ReportedAction(StrEnum):
    """What became of one recipient: the words of RFC 3464 2.3.3, and two of our own."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    #: The recipient called the mail unwanted (RFC 5965).
    COMPLAINED = "complained"
    #: A machine of the recipient's wrote back.
    REPLIED = "replied"


class BounceState(StrEnum):
    """Where a kept mail stands."""

    #: It belongs to a message.
    TIED = "tied"
    #: Its message is being handed over at this moment; looked at again soon.
    EARLY = "early"
    #: Readable, and of no message of ours.
    UNKNOWN = "unknown"
    #: Nothing in it could be read as a report.
    UNREADABLE = "unreadable"


class ReportState(StrEnum):
    """Where a gateway's report stands."""

    #: Its message is looked for.
    WAITING = "waiting"
    #: It belongs to a message, and what it says is done.
    TIED = "tied"
    #: It could mean more than one message, so it means none.
    STRANGE = "strange"


#: How much a report weighs: a lighter one never changes what a heavier one said.
RANK = {
    ReportedAction.EXPANDED: 0,
    ReportedAction.REPLIED: 0,
    ReportedAction.COMPLAINED: 0,
    ReportedAction.RELAYED: 1,
    ReportedAction.DELAYED: 2,
    ReportedAction.FAILED: 4,
    ReportedAction.DELIVERED: 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What a mail says of one recipient."""

    address: str = field(repr=False)
    action: ReportedAction
    #: Enhanced code, else reply code, else empty.
    code: str = ""
    #: The words of the server that refused, on one line.
    answer: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clues:
    """What in a mail may name the message it speaks of; the surer ones first."""

    #: Keys of attempts: ``Original-Envelope-Id``.
    envelope_ids: Sequence[str] = ()
    #: Keys of messages: from the address the report was sent to.
    sender_keys: Sequence[str] = ()
    #: Keys of messages: from Message-IDs in the returned headers, ``In-Reply-To`` and ``References``.
    message_keys: Sequence[str] = ()
    #: Anything else of the form of our keys.
    others: Sequence[str] = ()
    #: When the returned mail says it was written.
    written_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMail:
    """One mail as it was understood."""

    kind: MailKind
    recipients: Sequence[Reported] = ()
    clues: Clues = Clues()
    subject: str = field(default="", repr=False)

    @property
    def readable(self) -> bool:
        """Whether anything in it could be used."""
        return self.kind is not MailKind.OTHER and bool(self.recipients)


def digest_of(raw: bytes) -> str:
    """The fingerprint by which the same mail is known again, however its lines end and whoever handed it in."""
    lines = raw[:MOST_BYTES].replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip(b"\n \t\0")
    if lines.startswith(b"From ") and b"\n" in lines:
        lines = lines.split(b"\n", 1)[1]
    return hashlib.sha256(lines).hexdigest()


def as_text(raw: bytes) -> str:
    """A mail as a database keeps it: every byte a character, so that nothing is lost but NUL."""
    return raw[:MOST_BYTES].decode("latin-1").replace("\0", " ")


def as_bytes(text: str) -> bytes:
    """What :func:`as_text` was made of."""
    return text.encode("latin-1", "replace")


def decisive(recipients: Sequence[Reported], address: str) -> Reported | None:
    """What a mail says of the message to ``address``: of the address itself where it is named, else the gravest."""
    named = [each for each in recipients if each.address.casefold() == address.casefold()]
    return max(named or recipients, key=lambda each: RANK[each.action], default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An attempt that a report may belong to."""

    id: int
    address: str = field(repr=False)
    opened_at: datetime
    #: Something went out: it is open, accepted or uncertain.
    went_out: bool


def attempt_meant(
    attempts: Sequence[Tried], *, addresses: Sequence[str], written_at: datetime | None
) -> Tried | None:
    """Which attempt a report without an envelope id speaks of.

    Those that went out; of them those to an address it names; of them the last one begun before the mail was
    written. Every attempt's mail carries its own date, so an older attempt's report finds the older attempt.
    """
    out = [each for each in attempts if each.went_out] or list(attempts)
    named = {address.casefold() for address in addresses}
    fitting = [each for each in out if each.address.casefold() in named] or out
    if written_at is not None:
        # Two seconds: the mail's date has no fractions, and two machines' clocks differ a little.
        before = [e for e in fitting if (e.opened_at - written_at).total_seconds() <= 2]
        fitting = before or fitting[:1]
    return fitting[-1] if fitting else None
