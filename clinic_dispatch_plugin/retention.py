"""How long texts, values and addresses are kept, by purpose; counts and causes stay for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clinic_dispatch_plugin.config_values import PURPOSES, ConfigurationError

DEFAULT_DAYS = 180
_LONGEST = 36_500
_ADVICE = (
    "give a number of days such as 180, or none, and for purposes their own: 180, results=30; "
    f"purposes are {', '.join(sorted(PURPOSES))}."
)


@dataclass(frozen=True, slots=True)
class Retention:
    """Days by purpose; None: for ever."""

    otherwise: int | None = DEFAULT_DAYS
    by_purpose: Mapping[str, int | None] = field(default_factory=dict)

    def of(self, purpose: str) -> int | None:
        """Days after a mailing's end in which its messages are kept whole; None: for ever."""
        return self.by_purpose.get(purpose, self.otherwise)

    @property
    def longest(self) -> int | None:
        """The longest of them: after it nothing that belongs to any mailing is needed."""
        several = [self.otherwise, *self.by_purpose.values()]
        days = [each for each in several if each is not None]
        return max(days) if len(days) == len(several) else None


def retention(name: str, value: Any) -> Retention:
    """``180``, ``none``, or ``180, results=30, promotion=none``.

    :raises ConfigurationError: it is something else.
    """
    otherwise: int | None = DEFAULT_DAYS
    by_purpose: dict[str, int | None] = {}
    for part in filter(None, (each.strip() for each in str(value).split(","))):
        purpose, equals, days = part.rpartition("=")
        if not equals:
            otherwise = _days(name, value, part)
        elif purpose.strip() in PURPOSES:
            by_purpose[purpose.strip()] = _days(name, value, days.strip())
        else:
            raise ConfigurationError(name, value, _ADVICE)
    return Retention(otherwise, by_purpose)


def _days(name: str, value: Any, text: str) -> int | None:
    if text.lower() == "none":
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _LONGEST:
        raise ConfigurationError(name, value, _ADVICE)
    return int(text)
