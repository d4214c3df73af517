"""A task that one process does at a time, and not again before a time: for concerns that ask servers elsewhere."""

from __future__ import annotations

from datetime import datetime

from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.registry import Dispatch


def take(dispatch: Dispatch, name: str, owner: str, *, seconds: float) -> bool:
    """Be the one who does it, for so many seconds at most; False: somebody is, or it has to wait."""
    return dispatch.database.run(lambda c: store.take_lock(c, name, owner, seconds))


def wait(dispatch: Dispatch, name: str, *, seconds: float) -> None:
    """Done: nobody does it again for so many seconds."""
    dispatch.database.run(lambda c: store.hold_lock(c, name, seconds))


def waits_until(dispatch: Dispatch, name: str) -> datetime | None:
    """Until when nobody may do it; None: somebody may now."""
    with dispatch.database.begin() as connection:
        return store.locked_until(connection, name)
