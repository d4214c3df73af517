"""What a report does to the message it speaks of, inside one transaction; the same report twice changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.types import Answer, Purpose
from clinic_dispatch_plugin.engine.onward import stuck, ways_on
from clinic_dispatch_plugin.engine.rules import policy_for, storable
from clinic_dispatch_plugin.error_reference.answers import explained
from clinic_dispatch_plugin.error_reference.policy import Policy
from clinic_dispatch_plugin.error_reference.rules import Explanation
from clinic_dispatch_plugin.error_reference.service import Met, note_answer, note_answers
from clinic_dispatch_plugin.messages import lists_store, onward_store, reported_store
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.routes import order_of
from clinic_dispatch_plugin.messages.rules import AttemptState, masked
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports.rules import (
    BounceState,
    ReadMail,
    Reported,
    ReportedAction,
    Tried,
    attempt_meant,
    decisive,
)

#: Seconds since a message was made in which a late report may send it on: a reminder of last week helps nobody.
GOES_ON_WITHIN = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """The handing-over a mail belongs to."""

    attempt: RowMapping

    @property
    def message_id(self) -> int:
        """Its message."""
        return int(self.attempt["message_id"])

    @property
    def is_current(self) -> bool:
        """Whether the message's state follows from it."""
        return bool(self.attempt["current"] == self.attempt["id"])

    @property
    def is_early(self) -> bool:
        """Whether it is being handed over at this moment, so that nothing can be decided yet."""
        return bool(self.attempt["state"] == AttemptState.OPEN.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What is kept beside a tied mail."""

    state: BounceState
    action: str = ""
    answer_id: int | None = None


def tie_of(connection: Connection, read: ReadMail) -> Tie | None:
    """The attempt a mail speaks of, by the surest clue that leads to one; None: no message of ours."""
    clues = read.clues
    if clues.envelope_ids:
        found = reported_store.attempts_by_key(connection, clues.envelope_ids)
        if found:
            return Tie(attempt=found[0])
    for keys in (clues.sender_keys, clues.message_keys):
        if keys and (tie := _among(read, reported_store.attempts_of_message_key(connection, keys))):
            return tie
    if not clues.others:
        return None
    found = reported_store.attempts_by_key(connection, clues.others)
    if found:
        return Tie(attempt=found[0])
    return _among(read, reported_store.attempts_of_message_key(connection, clues.others))


def tie_to(connection: Connection, read: ReadMail, message_id: int) -> Tie | None:
    """The attempt of one message that a mail must mean; None: it was never tried."""
    return _among(read, reported_store.attempts_of_message(connection, message_id))


def _among(read: ReadMail, attempts: Sequence[RowMapping]) -> Tie | None:
    # A mail speaks of one message; ids of others in it are those it answers to.
    rows = [row for row in attempts if row["message_id"] == attempts[0]["message_id"]]
    tried = [
        Tried(
            id=row["id"],
            address=row["address"],
            opened_at=row["opened_at"],
            went_out=row["state"] not in (AttemptState.REFUSED.value, AttemptState.WITHDRAWN.value),
        )
        for row in rows
    ]
    addresses = [each.address for each in read.recipients]
    meant = attempt_meant(tried, addresses=addresses, written_at=read.clues.written_at)
    return next((Tie(attempt=row) for row in rows if meant and row["id"] == meant.id), None)


def apply(dispatch: Dispatch, connection: Connection, read: ReadMail, tie: Tie) -> Effect:
    """Do what the mail says to the message it belongs to."""
    said = decisive(read.recipients, tie.attempt["address"])
    if said is None:
        return Effect(state=BounceState.TIED)
    if tie.is_early and said.action in (ReportedAction.FAILED, ReportedAction.DELIVERED):
        return Effect(state=BounceState.EARLY, action=said.action.value)
    reported_store.hold_mailing_of(connection, tie.message_id)
    answer_id = None
    if said.action in (ReportedAction.FAILED, ReportedAction.DELAYED):
        delayed = said.action is ReportedAction.DELAYED
        answer_id = failed(dispatch, connection, answer_of(said), tie, delayed=delayed)
    elif said.action is ReportedAction.DELIVERED:
        arrived(connection, tie)
    elif said.action is ReportedAction.COMPLAINED:
        answer_id = _complained(dispatch, connection, tie)
    return Effect(state=BounceState.TIED, action=said.action.value, answer_id=answer_id)


def answer_of(said: Reported) -> Answer:
    """What the reference is asked about a report."""
    return storable(Answer(system="smtp", code=said.code, text=said.answer))


def arrived(connection: Connection, tie: Tie, *, report: str = "delivered") -> None:
    """The message was delivered, or even read, by this attempt."""
    here = (tie.message_id, tie.attempt["id"])
    reported_store.went_out(connection, tie.attempt["id"])
    reported_store.note_report(connection, tie.attempt["id"], report)
    # What waits for its next channel goes back to the one that carried it.
    if not onward_store.arrived_before(connection, *here):
        reported_store.deliver(connection, *here)


def failed(
    dispatch: Dispatch, connection: Connection, answer: Answer, tie: Tie, *, delayed: bool = False
) -> int:
    """The report lands on its attempt; the message follows while that is its current one and nothing arrived.

    :param delayed: it is still being tried, so that nothing follows.
    """
    channel = tie.attempt["channel"]
    met = Met(
        answer=answer, channel=channel, address=tie.attempt["address"], name=tie.attempt["name"]
    )
    [(answer_id, explanation, _)] = note_answers(dispatch, connection, [met])
    if delayed:
        reported_store.note_report(connection, tie.attempt["id"], "delayed")
        return answer_id
    reported_store.went_out(connection, tie.attempt["id"])
    reported_store.note_report(connection, tie.attempt["id"], "failed")
    policy = policy_for(explanation, answer, None)
    went_on = policy.next_channel and _went_on(dispatch, connection, tie, answer_id)
    if went_on or reported_store.undeliver(
        connection, tie.message_id, tie.attempt["id"], answer_id
    ):
        if policy.block:
            messages.block(
                connection,
                channel=channel,
                digest=fingerprint(dispatch, channel, tie.attempt["address"]),
                answer_id=answer_id,
                days=policy.block_days,
                shown=masked(tie.attempt["address"]),
            )
        if not went_on:
            pause_mailing(dispatch, connection, tie, explanation, policy, answer)
    return answer_id


def _went_on(dispatch: Dispatch, connection: Connection, tie: Tie, answer_id: int) -> bool:
    """Whether the message goes to its next channel: it is the current attempt's, and young enough to be of use."""
    row = onward_store.of_message(connection, tie.message_id, within=GOES_ON_WITHIN)
    if row is None:
        return False
    one = stuck(
        {"id": tie.message_id, "route": row["route"]},
        order=order_of(row["first"], row["fallbacks"]),
        purpose=row["purpose"],
        channel=tie.attempt["channel"],
    )
    onward = ways_on(dispatch, connection, [one]).get(tie.message_id)
    return onward is not None and onward_store.go_on_reported(
        connection,
        tie.message_id,
        tie.attempt["id"],
        onward,
        one.route.passing(tie.attempt["channel"], answer_id),
        answer_id,
    )


def pause_mailing(
    dispatch: Dispatch,
    connection: Connection,
    tie: Tie,
    explanation: Explanation,
    policy: Policy,
    answer: Answer,
) -> None:
    """A mailing that still runs is paused when this cause has more than its share of what went out."""
    if not policy.pause_share or explanation.entry is None:
        return
    mailing_id = tie.attempt["mailing_id"]
    counted = lists_store.cause_counts(connection, mailing_id)
    causes = explained(dispatch, connection, (row.answer_id for row in counted))
    category = explanation.entry.category
    same = [found.id for found in causes.values() if found.category == category]
    bad, in_all = reported_store.failed_share(connection, mailing_id, same)
    if in_all < policy.pause_least or bad <= policy.pause_share * in_all:
        return
    text = f"{answer.system}:{answer.code}"
    details = {
        "cause": text,
        "category": category,
        "bad": bad,
        "of": in_all,
        "account": tie.attempt["account_id"],
    }
    messages.pause_by_itself(connection, mailing_id, reason="spam", text=text, details=details)


def _complained(dispatch: Dispatch, connection: Connection, tie: Tie) -> int:
    """Whoever calls our mail unwanted gets no more promotions; everything else still reaches them."""
    channel = tie.attempt["channel"]
    answer = Answer(system="dispatch", code="not_agreed")
    answer_id, _ = note_answer(dispatch, connection, answer, channel=channel)
    messages.block(
        connection,
        channel=channel,
        digest=fingerprint(dispatch, channel, tie.attempt["address"]),
        answer_id=answer_id,
        scope=Purpose.PROMOTION.value,
    )
    messages.write_audit(
        connection,
        actor_ref="recipient",
        actor_name="",
        action="complaint",
        mailing_id=tie.attempt["mailing_id"],
        message_ids=[tie.message_id],
    )
    return answer_id
