"""How many messages a window holds: the more, the faster they leave, so that a commit costs each of them little."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Messages whose attempts one transaction opens.
WINDOW = 50
#: The most of them where sending is fast: what leaves within :data:`WINDOW_SECONDS`.
WIDEST_WINDOW = 200
WINDOW_SECONDS = 0.25


class Pace:
    """The size of one stream's windows: what a machine's death leaves uncertain at most.

    :param clock: seconds that never go back.
    """

    def __init__(self, *, most: int = WIDEST_WINDOW, clock: Callable[[], float] = time.monotonic):
        self.size = min(WINDOW, most)
        self._most = most
        self._clock = clock
        self._since = clock()
        self._answered = 0

    def answered(self, many: int) -> None:
        """So many results were recorded."""
        self._answered += many
        if self._answered < self.size:
            return
        now = self._clock()
        rate = self._answered / max(now - self._since, 0.001)
        self.size = min(max(WINDOW, int(rate * WINDOW_SECONDS)), WIDEST_WINDOW, self._most)
        self._since, self._answered = now, 0
