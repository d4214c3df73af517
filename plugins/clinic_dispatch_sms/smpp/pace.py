"""How fast a link may go: the account's rate, and the pauses the centre asks for."""

from __future__ import annotations

#: First pause after "too fast", in seconds; it doubles up to the longest.
_FIRST, _LONGEST = 1.0, 60.0
#: Seconds in which the rate stays halved after that word.
_SLOW_FOR = 600.0
#: A pause that came true lets this much of the rate go out at once, in seconds.
_BURST = 0.1


class Pace:
    """Says when the next request may go; all times are of one monotonic clock."""

    def __init__(self, rate: float | None) -> None:
        self._gap = 1.0 / rate if rate else 0.0
        self._next = 0.0
        self._paused_until = 0.0
        self._slow_until = 0.0
        #: Seconds of the pause now in force, or of the last one.
        self.pause = 0.0

    def ready_at(self) -> float:
        """When the next request may go."""
        return max(self._next, self._paused_until)

    def sent(self, now: float) -> None:
        """A request went."""
        gap = self._gap * (2 if now < self._slow_until else 1)
        self._next = max(self._next, now - _BURST) + gap

    def throttled(self, now: float) -> None:
        """The centre said "too fast"; several such words about one volley are one."""
        if now < self._paused_until:
            return
        self.pause = min(self.pause * 2 or _FIRST, _LONGEST)
        self._paused_until = now + self.pause
        self._slow_until = now + _SLOW_FOR

    def went_well(self, now: float) -> None:
        """A request was taken: the next pause begins small again, once the one in force is over."""
        if now >= self._paused_until:
            self.pause = 0.0
