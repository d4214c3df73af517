"""When an account rests, is tried again, or stops."""

from __future__ import annotations

import random
from enum import StrEnum

#: Connection failures in a row after which an account rests.
FAILURES_TO_REST = 5
#: Account-level refusals in a row, without an acceptance, after which it stops.
REFUSALS_TO_STOP = 3
REST_BASE_SECONDS = 30.0
REST_CAP_SECONDS = 900.0


#: Rests in a row after which messages no longer wait for an account where another one takes them.
RESTS_TO_LEAVE = 4


class AccountState(StrEnum):
    """Whether messages may go out through an account."""

    READY = "ready"
    #: It could not be reached; checked again at ``rest_until``.
    RESTING = "resting"
    #: One run tries one message; until ``rest_until`` no other run does.
    PROBING = "probing"
    #: Sign-in, balance, contract: only a person can mend it.
    STOPPED = "stopped"
    DISABLED = "disabled"


def may_wait_for(state: str, rests: int) -> bool:
    """Whether messages wait for an account that is as this says; False: another one that takes them is better."""
    if state == AccountState.RESTING.value:
        return rests < RESTS_TO_LEAVE
    return state in {AccountState.READY.value, AccountState.PROBING.value}


def rest_seconds(rests: int, *, scale: float = 1.0) -> float:
    """How long the next rest lasts: full jitter under 30 s doubled each time, at most 15 min, never under a tenth."""
    ceiling = min(REST_CAP_SECONDS, REST_BASE_SECONDS * 2 ** min(rests, 10))
    return scale * random.uniform(ceiling / 10, ceiling)
