"""How many calls a second one account's gateway may make; whoever makes more comes again a moment later."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from clinic_dispatch_plugin.registry import Dispatch

#: Calls a second and account, in each process that serves pages.
MOST_A_SECOND = 200.0
_CACHE = "callback_pace"


@dataclass(slots=True)
class Pace:
    """What each account may still call now: filled up by and by, never beyond one second's share."""

    _left: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lets(self, channel: str, account: str) -> bool:
        """Whether one more call is let in; counts it."""
        now = _now()
        with self._lock:
            left, at = self._left.get((channel, account), (MOST_A_SECOND, now))
            left = min(MOST_A_SECOND, left + (now - at) * MOST_A_SECOND)
            is_let = left >= 1.0
            self._left[channel, account] = (left - 1.0 if is_let else left, now)
        return is_let


def _now() -> float:
    return time.monotonic()


def lets_in(dispatch: Dispatch, channel: str, account: str) -> bool:
    """Whether this account's gateway may call now."""
    pace: Pace = dispatch.cache.setdefault(_CACHE, Pace())
    return pace.lets(channel, account)
