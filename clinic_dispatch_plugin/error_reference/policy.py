"""What the program does about an answer: the usual way of each category, changed field by field by packs and clinic."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

#: Seconds a gateway may ask us to wait at most; more is rubbish.
LONGEST_PAUSE = 30 * 86_400.0


class PolicyAction(StrEnum):
    """The decision an entry carries."""

    RETRY = "retry"
    FAIL = "fail"
    #: The account is at fault: it stops at once, its messages wait.
    STOP_ACCOUNT = "stop_account"
    #: The account may be at fault: the message waits, and three of these in a row stop the account.
    SUSPECT_ACCOUNT = "suspect_account"


#: Lowest and highest value of each number, and whether it is a whole one. Durations in seconds.
LIMITS: Mapping[str, tuple[float, float, bool]] = {
    "base": (0, 30 * 86_400, False),
    "cap": (0, 30 * 86_400, False),
    "floor": (0, 30 * 86_400, False),
    "factor": (1, 10, False),
    "tries": (1, 50, True),
    "deadline": (0, 90 * 86_400, False),
    "block_days": (0, 3_650, True),
    "pause_share": (0, 1, False),
    "pause_least": (1, 100, True),
}
#: Fields that are yes or no.
SWITCHES = frozenset({"ask_first", "block", "next_channel"})
#: Kinds of trouble that are ours: an address is never blocked for them, whatever an entry says.
NOT_THE_ADDRESS = frozenset({"sender_reputation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When and how often to try again, and what else follows. Durations in seconds."""

    action: PolicyAction
    #: The first wait is at most this long, each further one ``factor`` times as long, up to ``cap``.
    base: float = 120.0
    factor: float = 2.0
    cap: float = 3_600.0
    floor: float = 0.0
    #: Tries in all, the first one counted.
    tries: int = 5
    #: After so long since the message was made nothing is tried again; 0: no such limit.
    deadline: float = 0.0
    #: Before anything follows from such an answer, the gateway is asked what became of the message.
    ask_first: bool = False
    #: The address is not written to again on this channel.
    block: bool = False
    #: Days after which the block ends; 0: when somebody changes the address or lifts it.
    block_days: int = 0
    #: Given up on this channel, the message goes to the next one its mailing names.
    next_channel: bool = False
    #: Share of a mailing's last messages with this cause at which it is paused; 0: never.
    pause_share: float = 0.0
    #: Results of the mailing before that share counts; of the last hundred, so at most so many.
    pause_least: int = 20

    @property
    def asks_first(self) -> bool:
        """Whether the gateway is asked before anything follows; an account at fault leaves nothing to ask."""
        return self.ask_first and self.action in (PolicyAction.RETRY, PolicyAction.FAIL)

    def bounds(self, tries: int, *, scale: float) -> tuple[float, float]:
        """Shortest and longest wait after ``tries`` of them, in seconds."""
        spread = min(self.cap, self.base * self.factor ** max(0, min(tries, 30) - 1))
        return self.floor * scale, (self.floor + spread) * scale

    def delay(self, tries: int, *, retry_after: float | None, scale: float) -> float:
        """Seconds to the next try after ``tries`` of them: at least floor and ``retry_after``, with full jitter."""
        least, most = self.bounds(tries, scale=scale)
        asked = min(retry_after or 0.0, LONGEST_PAUSE) if (retry_after or 0.0) > 0 else 0.0
        return max(asked, least) + random.uniform(0, most - least)

    def waits_like(self, other: Policy) -> bool:
        """Whether another policy has the same waiting times."""
        mine, theirs = ((each.base, each.factor, each.cap, each.floor) for each in (self, other))
        return mine == theirs

    def next_try(
        self, tries: int, *, now: datetime, retry_after: float | None, scale: float
    ) -> datetime:
        """When to try again, UTC."""
        return now + timedelta(seconds=self.delay(tries, retry_after=retry_after, scale=scale))


_RETRY = Policy(action=PolicyAction.RETRY)
_FAIL = Policy(action=PolicyAction.FAIL)
_SUSPECT = Policy(action=PolicyAction.SUSPECT_ACCOUNT, base=60.0, cap=900.0, tries=4)
_STOP = Policy(action=PolicyAction.STOP_ACCOUNT)
#: This address, or this way to it, is at fault: another one may work.
_ONWARD = replace(_FAIL, next_channel=True)

_TEMPORARY: Mapping[str, Policy] = {
    # Postfix's usual "Relay access denied" is a 454: temporary by its number, and still the account's matter.
    "configuration": _SUSPECT,
    "sender_identity": _SUSPECT,
    "balance": _STOP,
    "quota_or_rate": replace(_RETRY, floor=300.0, base=60.0, cap=14_400.0, tries=6),
    "recipient_full": replace(_RETRY, base=3_600.0, cap=43_200.0, tries=5, next_channel=True),
    "network_fault": replace(_RETRY, base=30.0, cap=900.0, tries=8),
    "busy": replace(_RETRY, base=600.0, cap=7_200.0, tries=3, next_channel=True),
    "no_answer": replace(_RETRY, base=600.0, cap=7_200.0, tries=3, next_channel=True),
    "unreachable": replace(_RETRY, next_channel=True),
    "unknown_recipient": replace(_RETRY, next_channel=True),
    "sender_reputation": replace(_RETRY, floor=300.0, base=600.0, cap=14_400.0, tries=6),
}
_PERMANENT: Mapping[str, Policy] = {
    "authentication": _STOP,
    "balance": _STOP,
    "configuration": _SUSPECT,
    "sender_identity": _SUSPECT,
    "sender_reputation": _SUSPECT,
    "spam_content": replace(_FAIL, pause_share=0.10),
    "unknown_recipient": replace(_ONWARD, block=True, pause_share=0.30),
    "recipient_disabled": replace(_ONWARD, block=True),
    "recipient_moved": replace(_ONWARD, block=True),
    "recipient_full": _ONWARD,
    "bad_address": _ONWARD,
    "unreachable": _ONWARD,
    "busy": _ONWARD,
    "no_answer": _ONWARD,
    "unsupported_destination": _ONWARD,
}


def usual(category: str, permanence: str) -> Policy:
    """The usual policy of a category; ``unknown`` permanence is treated as permanent: nothing is tried blindly."""
    if permanence == "temporary":
        return _TEMPORARY.get(category, _RETRY)
    return _PERMANENT.get(category, _FAIL)


def policy_of(content: Mapping[str, Any], *, permanence: str | None = None) -> Policy:
    """The policy of an entry's content: the category's usual one with the entry's own ``policy.*`` fields over it."""
    category = str(content.get("category", "unknown"))
    policy = usual(category, permanence or str(content.get("permanence", "unknown")))
    changes: dict[str, Any] = {}
    for item in fields(Policy):
        value = content.get(f"policy.{item.name}")
        if value is not None:
            changes[item.name] = PolicyAction(value) if item.name == "action" else value
    if category in NOT_THE_ADDRESS:
        changes["block"] = False
    return replace(policy, **changes) if changes else policy
