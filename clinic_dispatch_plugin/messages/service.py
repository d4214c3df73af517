"""What a person does to messages: each use case is a transaction of its own, conditional, and in the audit trail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.answers import Explained, explained
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import moves_store, store
from clinic_dispatch_plugin.messages.afresh import Fresh
from clinic_dispatch_plugin.messages.awaited import awaited_messages
from clinic_dispatch_plugin.messages.fingerprints import fingerprint, keyed
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.rules import (
    MessageState,
    Mover,
    read_unsubscribe_token,
    sources,
)
from clinic_dispatch_plugin.messages.selection import Chosen, batches
from clinic_dispatch_plugin.registry import Dispatch

#: A person sends again from here by itself; from ``uncertain`` only with :func:`settle_uncertain`.
RESENDABLE = frozenset(sources(MessageState.QUEUED, Mover.PERSON)) - {MessageState.UNCERTAIN}
#: States of a mailing in which its messages may be put right.
ALIVE = frozenset(
    {
        MailingState.PLANNING.value,
        MailingState.RUNNING.value,
        MailingState.PAUSED.value,
        MailingState.FINISHED.value,
    }
)


class Refusal(StrEnum):
    """Why a message stays as it is."""

    #: Its mailing was cancelled.
    CANCELLED = "cancelled"
    #: An earlier attempt arrived after all.
    SUPERSEDED = "superseded"
    #: The same message goes to this recipient already.
    DUPLICATE = "duplicate"
    #: The mailing's last moment has passed.
    EXPIRED = "expired"
    #: The recipient unsubscribed from messages for this purpose.
    UNSUBSCRIBED = "unsubscribed"
    #: A person blocked its address.
    BLOCKED = "blocked"
    #: No account is configured for its channel.
    NO_ROUTE = "no_route"
    #: It has no address: give it one.
    NO_ADDRESS = "no_address"
    #: Its address and words were removed.
    STRIPPED = "stripped"
    #: The worker that had it is not proved dead, and may still say what became of it.
    AWAITED = "awaited"
    #: It is in another state by now, or no such message is there for this person.
    MOVED_ON = "moved_on"


class Settlement(StrEnum):
    """What a person says of an uncertain message."""

    ARRIVED = "arrived"
    SEND_AGAIN = "send_again"
    GIVE_UP = "give_up"


class NotConfirmed(ValueError):
    """Sending an uncertain message again may make it arrive twice: somebody has to say so."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How many messages moved, and why others did not."""

    done: int = 0
    refused: Counter[Refusal] = field(default_factory=Counter)
    #: When the last of those whose worker is still awaited may be decided.
    awaited_until: datetime | None = None

    @property
    def left(self) -> int:
        """How many did not move."""
        return sum(self.refused.values())

    def add(self, part: Outcome) -> None:
        """Count another portion's too."""
        self.done += part.done
        self.refused.update(part.refused)
        moments = [each for each in (self.awaited_until, part.awaited_until) if each is not None]
        self.awaited_until = max(moments, default=None)


def movable(
    dispatch: Dispatch,
    connection: Connection,
    ids: Sequence[int],
    states: Iterable[MessageState],
    facts: Mapping[int, Fresh] | None = None,
) -> tuple[list[RowMapping], Outcome]:
    """The messages that may be queued again, held until the transaction ends, and why the others may not."""
    moves_store.hold(connection, ids)
    found = moves_store.locked(connection, ids, frozenset(states))
    answers = explained(dispatch, connection, (row["answer_id"] for row in found))
    outcome = Outcome()
    rows = []
    for row in found:
        fresh = (facts or {}).get(row["id"], Fresh())
        reason = _refusal(dispatch, row, answers.get(row["answer_id"] or 0), fresh)
        if reason is None:
            rows.append(row)
        else:
            outcome.refused[reason] += 1
    if missing := len(set(ids)) - len(found):
        outcome.refused[Refusal.MOVED_ON] += missing
    return rows, outcome


