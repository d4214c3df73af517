"""When a gateway is asked for an attempt: soon, then ever more rarely, and always before it stops answering."""

from __future__ import annotations

from datetime import datetime, timedelta

#: Seconds after the handing-over until the first question.
FIRST_SECONDS = 300.0
#: Shares of the window at which it is asked in any case.
_IN_ANY_CASE = (0.8, 0.95)


def first_after(window: float) -> float:
    """Seconds until the first question: a short window is no excuse for asking none."""
    return min(FIRST_SECONDS, window / 4)


def next_ask(opened_at: datetime, now: datetime, *, window: float) -> datetime | None:
    """When to ask again after a question at ``now``: twice as old each time; None: the window closes before.

    :param window: seconds after the handing-over in which the gateway can be asked.
    """
    age = (now - opened_at).total_seconds()
    planned = max(first_after(window), age * 2)
    fixed = next((share * window for share in _IN_ANY_CASE if share * window > age), None)
    if fixed is None:
        return None
    return opened_at + timedelta(seconds=min(planned, fixed))


def closes_at(opened_at: datetime, window: float) -> datetime:
    """Until when the gateway can be asked."""
    return opened_at + timedelta(seconds=window)
