"""What the streams of one run share: its lease, its journal, its numbers."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from clinic_dispatch_plugin.engine import drain
from clinic_dispatch_plugin.engine.journal import Journal
from clinic_dispatch_plugin.engine.lease import Lease
from clinic_dispatch_plugin.engine.prepare import Row, Text
from clinic_dispatch_plugin.registry import Dispatch

#: Messages whose attempts one transaction opens: what a machine's death leaves uncertain at most.
WINDOW = 50
#: Bits of an attempt's id that number it within its run.
NUMBER_BITS = 20
#: Results of a mailing that are looked at when it may have to be paused.
REMEMBERED = 100


def _remembering() -> defaultdict[int, deque[str]]:
    return defaultdict(lambda: deque(maxlen=REMEMBERED))


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
    #: Category of each of the last results by mailing; empty for an acceptance.
    causes: dict[int, deque[str]] = field(default_factory=_remembering)

    def next_attempt_id(self) -> int:
        """Run and number in one: no two runs make the same, and no database need count."""
        self.numbered += 1
        return (self.run_id << NUMBER_BITS) | self.numbered

    @property
    def may_send(self) -> bool:
        """Whether another message may go out: the lease holds, nobody asked the worker to end, and numbers are left."""
        numbers_left = self.numbered < (1 << NUMBER_BITS) - WINDOW
        return numbers_left and self.lease.holds and not drain.requested()
