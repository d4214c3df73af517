"""What the streams of one run share: its lease, its journal, its numbers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from clinic_dispatch_plugin.engine import drain, store
from clinic_dispatch_plugin.engine.journal import Journal
from clinic_dispatch_plugin.engine.lease import Lease
from clinic_dispatch_plugin.engine.pace import WIDEST_WINDOW
from clinic_dispatch_plugin.engine.prepare import Row, Text
from clinic_dispatch_plugin.registry import Dispatch

#: Bits of an attempt's id that number it within its run.
NUMBER_BITS = 20
#: Seconds for which it is believed whether an account goes at half its rate.
_SLOWED_KNOWN = 2.0


@dataclass(slots=True, kw_only=True)
class RunState:
    """One pump's life."""

    dispatch: Dispatch
    run_id: int
    journal: Journal
    lease: Lease
    #: Monotonic time at which the run gives its turn to a fresh one.
    deadline: float
    unsubscribe_url: Callable[[Row, Text], str | None]
    #: Attempts this run has numbered.
    numbered: int = 0
    #: Whether an account was asked to slow down, and until when that is believed (monotonic).
    slowed: dict[int, tuple[float, bool]] = field(default_factory=dict)

    def next_attempt_id(self) -> int:
        """Run and number in one: no two runs make the same, and no database need count."""
        self.numbered += 1
        return (self.run_id << NUMBER_BITS) | self.numbered

    def rate_now(self, account_id: int, rate: float) -> float:
        """An account's rate, halved for a while after its gateway said that we are too fast."""
        until, slow = self.slowed.get(account_id, (0.0, False))
        if time.monotonic() > until:
            with self.dispatch.database.begin() as connection:
                slow = store.slowed(connection, account_id)
            self.slowed[account_id] = time.monotonic() + _SLOWED_KNOWN, slow
        return rate / 2 if slow else rate

    @property
    def may_send(self) -> bool:
        """Whether another message may go out: the lease holds, nobody asked the worker to end, and numbers are left."""
        numbers_left = self.numbered < (1 << NUMBER_BITS) - WIDEST_WINDOW
        return numbers_left and self.lease.holds and not drain.requested()
