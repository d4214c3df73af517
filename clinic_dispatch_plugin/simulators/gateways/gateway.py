"""What all simulated gateways have in common: who may ask, what is taken, what is reported."""

from __future__ import annotations

import abc
import base64
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import ClassVar

from clinic_dispatch_plugin.simulators.gateways.answers import Asked, Said
from clinic_dispatch_plugin.simulators.gateways.callbacks import Callbacks, Report
from clinic_dispatch_plugin.simulators.gateways.ledger import GatewayLedger, TakenMessage
from clinic_dispatch_plugin.simulators.gateways.plans import Plan, Reports, digits_of
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings


@dataclass(slots=True, kw_only=True)
class Held:
    """A message the gateway has."""

    id: str
    kind: str
    to: str
    sender: str = ""
    text: str = field(default="", repr=False)
    reference: str = ""
    plan: Plan
    parts: int = 1
    at: datetime
    #: Of a clock that never goes back: when its end is known, and when it is found in lists.
    over_at: float
    listed_at: float
    #: What the gateway keeps besides.
    more: dict[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether its end is known."""
        return self.plan.reports is not Reports.NEVER and time.monotonic() >= self.over_at

    @property
    def is_listed(self) -> bool:
        """Whether it is found in lists."""
        return time.monotonic() >= self.listed_at


class SimulatedGateway(abc.ABC):
    """One gateway; lives on the loop, so that nothing here may wait for anything."""

    #: As the command calls it.
    name: ClassVar[str]

    def __init__(self, settings: GatewaySettings) -> None:
        """Have taken nothing yet.

        :raises OSError: the ledger cannot be had.
        """
        self.settings = settings
        self.mode = GatewayMode.NORMAL
        self.ledger = GatewayLedger(settings.ledger, fsync=settings.ledger_fsync)
        self.callbacks = Callbacks()
        self.held: dict[str, Held] = {}
        #: Requests so far, by method and path.
        self.requests: list[str] = []
        self.balance = settings.balance
        self._allowance = 1.0
        self._looked_at = time.monotonic()

    async def answer(self, asked: Asked) -> Said:
        """What is said to a request."""
        self.requests.append(f"{asked.method} {asked.path}")
        if self.mode is GatewayMode.BROKEN:
            said = self.broken()
        elif not self.lets_in(asked) or self.mode is GatewayMode.WRONG_PASSWORD:
            said = self.wrong_password(asked)
        elif self.mode is GatewayMode.THROTTLED:
            said = self.too_many(asked)
        else:
            said = await self.serve(asked)
        slow = self.settings.slow_seconds if self.mode is GatewayMode.SLOW else 0.0
        return replace(said, delay=said.delay + self.settings.latency + slow)

    @abc.abstractmethod
    async def serve(self, asked: Asked) -> Said:
        """Do what is asked, for somebody who may."""

    @abc.abstractmethod
    def lets_in(self, asked: Asked) -> bool:
        """Whether the request has the right credentials."""

    @abc.abstractmethod
    def wrong_password(self, asked: Asked) -> Said:
        """What somebody without the right credentials hears."""

    @abc.abstractmethod
    def too_many(self, asked: Asked) -> Said:
        """What a request hears that is one too many."""

    def broken(self) -> Said:
        """What everybody hears while the gateway is broken."""
        return Said(status=500, content="Internal Server Error")

    # What gateways do alike

    def basic(self, asked: Asked) -> bool:
        """Whether user and password stand in the header as they should."""
        login = f"{self.settings.user}:{self.settings.password}".encode()
        expected = "Basic " + base64.b64encode(login).decode()
        return same(asked.headers.get("Authorization", ""), expected)

    def is_throttled(self, numbers: Sequence[str]) -> bool:
        """Whether a request for these numbers is one too many."""
        plans = self.settings.plans
        if any(plans.is_throttled(each) for each in numbers):
            return True
        return not self._within_rate(len(numbers))

    def too_many_headers(self) -> Mapping[str, str]:
        """How long to wait."""
        wait = self.settings.retry_after
        return {"Retry-After": f"{wait:g}"} if wait else {}

    def hold(
        self,
        *,
        identifier: str,
        kind: str,
        to: str,
        plan: Plan,
        sender: str = "",
        text: str = "",
        reference: str = "",
        parts: int = 1,
        more: Mapping[str, str] | None = None,
    ) -> Held:
        """A message that may be taken; it is not yet."""
        now = time.monotonic()
        return Held(
            id=identifier,
            kind=kind,
            to=to,
            sender=sender,
            text=text,
            reference=reference,
            plan=plan,
            parts=parts,
            at=datetime.now(UTC),
            over_at=now + self.settings.report_delay,
            listed_at=now + self.settings.listing_lag,
            more=dict(more or {}),
        )

    def take(self, several: Sequence[Held]) -> None:
        """Take messages: they are on the disk when this returns."""
        self.ledger.append(
            [
                TakenMessage(
                    at=each.at.isoformat(),
                    kind=each.kind,
                    recipient=digits_of(each.to),
                    message_id=each.id,
                    reference=each.reference,
                    characters=len(each.text),
                    answered=each.plan.trouble is None,
                )
                for each in several
            ]
        )
        for each in several:
            self.held[each.id] = each
            self.balance -= self.settings.price * each.parts

    async def report(self, held: Held, url: str, steps: Sequence[Report]) -> None:
        """Report the steps of a message, in the way its plan says.

        :param url: where to; empty: nowhere.
        """
        if url:
            await self.callbacks.plan(
                url, steps, how=held.plan.reports, delay=self.settings.report_delay
            )

    def _within_rate(self, count: int) -> bool:
        rate = self.settings.rate
        if rate is None:
            return True
        now = time.monotonic()
        burst = max(1.0, rate / 5)
        self._allowance = min(burst, self._allowance + (now - self._looked_at) * rate)
        self._looked_at = now
        # A list larger than the burst is let through when nothing is owed, and is owed for after it.
        if self._allowance < min(count, burst):
            return False
        self._allowance -= count
        return True


def same(given: str, expected: str) -> bool:
    """Whether two texts are alike; takes as long either way."""
    return hmac.compare_digest(given.encode(), expected.encode())
