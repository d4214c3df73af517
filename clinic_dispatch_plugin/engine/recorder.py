"""Writes results down: each on its own attempt, and on its message while the attempt is the message's current one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.types import Accepted, Answer, Refused, SendResult, Uncertain
from clinic_dispatch_plugin.engine import prices
from clinic_dispatch_plugin.engine.onward import Stuck, ways_on
from clinic_dispatch_plugin.engine.rules import (
    ASKING,
    Facts,
    Outcome,
    decide,
    spared,
    storable,
    went_on,
)
from clinic_dispatch_plugin.error_reference.service import Met, Noted, note_answer, note_answers
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.blocks_store import block_all
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.onward_store import go_on_refused
from clinic_dispatch_plugin.messages.routes import Onward, Route
from clinic_dispatch_plugin.messages.rules import (
    AttemptState,
    MessageState,
    Mover,
    masked,
)
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A channel's word and what we know of its message."""

    said: SendResult
    facts: Facts
    channel: str
    address: str
    name: str = ""
    #: The message on its way through the channels; None: there is only this one.
    stuck: Stuck | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What one result says about its mailing; an acceptance has no category."""

    category: str
    pause_share: float
    #: Results of the mailing before that share counts.
    pause_least: int
    answer: Answer


_NO_CAUSE = Cause(category="", pause_share=0.0, pause_least=0, answer=Answer(system="", code=""))


@dataclass(slots=True, kw_only=True)
class Recorded:
    """What a set of results means beyond their messages."""

    #: The answer of each account-level refusal since the last acceptance.
    suspicious: list[Answer] = field(default_factory=list)
    #: An acceptance came before those.
    cleared: bool = False
    stops_account: Answer | None = None
    #: The last connection that broke: before a message was handed over, or while its answer was waited for.
    broken: Answer | None = None
    #: One for each message the gateway decided about, in order.
    causes: list[Cause] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Judged:
    """What becomes of a set of messages, before it is written down."""

    #: Each with the id of its answer.
    outcomes: list[tuple[Result, Outcome, int | None]] = field(default_factory=list)
    means: Recorded = field(default_factory=Recorded)

    def spare(self, now: datetime) -> set[int]:
        """The account stopped because of these: they wait for it with no try used; returns the ids of their answers."""
        answers: set[int] = set()
        for place, (result, outcome, answer_id) in reversed(list(enumerate(self.outcomes))):
            if outcome.attempt is AttemptState.ACCEPTED:
                break  # those before it were refused for reasons of their own
            if outcome.suspects_account and answer_id is not None:
                answers.add(answer_id)
                self.outcomes[place] = (result, spared(outcome, now), answer_id)
        return answers


def record(
    dispatch: Dispatch,
    connection: Connection,
    results: Sequence[Result],
    *,
    now: datetime,
    mover: Mover = Mover.PUMP,
) -> Recorded:
    """Record results inside the caller's transaction; recording the same twice changes nothing."""
    judged = judge(dispatch, connection, results, now=now)
    write(dispatch, connection, judged, mover=mover)
    return judged.means


def judge(
    dispatch: Dispatch, connection: Connection, results: Sequence[Result], *, now: datetime
) -> Judged:
    """What these results make of their messages and mean beyond them."""
    judged = Judged()
    scale = dispatch.settings.retry_scale
    samples = []
    for result, noted in _explained(dispatch, connection, results):
        answer_id, explanation, sample = noted or (None, None, "")
        outcome = decide(result.said, result.facts, now=now, scale=scale, explanation=explanation)
        judged.outcomes.append((result, outcome, answer_id))
        samples.append(sample)
    _send_on(dispatch, connection, judged, now)
    for (_, outcome, _), sample in zip(judged.outcomes, samples, strict=True):
        _consequences(judged.means, outcome, sample)
    return judged


def _send_on(dispatch: Dispatch, connection: Connection, judged: Judged, now: datetime) -> None:
    """Those given up on their channel go to the next one they can be reached by."""
    several = [
        result.stuck for result, outcome, _ in judged.outcomes if outcome.falls and result.stuck
    ]
    if not several:
        return
    ways = ways_on(dispatch, connection, several)
    for place, (result, outcome, answer_id) in enumerate(judged.outcomes):
        onward = ways.get(outcome.facts.message_id) if outcome.falls else None
        if onward is not None:
            judged.outcomes[place] = (result, went_on(outcome, onward, now), answer_id)


