"""What an RQ worker runs for mailings: takes an id, calls one service."""

from __future__ import annotations

from clinic_dispatch_plugin.mailings import planning
from clinic_dispatch_plugin.queue.context import in_app
from clinic_dispatch_plugin.registry import current_dispatch


@in_app
def plan(mailing_id: int) -> str:
    """Write the messages of a mailing; a repeated job finds nothing to do."""
    return planning.plan(current_dispatch(), mailing_id).value
