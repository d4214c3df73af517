"""What a mailing may do next."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class MailingState(StrEnum):
    """Where a mailing stands."""

    #: Being written; nothing is planned yet.
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    #: Rows are being written; nothing goes out before the plan is whole.
    PLANNING = "planning"
    #: Messages may be claimed.
    RUNNING = "running"
    #: No new window opens.
    PAUSED = "paused"
    #: No message is queued, leased or sending.
    FINISHED = "finished"
    #: The rest was skipped. Final.
    CANCELLED = "cancelled"


_M = MailingState
MOVES: Mapping[MailingState, frozenset[MailingState]] = {
    _M.DRAFT: frozenset({_M.SCHEDULED, _M.PLANNING}),
    _M.SCHEDULED: frozenset({_M.PLANNING, _M.DRAFT, _M.CANCELLED}),
    _M.PLANNING: frozenset({_M.RUNNING, _M.PAUSED, _M.CANCELLED}),
    _M.RUNNING: frozenset({_M.PAUSED, _M.FINISHED, _M.CANCELLED}),
    # Back to planning: a plan that failed goes on.
    _M.PAUSED: frozenset({_M.RUNNING, _M.PLANNING, _M.CANCELLED}),
    _M.FINISHED: frozenset({_M.RUNNING}),
    _M.CANCELLED: frozenset(),
}


def may_become(source: MailingState, target: MailingState) -> bool:
    """Whether a mailing may make this move."""
    return target in MOVES[source]


#: Plans up to this many recipients are written by the caller itself; larger ones by a worker.
PLAN_AT_ONCE = 5_000
#: Rows written in one transaction of a plan.
PLAN_BATCH = 500
#: Mailings of one patient go before those of many.
URGENT = 10
#: What goes before what, among mailings of many.
_RANK = {"results": 4, "reminder": 3, "service": 3, "greeting": 1, "promotion": 0}


def priority(purpose: str, recipients: int) -> int:
    """Which mailing goes first; the higher one. Mailings of one priority take turns."""
    return _RANK.get(purpose, 2) + (URGENT if recipients == 1 else 0)
