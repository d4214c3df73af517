"""The channels of a mailing in their order, and what a message knows of those it may still go through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Codes of ours that speak of one channel alone: by another one the message may still arrive.
PASSABLE = frozenset(
    {
        "no_address",
        "malformed_address",
        "landline",
        "short_number",
        "not_agreed",
        "blocked",
        "no_route",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One channel of a mailing, with the text it sends; None: it is not started yet."""

    channel: str
    revision_id: int | None


def legs_of(mailing: Mapping[Any, Any]) -> tuple[Leg, ...]:
    """The channels of a mailing, the first one first."""
    first = Leg(channel=mailing["channel"], revision_id=mailing["revision_id"])
    rest = (
        Leg(channel=str(each["channel"]), revision_id=each.get("revision"))
        for each in mailing["fallbacks"] or ()
    )
    return (first, *rest)


def order_of(first: str, fallbacks: Sequence[Mapping[str, Any]] | None) -> tuple[str, ...]:
    """The keys of a mailing's channels, the first one first."""
    return (first, *(str(each["channel"]) for each in fallbacks or ()))


def silences_of(first: str, fallbacks: Sequence[Mapping[str, Any]] | None) -> dict[str, int]:
    """Minutes without a report after which the next channel's turn comes, by the channel that stays silent.

    Channels that are waited for without end are not among them.
    """
    order = order_of(first, fallbacks)
    waits = (int(each.get("silence") or 0) for each in fallbacks or ())
    return {before: minutes for before, minutes in zip(order, waits, strict=False) if minutes > 0}


def after(order: Sequence[str], channel: str) -> tuple[str, ...]:
    """The channels that follow one; none where it does not belong to them."""
    return tuple(order[order.index(channel) + 1 :]) if channel in order else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A channel a message left behind, tried or not, and the answer that says why."""

    channel: str
    answer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a message knows of its channels."""

    #: As the card or the file had them when it was planned, or as somebody corrected them.
    addresses: Mapping[str, str] = field(default_factory=dict, repr=False)
    passed: Sequence[Passed] = ()

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> Route:
        """The column of a message; one whose mailing has a single channel knows nothing."""
        stored = stored or {}
        return cls(
            addresses=stored.get("addresses") or {},
            passed=tuple(
                Passed(channel=str(each["channel"]), answer_id=int(each["answer"]))
                for each in stored.get("passed") or ()
            ),
        )

    def stored(self) -> dict[str, Any]:
        """As the column keeps it."""
        passed = [{"channel": each.channel, "answer": each.answer_id} for each in self.passed]
        return {"addresses": dict(self.addresses), "passed": passed}

    def passing(self, channel: str, answer_id: int) -> Route:
        """The same after the message left one channel behind."""
        one = Passed(channel=channel, answer_id=answer_id)
        return Route(addresses=self.addresses, passed=(*self.passed, one))

    def back_on(self, channel: str) -> Route:
        """The same as it was on a channel that did carry the message after all."""
        places = [place for place, each in enumerate(self.passed) if each.channel == channel]
        kept = self.passed[: places[-1]] if places else self.passed
        return Route(addresses=self.addresses, passed=kept)

    def anew(self, addresses: Mapping[str, str]) -> Route:
        """The same before anything was left behind, with these addresses as they are now."""
        return Route(addresses={**self.addresses, **addresses})


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """Where a message goes next."""

    channel: str
    account_id: int
    address: str = field(repr=False)
