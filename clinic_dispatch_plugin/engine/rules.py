"""What a channel's result makes of a message: pure, with the time passed in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from clinic_dispatch_plugin.channels.types import (
    Accepted,
    Answer,
    NotSent,
    Refused,
    SendResult,
    Uncertain,
)
from clinic_dispatch_plugin.error_reference.normalising import TEXT_LIMIT
from clinic_dispatch_plugin.error_reference.policy import Policy, PolicyAction, policy_of
from clinic_dispatch_plugin.error_reference.rules import Explanation, permanence_said
from clinic_dispatch_plugin.messages.routes import Onward
from clinic_dispatch_plugin.messages.rules import AttemptState, MessageState

EXPIRED = Answer(system="dispatch", code="expired")
#: What explains a message whose gateway is asked before anything follows from its refusal.
ASKING = Answer(system="dispatch", code="asking")
#: Seconds before a message is tried again whose connection broke before it was handed over, times its tries.
BROKEN_PAUSE = 0.2
#: Breaks in a row of one message after which each counts as a try.
BREAKS_FREE = 5
#: Tries after which a message whose connection breaks every time is given up.
BREAKS_IN_ALL = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a message when its result comes."""

    message_id: int
    attempt_id: int
    #: Attempts so far, this one counted, withdrawn ones too.
    number: int
    #: Tries used up before this one.
    tries: int
    attempts: int
    not_after: datetime | None = None
    #: When the message was made: what an entry's deadline counts from.
    created_at: datetime | None = None
    #: Money was set aside for it.
    set_aside: bool = False
    #: The gateway was asked, or could not be: what its refusal leads to follows now.
    asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is written down about one result."""

    facts: Facts
    attempt: AttemptState
    message: MessageState
    tries: int
    due_at: datetime | None = None
    #: The answer of the attempt, and the one that explains the message where it differs.
    answer: Answer | None = None
    reason: Answer | None = None
    provider_id: str | None = None
    block: bool = False
    #: Days after which the block ends; 0: never by itself.
    block_days: int = 0
    #: The account stops because of this answer.
    stops_account: bool = False
    #: It may be the account's fault: counted.
    suspects_account: bool = False
    #: The kind of trouble, as the reference calls it; empty for an acceptance.
    category: str = ""
    #: Share of a mailing's last results at which this category pauses it; 0: never.
    pause_share: float = 0.0
    #: Results of the mailing before that share counts.
    pause_least: int = 20
    #: Given up on this channel: it goes to the next one, where there is one.
    falls: bool = False
    #: Where it goes on.
    onward: Onward | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What is known of a message that was refused and waits for another try."""

    tries: int
    due_at: datetime
    #: When the refusal came that it waits because of.
    refused_at: datetime
    created_at: datetime
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revised:
    """What a changed policy makes of a waiting message."""

    message: MessageState
    #: Its next try falls between these; equal where it stays as it was.
    earliest: datetime | None = None
    latest: datetime | None = None
    #: It is given up because its mailing's last moment comes before the next try.
    expired: bool = False
    block: bool = False
    block_days: int = 0
    stops_account: bool = False


def storable(answer: Answer) -> Answer:
    """An answer as every database takes it: without NUL and lone surrogates, and not longer than its columns."""
    return replace(
        answer,
        system=_plain(answer.system)[:32],
        code=_plain(answer.code)[:64],
        text=_plain(answer.text)[:TEXT_LIMIT],
    )


