"""Names of the queues, and of the functions a worker runs from them."""

from __future__ import annotations

#: Sends what is due.
PUMP = "pump"
#: Writes the messages of a large mailing.
PLAN = "plan"

PUMP_JOB = "clinic_dispatch_plugin.engine.jobs.pump"
PLAN_JOB = "clinic_dispatch_plugin.mailings.jobs.plan"


def queue_names(prefix: str) -> list[str]:
    """Every queue of ours, in the order a worker looks at them: a plan must not wait until all sending is over."""
    return [f"{prefix}-{PLAN}", f"{prefix}-{PUMP}"]
