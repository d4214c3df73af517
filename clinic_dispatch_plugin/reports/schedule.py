"""When a gateway is asked for an attempt: soon, then ever more rarely, and always before it stops answering."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

#: Seconds after the handing-over until the first question.
FIRST_SECONDS = 300.0
#: Shares of the window at which it is asked in any case.
_IN_ANY_CASE = (0.8, 0.95)
#: Seconds a message that nobody reports about waits for its gateway's answer before it goes on: two questions' time.
PATIENCE_SECONDS = 600.0


class Turn(StrEnum):
    """Where a message stands that nobody reported about in the time its mailing waits."""

    #: Its gateway is asked first.
    WAITS = "waits"
    #: Its gateway was asked, and did not say that it arrived.
    ASKED_IN_VAIN = "asked_in_vain"
    #: Its gateway could not be asked in time.
    NOT_ASKED = "not_asked"
    #: There is nobody to ask, or the gateway said already that it knows nothing more.
    GOES_ON = "goes_on"


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


def turn_of(
    *, over_at: datetime, asked_at: datetime | None, now: datetime, patience: float
) -> Turn:
    """Whether a silent message whose gateway can be asked goes on now.

    :param over_at: when its mailing's wait for a report was over.
    :param asked_at: when its gateway answered a question about it last.
    :param patience: seconds the answer is waited for.
    """
    if asked_at is not None and asked_at >= over_at:
        return Turn.ASKED_IN_VAIN
    if (now - over_at).total_seconds() >= patience:
        return Turn.NOT_ASKED
    return Turn.WAITS
