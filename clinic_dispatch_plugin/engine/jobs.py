"""The functions RQ runs: they take ids, find the application, and call one function each."""

from __future__ import annotations

from clinic_dispatch_plugin.engine.pump import pump as pump_once
from clinic_dispatch_plugin.queue.context import in_app
from clinic_dispatch_plugin.registry import current_dispatch


@in_app
def pump() -> int:
    """Send what is due; returns how many messages were handled."""
    return pump_once(current_dispatch())