def write(
    dispatch: Dispatch, connection: Connection, judged: Judged, *, mover: Mover = Mover.PUMP
) -> None:
    """Write down what became of them."""
    attempts, settled, going_on = [], [], []
    blocked: dict[int, list[dict[str, Any]]] = {}
    for result, outcome, answer_id in judged.outcomes:
        attempts.append(_attempt_row(outcome, answer_id))
        reason_id = answer_id
        if outcome.reason is not None:
            reason_id, _ = note_answer(dispatch, connection, outcome.reason, channel=result.channel)
        if outcome.attempt is AttemptState.UNCERTAIN:
            _tell(outcome)
        if outcome.onward is None:
            settled.append(_message_row(outcome, reason_id))
        else:
            going_on.append(_going_on(result, outcome, outcome.onward, answer_id))
        if outcome.block:
            blocked.setdefault(outcome.block_days, []).append(
                {
                    "channel": result.channel,
                    "digest": fingerprint(dispatch, result.channel, result.address),
                    "answer_id": answer_id,
                    "scope": "",
                    "shown": masked(result.address),
                }
            )
    for days, rows in blocked.items():
        block_all(connection, rows, days=days)
    if judged.outcomes:
        ids = [outcome.facts.attempt_id for _, outcome, _ in judged.outcomes]
        was = prices.before(connection, ids, any_money=any(map(_about_money, judged.outcomes)))
        messages.close_attempts(connection, attempts)
        prices.note_results(
            dispatch, connection, [result.said for result, _, _ in judged.outcomes], was
        )
        messages.settle_sent(connection, settled, mover)
        go_on_refused(connection, going_on, mover)


def _explained(
    dispatch: Dispatch, connection: Connection, results: Sequence[Result]
) -> list[tuple[Result, Noted | None]]:
    """Each result with its answer written down, all of a window in one go; acceptances have none."""
    storables = [_storable(result) for result in results]
    met = [
        Met(
            answer=result.said.answer,
            channel=result.channel,
            address=result.address,
            name=result.name,
        )
        for result in storables
        if isinstance(result.said, (Refused, Uncertain))
    ]
    noted = iter(note_answers(dispatch, connection, met))
    return [
        (result, next(noted) if isinstance(result.said, (Refused, Uncertain)) else None)
        for result in storables
    ]


def _storable(result: Result) -> Result:
    said = result.said
    if isinstance(said, Accepted) or said.answer is None:
        return result
    return replace(result, said=replace(said, answer=storable(said.answer)))


def _consequences(done: Recorded, outcome: Outcome, sample: str) -> None:
    """Gather what one outcome means for account and mailing; nothing here names its recipient."""
    answer = None if outcome.answer is None else replace(outcome.answer, text=sample)
    if outcome.attempt is AttemptState.ACCEPTED:
        done.cleared = True
        done.suspicious.clear()
        done.causes.append(_NO_CAUSE)
    if answer is None:
        return
    if outcome.suspects_account:
        done.suspicious.append(answer)
    if outcome.reason == ASKING:
        return  # the gateway answered, and what that means is not known yet
    if outcome.attempt in (AttemptState.UNCERTAIN, AttemptState.WITHDRAWN):
        done.broken = answer
    if outcome.stops_account and done.stops_account is None:
        done.stops_account = answer
    if outcome.attempt is AttemptState.REFUSED:
        done.causes.append(
            Cause(
                category=outcome.category,
                pause_share=outcome.pause_share,
                pause_least=outcome.pause_least,
                answer=answer,
            )
        )


def _tell(outcome: Outcome) -> None:
    """A doubt is rare, and whoever runs the workers may find its ids in the log: nobody's data, no gateway's words."""
    facts, answer = outcome.facts, outcome.answer
    log.warning(
        "message %d is in doubt (%s): nobody knows whether its gateway took it",
        facts.message_id,
        f"{answer.system}:{answer.code}" if answer is not None else "no answer",
        extra={"message_id": facts.message_id, "attempt_id": facts.attempt_id},
    )


def _about_money(judged: tuple[Result, Outcome, int | None]) -> bool:
    said = judged[0].said
    return judged[1].facts.set_aside or (isinstance(said, Accepted) and said.price is not None)


def _going_on(
    result: Result, outcome: Outcome, onward: Onward, answer_id: int | None
) -> tuple[int, int, Onward, Route, int | None]:
    facts, route = outcome.facts, result.stuck.route if result.stuck else Route()
    if answer_id is not None:
        route = route.passing(result.channel, answer_id)
    return facts.message_id, facts.attempt_id, onward, route, answer_id


def _attempt_row(outcome: Outcome, answer_id: int | None) -> dict[str, Any]:
    return {
        "b_attempt": outcome.facts.attempt_id,
        "b_state": outcome.attempt.value,
        "b_answer": answer_id,
        "b_text": outcome.answer.text if outcome.answer else "",
        "b_provider": outcome.provider_id,
    }


def _message_row(outcome: Outcome, answer_id: int | None) -> dict[str, Any]:
    explained = outcome.message is not MessageState.SENT
    return {
        "b_message": outcome.facts.message_id,
        "b_attempt": outcome.facts.attempt_id,
        "b_state": outcome.message.value,
        "b_due": outcome.due_at,
        "b_tries": outcome.tries,
        "b_answer": answer_id if explained else None,
        "b_provider": outcome.provider_id,
    }
