"""Quiet hours of messages: whose hold, who may overrule them, and what a waiting message says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.quiet_hours import NEVER_URGENT, Hours
from clinic_dispatch_plugin.registry import Dispatch

#: What explains a message that waits for the end of the quiet hours.
QUIET = Answer(system="dispatch", code="quiet_hours")
#: Where a mailing remembers that somebody ticked "at any hour".
ANY_HOUR = "any_hour"


def may_overrule(purpose: str) -> bool:
    """Whether a single message of this purpose may go out in quiet hours when somebody ticks so."""
    return purpose not in NEVER_URGENT


def any_hour(purpose: str, selection: Mapping[str, Any] | None) -> bool:
    """Whether somebody ticked so, and the purpose allows it; a trial goes to whoever asked for it, at once."""
    chosen = selection or {}
    return bool(chosen.get("trial")) or (bool(chosen.get(ANY_HOUR)) and may_overrule(purpose))


def hours_of(
    dispatch: Dispatch, purpose: str, channel: str, *, any_hour: bool = False
) -> tuple[Hours, ...]:
    """The quiet hours that hold for these messages."""
    return () if any_hour else dispatch.quiet_hours().of(purpose, channel)
