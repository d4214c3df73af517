"""Looks at candidates as the plan and the check both do: one path, so that the check promises what the plan keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.channel import Channel
from clinic_dispatch_plugin.channels.text import EmptyPlaceholder, clean_value
from clinic_dispatch_plugin.config import Settings
from clinic_dispatch_plugin.engine.addresses import usable_address
from clinic_dispatch_plugin.engine.prepare import Text
from clinic_dispatch_plugin.host.types import consent_allows
from clinic_dispatch_plugin.mailings.checks import (
    Facts,
    Reason,
    Seen,
    person_key,
    reason_not_to,
    text_key,
)
from clinic_dispatch_plugin.mailings.content import names_in
from clinic_dispatch_plugin.mailings.sources import LONGEST_REF, Candidate
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.rules import address_digest

LONGEST_LOCALE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of one candidate."""

    candidate: Candidate
    #: The normalised address; the raw one where it is wrong.
    address: str
    reason: Reason | None
    duplicate_key: str | None = None


class Judge:
    """Holds what is the same for all recipients of a mailing, and what was seen so far.

    :param overruled: a reason that holds for everybody (deadline passed, no account).
    """

    def __init__(
        self,
        *,
        settings: Settings,
        channel: Channel,
        text: Text,
        overruled: Reason | None = None,
        seen: Seen | None = None,
    ) -> None:
        self._settings = settings
        self._channel = channel
        self._text = text
        self._overruled = overruled
        self._names = names_in(text)
        self.seen = seen or Seen()

    def judge(self, connection: Connection, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Decide about some; reads which addresses are blocked, and writes nothing."""
        addresses = [self._address(candidate) for candidate in candidates]
        digests = {
            address: address_digest(self._channel.key, address)
            for address, fault in addresses
            if not fault
        }
        blocked = messages.blocked(
            connection, self._channel.key, digests.values(), self._text.purpose
        )
        return [
            self._verdict(candidate, address, fault, blocked=blocked.get(digests.get(address, "")))
            for candidate, (address, fault) in zip(candidates, addresses, strict=True)
        ]

    def data(self, candidate: Candidate) -> dict[str, str]:
        """The values a message keeps: those its text names, and no others."""
        return {
            name: clean_value(value)
            for name, value in candidate.values.items()
            if name in self._names
        }

    def _address(self, candidate: Candidate) -> tuple[str, Reason | None]:
        address, fault = usable_address(
            self._channel, candidate.raw_address, region=self._settings.region
        )
        return address, Reason(fault) if fault else None

    def _verdict(
        self, candidate: Candidate, address: str, fault: Reason | None, *, blocked: str | None
    ) -> Verdict:
        person = person_key(candidate.ref, address) if candidate.ref else ""
        facts = Facts(
            known=not candidate.unknown,
            active=candidate.active and len(candidate.ref) <= LONGEST_REF,
            agreed=blocked != Reason.NOT_AGREED
            and consent_allows(
                self._text.purpose,
                candidate.consent,
                unknown_goes=self._settings.unknown_consent,
            ),
            address=None if fault else address,
            address_fault=fault,
            blocked=blocked == Reason.BLOCKED,
            repeated=bool(person) and person in self.seen,
        )
        reason = self._overruled or reason_not_to(facts)
        key = None
        if reason is None:
            reason, key = self._by_text(candidate, address)
        if reason is None and key is not None:
            self.seen.add(key, *([person] if person else []))
        return Verdict(candidate=candidate, address=address, reason=reason, duplicate_key=key)

    def _by_text(self, candidate: Candidate, address: str) -> tuple[Reason | None, str | None]:
        locale = (candidate.locale or self._settings.locale)[:LONGEST_LOCALE]
        try:
            content = self._text.render(self.data(candidate), locale)
        except EmptyPlaceholder:
            return Reason.EMPTY_PLACEHOLDER, None
        key = text_key(address, (content.subject, content.text, content.html))
        return (Reason.DUPLICATE if key in self.seen else None), key