def _plain(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def policy_for(explanation: Explanation, answer: Answer, retryable: bool | None) -> Policy:
    """The policy that holds for an answer, also where nothing is known of it."""
    if explanation.entry is not None:
        return explanation.entry.policy_for(answer, retryable)
    passes = retryable if retryable is not None else permanence_said(answer) == "temporary"
    return policy_of({}, permanence="temporary" if passes else "permanent")


def decide(
    result: SendResult,
    facts: Facts,
    *,
    now: datetime,
    scale: float,
    explanation: Explanation | None = None,
) -> Outcome:
    """What becomes of a message after this result.

    :param explanation: of a refusal's answer; needed for :class:`Refused` alone.
    :param scale: multiplies every waiting time.
    """
    match result:
        case Accepted(provider_id=provider_id):
            return Outcome(
                facts=facts,
                attempt=AttemptState.ACCEPTED,
                message=MessageState.SENT,
                tries=facts.tries + 1,
                provider_id=_plain(provider_id)[:255] if provider_id else None,
            )
        case Uncertain(answer=answer, provider_id=provider_id):
            return Outcome(
                facts=facts,
                attempt=AttemptState.UNCERTAIN,
                message=MessageState.UNCERTAIN,
                tries=facts.tries + 1,
                answer=answer,
                provider_id=_plain(provider_id)[:255] if provider_id else None,
            )
        case NotSent(answer=answer):
            return _not_sent(facts, answer, now=now, scale=scale)
        case Refused():
            assert explanation is not None
            return _refused(result, facts, explanation, now=now, scale=scale)


def spared(outcome: Outcome, now: datetime) -> Outcome:
    """The same refusal where the account turned out to be at fault: the message waits for it, with no try used."""
    return replace(
        outcome,
        message=MessageState.QUEUED,
        tries=outcome.facts.tries,
        due_at=now,
        reason=None,
        block=False,
        falls=False,
        onward=None,
    )


def went_on(outcome: Outcome, onward: Onward, now: datetime) -> Outcome:
    """The same refusal where the message goes to its next channel: all tries anew, no harm to its mailing."""
    return replace(
        outcome,
        message=MessageState.QUEUED,
        tries=0,
        due_at=now,
        onward=onward,
        category="",
        pause_share=0.0,
    )


def _not_sent(facts: Facts, answer: Answer | None, *, now: datetime, scale: float) -> Outcome:
    """Provably not handed over: due again at once, and no try used, unless it keeps breaking on this very message.

    Without an answer it was not even begun (a drain, a pause, a gateway that cannot be reached): that costs nothing.
    """
    often = facts.number - facts.attempts if answer is not None else 0
    tries = facts.tries + (1 if often > BREAKS_FREE else 0)
    pause = min(900.0, BROKEN_PAUSE * 2 ** min(often, 12)) * scale if often > 1 else 0.0
    gives_up = often > BREAKS_FREE and tries >= BREAKS_IN_ALL
    return Outcome(
        facts=facts,
        attempt=AttemptState.WITHDRAWN,
        message=MessageState.UNDELIVERED if gives_up else MessageState.QUEUED,
        tries=tries,
        due_at=None if gives_up else now + timedelta(seconds=pause),
        answer=answer,
    )


def _refused(
    result: Refused, facts: Facts, explanation: Explanation, *, now: datetime, scale: float
) -> Outcome:
    policy = policy_for(explanation, result.answer, result.retryable)
    if policy.asks_first and not facts.asked:
        return _asks(result, facts)
    stops = policy.action is PolicyAction.STOP_ACCOUNT
    suspects = policy.action is PolicyAction.SUSPECT_ACCOUNT
    tries = facts.tries + (0 if stops else 1)
    retries = stops or (policy.action is not PolicyAction.FAIL and tries < policy.tries)
    due_at = (
        now
        if stops
        else policy.next_try(tries, now=now, retry_after=result.retry_after, scale=scale)
    )
    expired = retries and facts.not_after is not None and due_at >= facts.not_after
    waits = retries and not expired and (stops or not _over(policy, facts, due_at, scale))
    return Outcome(
        facts=facts,
        attempt=AttemptState.REFUSED,
        message=MessageState.QUEUED if waits else MessageState.UNDELIVERED,
        tries=tries,
        due_at=due_at if waits else None,
        answer=result.answer,
        reason=EXPIRED if expired else None,
        block=policy.block and not waits and not expired,
        block_days=policy.block_days,
        stops_account=stops,
        suspects_account=suspects,
        category=explanation.entry.category if explanation.entry else "",
        pause_share=policy.pause_share,
        pause_least=policy.pause_least,
        falls=policy.next_channel and not waits and not expired,
    )


def _asks(result: Refused, facts: Facts) -> Outcome:
    """Nothing follows yet: the message is in doubt, and no try is used up, until its gateway was asked."""
    return Outcome(
        facts=facts,
        attempt=AttemptState.UNCERTAIN,
        message=MessageState.UNCERTAIN,
        tries=facts.tries,
        answer=result.answer,
        reason=ASKING,
    )


def _over(policy: Policy, facts: Facts, due_at: datetime, scale: float) -> bool:
    """Whether the next try would come after the entry's deadline; a first refusal is never the last by it."""
    if not policy.deadline or facts.created_at is None or facts.tries == 0:
        return False
    return due_at > facts.created_at + timedelta(seconds=policy.deadline * scale)


def revise(
    before: Policy, after: Policy, found: Waiting, *, now: datetime, scale: float
) -> Revised:
    """What becomes of a waiting message when its answer's policy changes; as :func:`decide` would have it now.

    What is due already goes out as it would have, unless it is given up.
    """
    if after.action is PolicyAction.STOP_ACCOUNT:
        due = min(found.due_at, now)
        return Revised(message=MessageState.QUEUED, earliest=due, latest=due, stops_account=True)
    if after.action is PolicyAction.FAIL or found.tries >= after.tries:
        return _given_up(after)
    earliest, latest = _next_between(before, after, found, now=now, scale=scale)
    if found.not_after is not None and earliest >= found.not_after:
        return Revised(message=MessageState.UNDELIVERED, expired=True)
    last = found.created_at + timedelta(seconds=after.deadline * scale)
    if after.deadline and found.tries > 1 and earliest > last:
        return _given_up(after)
    if (found.not_after is not None and latest >= found.not_after) or (
        after.deadline and latest > last
    ):
        latest = earliest
    return Revised(message=MessageState.QUEUED, earliest=earliest, latest=latest)


def _given_up(policy: Policy) -> Revised:
    return Revised(
        message=MessageState.UNDELIVERED, block=policy.block, block_days=policy.block_days
    )


def _next_between(
    before: Policy, after: Policy, found: Waiting, *, now: datetime, scale: float
) -> tuple[datetime, datetime]:
    if found.due_at <= now or before.waits_like(after):
        return found.due_at, found.due_at
    least, most = after.bounds(max(1, found.tries), scale=scale)
    start = found.refused_at
    return max(now, start + timedelta(seconds=least)), max(now, start + timedelta(seconds=most))
