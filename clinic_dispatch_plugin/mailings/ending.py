"""What messages say and to whom they went ends with its retention: in small portions, so that no list ever waits."""

from __future__ import annotations

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.config import PURPOSES
from clinic_dispatch_plugin.engine import locks
from clinic_dispatch_plugin.messages import stripping
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports import forgetting

log = logging.getLogger(__name__)

#: Seconds between two rounds, and how long one works at most: others wait for the same hands.
EVERY_SECONDS = 300.0
ROUND_SECONDS = 20.0
#: Messages of one transaction; it lasts a few hundredths of a second.
BATCH = 200
_MAILINGS = 50
#: Seconds of rest after each portion, as a share of its own time: whoever else writes gets their turn.
_REST = 1.0
_LOCK = "retention"


def go_round(dispatch: Dispatch, *, seconds: float = ROUND_SECONDS) -> int:
    """Strip what is due, one process at a time and for so many seconds at most; returns how many messages."""
    owner = uuid.uuid4().hex
    if not locks.take(dispatch, _LOCK, owner, seconds=seconds * 3):
        return 0
    try:
        return strip_due(dispatch, seconds=seconds)
    finally:
        locks.wait(dispatch, _LOCK, seconds=0.0)


def strip_due(dispatch: Dispatch, *, seconds: float) -> int:
    """Strip what is due for so many seconds at most; returns how many messages."""
    end = time.monotonic() + seconds
    stripped = 0
    for days, purposes in _purposes_by_days(dispatch).items():
        while time.monotonic() < end:
            with dispatch.database.begin() as connection:
                due = stripping.due_mailings(
                    connection, purposes=purposes, days=days, limit=_MAILINGS
                )
            if not due:
                break
            for mailing in due:
                stripped += _strip(dispatch, mailing, days=days, end=end)
    longest = dispatch.settings.retention_days.longest
    while longest is not None and time.monotonic() < end and _forget(dispatch, longest):
        pass
    if stripped:
        log.info("what is personal was removed from %s messages", stripped)
    return stripped


def _purposes_by_days(dispatch: Dispatch) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for purpose in sorted(PURPOSES):
        days = dispatch.settings.retention_days.of(purpose)
        if days is not None:
            found[days].append(purpose)
    return found


def _strip(dispatch: Dispatch, mailing: Mapping[Any, Any], *, days: int, end: float) -> int:
    """Strip one mailing, or as much of it as there is time for."""
    after, stripped = 0, 0
    while time.monotonic() < end:
        began = time.monotonic()

        def work(
            connection: Connection, after: int = after, alone: bool = stripped == 1
        ) -> list[int] | None:
            ids = stripping.strip_some(
                connection, mailing["id"], days=days, after=after, limit=BATCH
            )
            if ids:
                forgetting.forget_messages(connection, ids)
            elif ids is not None:
                stripping.finish(connection, mailing, days=days, alone=alone)
            return ids

        ids = dispatch.database.run(work)
        if not ids:
            break
        after, stripped = ids[-1], stripped + len(ids)
        time.sleep(min(1.0, (time.monotonic() - began) * _REST))
    return stripped


def _forget(dispatch: Dispatch, days: int) -> bool:
    """Remove one portion of old reports; False: there are none."""
    return bool(dispatch.database.run(lambda c: forgetting.forget_old(c, days=days, limit=BATCH)))
