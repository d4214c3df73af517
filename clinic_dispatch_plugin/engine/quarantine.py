"""How long a lost run may still come back and say what became of its messages, and when runs are forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.engine.run import NUMBER_BITS
from clinic_dispatch_plugin.registry import Dispatch

#: Seconds a run stays in its table after its end, for whoever looks what happened.
KEPT_SECONDS = 30 * 86_400.0


def awaited_until(
    dispatch: Dispatch, connection: Connection, attempt_ids: Iterable[int]
) -> dict[int, datetime]:
    """Attempts whose worker fell silent and is not proved dead, each with the time until which nobody decides."""
    run_of = {attempt_id: attempt_id >> NUMBER_BITS for attempt_id in attempt_ids}
    seconds = dispatch.settings.quarantine_seconds
    silent = store.silent_runs(connection, set(run_of.values()), within=seconds)
    return {
        attempt_id: silent[run_id] + timedelta(seconds=seconds)
        for attempt_id, run_id in run_of.items()
        if run_id in silent
    }


def close_quarantine(dispatch: Dispatch) -> int:
    """Lost runs that nobody could prove dead: after the quarantine nothing more is expected of them."""
    seconds = dispatch.settings.quarantine_seconds
    return dispatch.database.run(lambda connection: store.settle_silent(connection, seconds))


def forget_runs(dispatch: Dispatch) -> int:
    """Remove runs that ended a month ago; returns how many."""
    return dispatch.database.run(
        lambda connection: store.forget_old_runs(connection, older_than=KEPT_SECONDS)
    )