def _refusal(
    dispatch: Dispatch, row: RowMapping, answer: Explained | None, fresh: Fresh
) -> Refusal | None:
    """Why a message is not queued again; ``fresh``: what changes in it with that."""
    mended = fresh.address is not None
    if row["stripped_at"] is not None:
        return Refusal.STRIPPED
    if row["mailing_state"] not in ALIVE:
        return Refusal.CANCELLED
    if answer is not None and answer.is_ours("superseded"):
        return Refusal.SUPERSEDED
    if answer is not None and answer.is_ours("duplicate") and not mended:
        return Refusal.DUPLICATE
    if row["too_late"]:
        return Refusal.EXPIRED
    no_address = ("no_address", "malformed_address", "landline", "short_number")
    if not mended and answer is not None and answer.is_ours(*no_address):
        return Refusal.NO_ADDRESS
    has_account = row["account_id"] is not None and fresh.channel is None
    if (
        not has_account
        and dispatch.account(fresh.channel or row["channel"], row["purpose"]) is None
    ):
        return Refusal.NO_ROUTE
    return None


def unblock_addresses(
    dispatch: Dispatch, connection: Connection, rows: Iterable[Mapping[Any, Any]]
) -> None:
    """Lift the blocks the program made of these messages' addresses; what recipients asked for stays."""
    by_channel: dict[str, set[str]] = {}
    for row in rows:
        if row["address"]:
            digest = fingerprint(dispatch, row["channel"], row["address"])
            by_channel.setdefault(row["channel"], set()).add(digest)
    for channel, digests in by_channel.items():
        store.unblock(connection, channel, digests)


def queue_again(
    dispatch: Dispatch,
    connection: Connection,
    actor: Actor,
    rows: Sequence[RowMapping],
    outcome: Outcome,
    *,
    action: str,
    states: Iterable[MessageState],
    details: Mapping[str, Any] | None = None,
) -> Outcome:
    """Queue these messages, reopen their mailings and write it down, inside the caller's transaction."""
    ids = [row["id"] for row in rows]
    if not ids:
        return outcome
    lacking: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        if row["account_id"] is None:
            lacking.setdefault((row["channel"], row["purpose"]), []).append(row["id"])
    for (channel, purpose), without in lacking.items():
        if (way := accounts.way(dispatch, connection, channel, purpose)) is not None:
            moves_store.give_account(connection, without, way.row_id)
    store.requeue(connection, ids, from_states=states)
    moves_store.reopen(connection, (row["mailing_id"] for row in rows))
    audit(connection, actor, action, rows, details)
    outcome.done += len(ids)
    return outcome


