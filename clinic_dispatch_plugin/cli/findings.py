"""What the doctor says: one line for each thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's."""

    subject: str
    #: ``ok``, ``warning`` or ``wrong``.
    state: str
    text: str
    #: What to do; empty where nothing is to be done.
    advice: str = ""
