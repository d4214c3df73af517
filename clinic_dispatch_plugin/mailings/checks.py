"""Decides who of a mailing gets nothing, and why: values in, a reason out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from clinic_dispatch_plugin.channels.types import Answer

#: Bytes kept of a fingerprint: 200,000 of them fit in memory, and none meets another by chance.
_FINGERPRINT_BYTES = 16


class Reason(StrEnum):
    """Why a recipient gets nothing: a code of the system ``dispatch`` in the error reference."""

    EXPIRED = "expired"
    NO_ROUTE = "no_route"
    UNKNOWN_REF = "unknown_ref"
    INACTIVE = "inactive"
    NO_ADDRESS = "no_address"
    MALFORMED_ADDRESS = "malformed_address"
    LANDLINE = "landline"
    SHORT_NUMBER = "short_number"
    NOT_AGREED = "not_agreed"
    BLOCKED = "blocked"
    DUPLICATE = "duplicate"
    EMPTY_PLACEHOLDER = "empty_placeholder"

    @property
    def answer(self) -> Answer:
        """What the reference looks up."""
        return Answer(system="dispatch", code=self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one recipient before the text is made."""

    active: bool
    agreed: bool
    #: What the channel made of the address; None: nothing, see ``address_fault``.
    address: str | None
    address_fault: Reason | None = None
    blocked: bool = False
    #: False: the ref leads to no patient.
    known: bool = True
    #: The same patient with the same address was here before.
    repeated: bool = False
    #: Whether an account is configured for the channel.
    routed: bool = True


def reason_not_to(facts: Facts) -> Reason | None:
    """The first reason that holds, in the order in which a person would put them right."""
    if not facts.routed:
        return Reason.NO_ROUTE
    if not facts.known:
        return Reason.UNKNOWN_REF
    if not facts.active:
        return Reason.INACTIVE
    if facts.address is None:
        return facts.address_fault or Reason.MALFORMED_ADDRESS
    if not facts.agreed:
        return Reason.NOT_AGREED
    if facts.blocked:
        return Reason.BLOCKED
    if facts.repeated:
        return Reason.DUPLICATE
    return None


def text_key(address: str, rendered: Iterable[str]) -> str:
    """Fingerprint of an address and the finished text it gets."""
    return _digest("text", address.casefold(), *rendered)


def person_key(ref: str, address: str) -> str:
    """Fingerprint of a patient and an address."""
    return _digest("person", ref, address.casefold())


def _digest(*parts: str) -> str:
    said = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(said).hexdigest()


class Seen:
    """The fingerprints of a mailing so far, small enough to hold all of them."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def __contains__(self, key: str) -> bool:
        return _short(key) in self._known

    def add(self, *keys: str) -> None:
        """Remember these."""
        self._known.update(map(_short, keys))


def _short(key: str) -> bytes:
    return bytes.fromhex(key[: 2 * _FINGERPRINT_BYTES])
