"""Looks at candidates as the plan and the check both do: one path, so that the check promises what the plan keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.channel import Channel
from clinic_dispatch_plugin.channels.text import EmptyPlaceholder, clean_value
from clinic_dispatch_plugin.channels.types import Content
from clinic_dispatch_plugin.engine.addresses import LONGEST_ADDRESS, usable_address
from clinic_dispatch_plugin.engine.prepare import Text
from clinic_dispatch_plugin.host.types import Consent, consent_allows
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
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.routes import PASSABLE
from clinic_dispatch_plugin.registry import Dispatch

LONGEST_LOCALE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One channel of a mailing as its recipients are judged for it."""

    channel: Channel
    text: Text
    #: Whether an account is configured for it.
    routed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of one candidate."""

    candidate: Candidate
    #: The channel the message begins with.
    channel: str
    #: The normalised address there; the raw one where it is wrong.
    address: str
    reason: Reason | None
    duplicate_key: str | None = None
    #: What it will say; None: it will not be sent.
    content: Content | None = field(default=None, repr=False)
    #: The channels before it, and why it cannot go through them.
    passed: tuple[tuple[str, Reason], ...] = ()


class Judge:
    """Holds what is the same for all recipients of a mailing, and what was seen so far.

    :param legs: the channels of the mailing, the first one first: who cannot be reached by one begins at the next.
    :param overruled: a reason that holds for everybody, whatever the channel (the deadline passed).
    """

    def __init__(
        self,
        *,
        dispatch: Dispatch,
        legs: Sequence[Leg],
        overruled: Reason | None = None,
        seen: Seen | None = None,
    ) -> None:
        self._dispatch = dispatch
        self._settings = dispatch.settings
        self._legs = legs
        self._first = legs[0].channel.key
        self._purpose = legs[0].text.purpose
        self._overruled = overruled
        self._names = frozenset().union(*(names_in(leg.text) for leg in legs))
        self.seen = seen or Seen()

    def judge(self, connection: Connection, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Decide about some; reads which addresses are blocked, and writes nothing."""
        looks = [_Look(self._dispatch, leg, self._first) for leg in self._legs]
        for look in looks:
            look.read(connection, candidates)
        return [self._verdict(candidate, looks) for candidate in candidates]

    def data(self, candidate: Candidate) -> dict[str, str]:
        """The values a message keeps: those its texts name, and no others."""
        return {
            name: clean_value(value)
            for name, value in candidate.values.items()
            if name in self._names
        }

    def addresses(self, candidate: Candidate) -> dict[str, str]:
        """The addresses a message keeps for the channels it may go through: those the recipient agreed to."""
        return {
            leg.channel.key: address[:LONGEST_ADDRESS]
            for leg in self._legs
            if (address := candidate.address_on(leg.channel.key, first=self._first))
            and consent_allows(
                self._purpose,
                candidate.said_to(leg.channel.key),
                unknown_goes=self._settings.unknown_consent,
            )
        }

    def _verdict(self, candidate: Candidate, looks: Sequence[_Look]) -> Verdict:
        passed: list[tuple[str, Reason]] = []
        first: Verdict | None = None
        unsubscribed = False
        for look in looks:
            verdict = self._on(candidate, look, unsubscribed=unsubscribed)
            if verdict.reason is None:
                return verdict if not passed else replace(verdict, passed=tuple(passed))
            first = first or verdict
            if verdict.reason not in PASSABLE:
                # What speaks against the person, or against a second message, speaks against every channel.
                return verdict if not passed else replace(verdict, passed=tuple(passed))
            unsubscribed = unsubscribed or look.blocked(candidate) == Reason.NOT_AGREED
            passed.append((look.channel, verdict.reason))
        assert first is not None
        return first

    def _on(self, candidate: Candidate, look: _Look, *, unsubscribed: bool) -> Verdict:
        """What would become of it on one channel.

        :param unsubscribed: they said so on a channel before, so that only a yes to this very one counts.
        """
        address, fault = look.address(candidate)
        blocked = look.blocked(candidate)
        said = candidate.said_to(look.channel)
        agreed = consent_allows(
            self._purpose, said, unknown_goes=self._settings.unknown_consent
        ) and (not unsubscribed or candidate.consents.get(look.channel) == Consent.YES)
        person = person_key(candidate.ref, address) if candidate.ref else ""
        facts = Facts(
            known=not candidate.unknown,
            active=candidate.active and len(candidate.ref) <= LONGEST_REF,
            agreed=blocked != Reason.NOT_AGREED and agreed,
            address=None if fault else address,
            address_fault=fault,
            blocked=blocked == Reason.BLOCKED,
            repeated=bool(person) and person in self.seen,
            routed=look.routed,
        )
        reason = self._overruled or reason_not_to(facts)
        key, content = None, None
        if reason is None:
            reason, key, content = self._by_text(candidate, address, look.text)
        if reason is None and key is not None:
            self.seen.add(key, *([person] if person else []))
        return Verdict(
            candidate=candidate,
            channel=look.channel,
            address=address,
            reason=reason,
            duplicate_key=key,
            content=content if reason is None else None,
        )

    def _by_text(
        self, candidate: Candidate, address: str, text: Text
    ) -> tuple[Reason | None, str | None, Content | None]:
        locale = (candidate.locale or self._settings.locale)[:LONGEST_LOCALE]
        try:
            content = text.render(self.data(candidate), locale)
        except EmptyPlaceholder:
            return Reason.EMPTY_PLACEHOLDER, None, None
        key = text_key(address, (content.subject, content.text, content.html))
        return (Reason.DUPLICATE if key in self.seen else None), key, content


class _Look:
    """The addresses of some candidates on one channel, and which of them are blocked."""

    def __init__(self, dispatch: Dispatch, leg: Leg, first: str) -> None:
        self.channel, self.text, self.routed = leg.channel.key, leg.text, leg.routed
        self._leg, self._first, self._region = leg, first, dispatch.settings.region
        self._dispatch = dispatch
        self._addresses: dict[int, tuple[str, Reason | None]] = {}
        #: Fingerprints of usable addresses, by candidate.
        self._digests: dict[int, str] = {}
        self._blocked: dict[str, str] = {}

    def read(self, connection: Connection, candidates: Sequence[Candidate]) -> None:
        for candidate in candidates:
            raw = candidate.address_on(self.channel, first=self._first)
            address, fault = usable_address(self._leg.channel, raw, region=self._region)
            self._addresses[id(candidate)] = address, Reason(fault) if fault else None
        self._digests = {
            key: fingerprint(self._dispatch, self.channel, address)
            for key, (address, fault) in self._addresses.items()
            if not fault
        }
        self._blocked = messages.blocked(
            connection, self.channel, self._digests.values(), self._leg.text.purpose
        )

    def address(self, candidate: Candidate) -> tuple[str, Reason | None]:
        return self._addresses[id(candidate)]

    def blocked(self, candidate: Candidate) -> str | None:
        return self._blocked.get(self._digests.get(id(candidate), ""))
