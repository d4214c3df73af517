"""When nothing goes out: quiet hours by purpose and channel, on the wall clock of whoever would be woken."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

#: What waited for a morning goes out spread over so many seconds, so that the first minute is no stampede.
SPREAD_SECONDS = 600.0
#: Purposes whose quiet hours nobody may overrule: nothing of them is urgent.
NEVER_URGENT = frozenset({"promotion", "greeting"})
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """A stretch of the day in which nothing goes out; it may hold midnight."""

    begin: time
    end: time

    def hold(self, wall: time) -> bool:
        """Whether this time of day is quiet; the end is not any more."""
        if self.begin <= self.end:
            return self.begin <= wall < self.end
        return wall >= self.begin or wall < self.end


@dataclass(frozen=True, slots=True)
class QuietHours:
    """What is quiet when: by ``promotion`` (a purpose), ``voice`` (a channel) or ``results.sms`` (both).

    A purpose's and a channel's hours hold together; what names both holds alone. None: any hour will do.
    """

    by_name: Mapping[str, Hours | None] = field(default_factory=dict)

    def of(self, purpose: str, channel: str) -> tuple[Hours, ...]:
        """The quiet hours of one purpose on one channel."""
        both = f"{purpose}.{channel}"
        names = [both] if both in self.by_name else [purpose, channel]
        found = (self.by_name.get(name) for name in names)
        return tuple(hours for hours in found if hours is not None)

    def changed(self, by_name: Mapping[str, Hours | None]) -> QuietHours:
        """The same with other hours for some names."""
        return QuietHours({**self.by_name, **by_name})


_NIGHT = Hours(begin=time(20), end=time(8))
_LATE = Hours(begin=time(21), end=time(7))
#: Nobody wants an offer at night, nobody wants to be rung up then, and few want their telephone to beep.
DEFAULT = QuietHours(
    {
        "promotion": _NIGHT,
        "greeting": _NIGHT,
        "voice": _NIGHT,
        "reminder.sms": _LATE,
        "reminder.viber": _LATE,
        "results.sms": _LATE,
        "results.viber": _LATE,
    }
)


def next_allowed(at: datetime, zone: ZoneInfo, hours: Sequence[Hours]) -> datetime:
    """The first moment from ``at`` on that is not quiet on the wall clock of this zone; UTC.

    Where the clock is put forward over the end of the quiet hours, they end with the jump; where it is put back
    behind their end, they hold a second time.
    """
    moment = at.astimezone(UTC)
    # Each step leaves one stretch; more steps than this and they hold the whole day.
    for _ in range(4 * len(hours) + 1):
        wall = moment.astimezone(zone)
        holding = next((each for each in hours if each.hold(wall.time())), None)
        if holding is None:
            return moment
        moment = _end(moment, wall, holding, zone)
    return moment


def _end(moment: datetime, wall: datetime, hours: Hours, zone: ZoneInfo) -> datetime:
    """When these quiet hours, in which we are, are over."""
    day = wall.date()
    if wall.time() >= hours.end:
        day += timedelta(days=1)
    end = datetime.combine(day, hours.end, tzinfo=zone)
    found = end.astimezone(UTC)
    if found <= moment:  # the hour that comes twice: the second of the two
        found = end.replace(fold=1).astimezone(UTC)
    if found.astimezone(zone).time() != hours.end:
        # The clock jumps over the end: back to the first minute after the jump.
        while found - _MINUTE > moment and not hours.hold(
            (found - _MINUTE).astimezone(zone).time()
        ):
            found -= _MINUTE
    return found if found > moment else moment + _MINUTE


def due_after(
    at: datetime, zone: ZoneInfo, hours: Sequence[Hours], *, not_after: datetime | None = None
) -> datetime | None:
    """When a message may go out that would be due at ``at``, spread over the first minutes; None: at once.

    :param not_after: where the spread alone would miss this moment, there is none.
    """
    first = next_allowed(at, zone, hours)
    if first <= at:
        return None
    spread = first + timedelta(seconds=random.uniform(0.0, SPREAD_SECONDS))
    late = not_after is not None and spread >= not_after
    if late or next_allowed(spread, zone, hours) != spread:
        return first
    return spread


def zone_named(name: str, otherwise: ZoneInfo) -> ZoneInfo:
    """A recipient's zone; the clinic's where none is given, or none of this name is known."""
    if not name:
        return otherwise
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return otherwise


def parts_of(text: str) -> Iterable[tuple[str, str]]:
    """``promotion=20:00-08:00, results.email=none`` as pairs; a part without ``=`` has an empty value."""
    for part in text.split(","):
        if part.strip():
            name, _, value = part.partition("=")
            yield name.strip(), value.strip()
