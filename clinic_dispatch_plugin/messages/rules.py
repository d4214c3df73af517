"""What may become of a message: the states, the one table of moves, and what each kind of result leads to."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from enum import StrEnum

KEY_LENGTH = 26
#: Each octet as one of 32 characters, all of them alike often: 26 of them hold 130 bits.
_TO_KEY = b"abcdefghijklmnopqrstuvwxyz234567" * 8


class MessageState(StrEnum):
    """Where a message stands; each is provable from the database alone."""

    #: Due at ``due_at``; no attempt is open: provably unsent.
    QUEUED = "queued"
    #: A live run holds it; still no attempt is open: provably unsent.
    LEASED = "leased"
    #: Its attempt is committed as open; the bytes may be under way. At most one lease old.
    SENDING = "sending"
    #: A gateway took it; what became of it is not known yet.
    SENT = "sent"
    #: A report says it arrived. Final.
    DELIVERED = "delivered"
    #: Refused for good, or a report says no; a person may send it again.
    UNDELIVERED = "undelivered"
    #: Handed over or not: nobody knows; never sent again by itself.
    UNCERTAIN = "uncertain"
    #: We decided not to send it; a person may put that right.
    SKIPPED = "skipped"


class AttemptState(StrEnum):
    """What became of one handing-over."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    #: Proved never handed over.
    WITHDRAWN = "withdrawn"


class Mover(StrEnum):
    """Who moves a message."""

    PLAN = "plan"
    PUMP = "pump"
    TENDER = "tender"
    REPORT = "report"
    PERSON = "person"
    #: The database was restored from a backup: what was not final then may have gone out since.
    RECOVERY = "recovery"


_S = MessageState
#: The one table of moves: from, to, who.
MOVES: Mapping[tuple[MessageState, MessageState], frozenset[Mover]] = {
    (_S.QUEUED, _S.LEASED): frozenset({Mover.PUMP}),
    (_S.LEASED, _S.QUEUED): frozenset({Mover.PUMP, Mover.TENDER}),
    (_S.QUEUED, _S.SKIPPED): frozenset({Mover.PUMP, Mover.TENDER, Mover.PERSON, Mover.REPORT}),
    (_S.LEASED, _S.SKIPPED): frozenset({Mover.PUMP, Mover.TENDER, Mover.PERSON}),
    # It waited for its next channel when word came that it had arrived through the one before.
    (_S.QUEUED, _S.DELIVERED): frozenset({Mover.REPORT}),
    (_S.LEASED, _S.DELIVERED): frozenset({Mover.REPORT}),
    (_S.QUEUED, _S.UNDELIVERED): frozenset({Mover.PUMP, Mover.TENDER, Mover.PERSON}),
    (_S.LEASED, _S.UNDELIVERED): frozenset({Mover.PUMP}),
    (_S.LEASED, _S.SENDING): frozenset({Mover.PUMP}),
    (_S.SENDING, _S.SENT): frozenset({Mover.PUMP, Mover.TENDER, Mover.REPORT}),
    (_S.SENDING, _S.UNDELIVERED): frozenset({Mover.PUMP, Mover.TENDER}),
    (_S.SENDING, _S.QUEUED): frozenset({Mover.PUMP, Mover.TENDER}),
    (_S.SENDING, _S.UNCERTAIN): frozenset({Mover.PUMP, Mover.TENDER, Mover.RECOVERY}),
    (_S.QUEUED, _S.UNCERTAIN): frozenset({Mover.RECOVERY}),
    (_S.LEASED, _S.UNCERTAIN): frozenset({Mover.RECOVERY}),
    (_S.UNCERTAIN, _S.SENT): frozenset({Mover.PUMP, Mover.TENDER, Mover.REPORT, Mover.PERSON}),
    (_S.UNCERTAIN, _S.DELIVERED): frozenset({Mover.TENDER, Mover.REPORT, Mover.PERSON}),
    (_S.UNCERTAIN, _S.UNDELIVERED): frozenset(
        {Mover.PUMP, Mover.TENDER, Mover.REPORT, Mover.PERSON}
    ),
    (_S.UNCERTAIN, _S.QUEUED): frozenset({Mover.PUMP, Mover.TENDER, Mover.PERSON}),
    (_S.SENT, _S.DELIVERED): frozenset({Mover.REPORT}),
    (_S.SENT, _S.UNDELIVERED): frozenset({Mover.REPORT}),
    # The tender: its mailing waits no longer for a report, and another channel is left.
    (_S.SENT, _S.QUEUED): frozenset({Mover.REPORT, Mover.TENDER}),
    (_S.UNDELIVERED, _S.DELIVERED): frozenset({Mover.REPORT}),
    (_S.UNDELIVERED, _S.QUEUED): frozenset({Mover.PERSON}),
    (_S.SKIPPED, _S.QUEUED): frozenset({Mover.PERSON}),
}

#: States in which nothing more happens by itself.
SETTLED = frozenset({_S.SENT, _S.DELIVERED, _S.UNDELIVERED, _S.UNCERTAIN, _S.SKIPPED})
#: States a mailing still has work in.
OPEN = frozenset({_S.QUEUED, _S.LEASED, _S.SENDING})
#: States that want a person's eye, in the order of the list.
FAILED = (_S.UNDELIVERED, _S.UNCERTAIN, _S.SKIPPED)


def may_move(source: MessageState, target: MessageState, mover: Mover) -> bool:
    """Whether this mover may make this move."""
    return mover in MOVES.get((source, target), frozenset())


def sources(target: MessageState, mover: Mover) -> list[MessageState]:
    """The states from which this mover may reach ``target``, for a ``WHERE state IN (…)``."""
    return [s for (s, t), movers in MOVES.items() if t is target and mover in movers]


def new_key() -> str:
    """26 characters ``[a-z0-9]`` nobody can guess; fits every gateway's field for an id of ours."""
    return secrets.token_bytes(KEY_LENGTH).translate(_TO_KEY).decode()


def address_digest(channel: str, address: str) -> str:
    """The fingerprint by which an address is found again, without keeping the address."""
    return hashlib.sha256(f"{channel}\0{address.casefold()}".encode()).hexdigest()


def masked(address: str) -> str:
    """An address as logs may show it: ``a•••@example.org``, ``+49•••••123``."""
    if "@" in address:
        local, _, domain = address.rpartition("@")
        return f"{local[:1]}•••@{domain}"
    return f"{address[:3]}•••••{address[-3:]}" if len(address) > 6 else "•••"


def unsubscribe_token(key: str, channel: str, purpose: str, digest: str) -> str:
    """The part of a link by which a recipient says "no more": names no patient, does not expire (RFC 8058)."""
    body = f"v1.{channel}.{purpose}.{digest}"
    return f"{body}.{_signature(key, body)}"


def read_unsubscribe_token(keys: Iterable[str], token: str) -> tuple[str, str, str] | None:
    """Channel, purpose and address digest of a genuine token; None for every other."""
    body, _, signature = token.rpartition(".")
    given = signature.encode("utf-8", "replace")
    parts = body.split(".")
    if len(parts) != 4 or parts[0] != "v1":
        return None
    if any(hmac.compare_digest(_signature(key, body).encode(), given) for key in keys):
        return parts[1], parts[2], parts[3]
    return None


def _signature(key: str, body: str) -> str:
    return hmac.new(key.encode(), f"unsubscribe:{body}".encode(), hashlib.sha256).hexdigest()[:40]
