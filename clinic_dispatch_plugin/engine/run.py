"""What the streams of one run share: its lease, its journal, its numbers."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import RowMapping

from clinic_dispatch_plugin.engine import drain
from clinic_dispatch_plugin.engine.journal import Journal
from clinic_dispatch_plugin.engine.lease import Lease
from clinic_dispatch_plugin.engine.prepare import Text
from clinic_dispatch_plugin.registry import Dispatch

#: Messages whose attempts one transaction opens: what a machine's death leaves uncertain at most.
WINDOW = 50
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
    unsubscribe_url: Callable[[RowMapping, Text], str | None]
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    #: Category of each of the last results by mailing; empty for an acceptance.
    causes: dict[int, deque[str]] = field(default_factory=_remembering)

    def next_attempt_id(self) -> int:
        """Run and number in one: no two runs make the same, and no database need count."""
        return (self.run_id << 20) | next(self.numbers)

    @property
    def may_send(self) -> bool:
        """Whether another message may go out: the lease holds, and nobody asked the worker to end."""
        return self.lease.holds and not drain.requested()