def audit(
    connection: Connection,
    actor: Actor,
    action: str,
    rows: Iterable[Mapping[Any, Any]],
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write down who did this to these messages."""
    by_mailing: dict[int, list[int]] = {}
    for row in rows:
        by_mailing.setdefault(row["mailing_id"], []).append(row["id"])
    for mailing_id, ids in by_mailing.items():
        store.write_audit(
            connection,
            actor_ref=actor.ref,
            actor_name=actor.name,
            action=action,
            mailing_id=mailing_id,
            message_ids=ids,
            details=details,
        )


def settle_uncertain(
    dispatch: Dispatch,
    actor: Actor,
    chosen: Chosen,
    choice: Settlement,
    *,
    may_arrive_twice: bool = False,
) -> Outcome:
    """A person decides about messages of which nobody knows whether they were sent.

    Nothing is decided while the worker that had the message may still come back and say what became of it.

    :param may_arrive_twice: needed for sending again: the person was told, and wants it.
    :raises NotConfirmed: it is missing.
    """
    if choice is Settlement.SEND_AGAIN and not may_arrive_twice:
        raise NotConfirmed
    outcome = Outcome()
    for ids in batches(dispatch, actor, chosen, [MessageState.UNCERTAIN]):

        def work(connection: Connection, ids: list[int] = ids) -> Outcome:
            return _settle(dispatch, connection, actor, ids, choice)

        outcome.add(dispatch.database.run(work))
    _ring(dispatch, outcome)
    return outcome


def _settle(
    dispatch: Dispatch,
    connection: Connection,
    actor: Actor,
    ids: Sequence[int],
    choice: Settlement,
) -> Outcome:
    states = [MessageState.UNCERTAIN]
    awaited = awaited_messages(dispatch, connection, ids)
    ids = [each for each in ids if each not in awaited]
    held = Outcome(awaited_until=max(awaited.values(), default=None))
    if awaited:
        held.refused[Refusal.AWAITED] = len(awaited)
    rows, outcome = movable(dispatch, connection, ids, states)
    outcome.add(held)
    details = {"choice": choice.value}
    if choice is Settlement.SEND_AGAIN:
        details["may_arrive_twice"] = "confirmed"
        return queue_again(
            dispatch,
            connection,
            actor,
            rows,
            outcome,
            action="settle",
            states=states,
            details=details,
        )
    # What became of it can be said of a cancelled mailing's message, too.
    outcome = held
    found = moves_store.locked(connection, ids, frozenset(states))
    arrived = choice is Settlement.ARRIVED
    answer_id = None
    if not arrived and found:
        gave_up = Answer(system="dispatch", code="gave_up")
        answer_id, _ = note_answer(dispatch, connection, gave_up)
    to = MessageState.DELIVERED if arrived else MessageState.UNDELIVERED
    moves_store.settle(connection, [row["id"] for row in found], to=to, answer_id=answer_id)
    audit(connection, actor, "settle", found, details)
    outcome.done = len(found)
    if missing := len(set(ids)) - len(found):
        outcome.refused[Refusal.MOVED_ON] += missing
    return outcome


def retry_now(dispatch: Dispatch, actor: Actor, chosen: Chosen) -> Outcome:
    """Try waiting messages at once instead of at their next time."""
    outcome = Outcome()
    for ids in batches(dispatch, actor, chosen, [MessageState.QUEUED]):

        def work(connection: Connection, ids: list[int] = ids) -> Outcome:
            found = moves_store.locked(connection, ids, frozenset([MessageState.QUEUED]))
            later = set(moves_store.waiting_until_later(connection, ids))
            rows = [row for row in found if row["id"] in later]
            moves_store.due_now(connection, sorted(later))
            audit(connection, actor, "retry_now", rows)
            done = Outcome(done=len(rows))
            if missing := len(set(ids)) - len(found):
                done.refused[Refusal.MOVED_ON] += missing
            return done

        outcome.add(dispatch.database.run(work))
    _ring(dispatch, outcome)
    return outcome


def check_account_again(dispatch: Dispatch, actor: Actor, account_id: int) -> bool:
    """What stopped an account is mended, a person says: it is tried again. True: it was stopped or rested."""

    def work(connection: Connection) -> bool:
        moved = accounts.check_again(connection, account_id)
        if moved:
            store.write_audit(
                connection,
                actor_ref=actor.ref,
                actor_name=actor.name,
                action="check_account",
                details={"account": account_id},
            )
        return moved

    moved = dispatch.database.run(work)
    if moved:
        dispatch.doorbell.ring()
    return moved


def unsubscribe(dispatch: Dispatch, token: str) -> bool:
    """A recipient wants no more of these: the address is blocked for the purpose. False: no link of ours."""
    read = read_unsubscribe_token(dispatch.settings.secret_keys, token)
    if read is None:
        return False
    channel, purpose, digest = read[0], read[1], keyed(dispatch, read[2])

    def work(connection: Connection) -> None:
        store.write_audit(
            connection,
            actor_ref="recipient",
            actor_name="",
            action="unsubscribe",
            details={"channel": channel, "purpose": purpose, "digest": digest},
        )
        answer = Answer(system="dispatch", code="not_agreed")
        answer_id, _ = note_answer(dispatch, connection, answer, channel=channel)
        store.block(connection, channel=channel, digest=digest, answer_id=answer_id, scope=purpose)

    dispatch.database.run(work)
    return True


def refused(refusal: Refusal) -> Counter[Refusal]:
    """One message that stayed as it is."""
    return Counter([refusal])


def _ring(dispatch: Dispatch, outcome: Outcome) -> None:
    if outcome.done:
        dispatch.doorbell.ring()
