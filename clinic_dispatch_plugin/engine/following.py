"""A changed policy acts on what waits: foreseen before it is saved, carried out in portions, written down."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.engine.rules import EXPIRED, Revised, Waiting, revise
from clinic_dispatch_plugin.error_reference import orders
from clinic_dispatch_plugin.error_reference.following import (
    Consequences,
    Ordered,
    PolicyChange,
    Standing,
)
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import blocks_store, moves_store, service, waiting_store
from clinic_dispatch_plugin.messages.access import CommandLine, Sight
from clinic_dispatch_plugin.messages.detail import account_label
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.rules import MessageState, masked
from clinic_dispatch_plugin.messages.selection import BATCH
from clinic_dispatch_plugin.registry import Dispatch

#: Messages that are gone through while a person waits for the page.
AT_ONCE = 300
#: Seconds between two looks of a worker whether an order is left, and how long one look works at most.
EVERY_SECONDS = 2.0
_LONGEST = 60.0
#: A waiting message with what a policy asks about it.
Row = Mapping[Any, Any]
#: A message, what becomes of it, and what the program does about its answer from now on.
Fate = tuple[Row, Revised, PolicyChange]


class Following:
    """The :class:`Follower` of the error reference: the one machine that moves messages stands below it."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    def answers_with_waiting(self, connection: Connection) -> Collection[int]:
        """Because of which answers messages wait."""
        return waiting_store.answers_with_waiting(connection)

    def foresee(self, actor: Actor, changes: Sequence[PolicyChange]) -> Consequences:
        """What these changes would do to the waiting messages the actor may see."""
        done = Consequences()
        rows = self._visible(actor, changes)
        with self._dispatch.database.begin() as connection:
            now = database_now(connection)
            known = _accounts(self._dispatch, connection)
        for fate in self._fates(rows, changes, now):
            _count(done, fate, known)
        return done

    def order(self, actor: Actor, changes: Sequence[PolicyChange]) -> Ordered:
        """The order to apply these changes to the waiting messages the actor may see."""
        total = len(self._visible(actor, changes))
        return _Order(self, actor, changes, total=total)

    def carry_out(self, actor: Actor, changes: Sequence[PolicyChange], mark: str) -> Consequences:
        """Do what was ordered; what is sent meanwhile meets the new policy there, very many are left to workers."""
        done = Consequences()
        ids = [row["id"] for row in self._visible(actor, changes)]
        with self._dispatch.database.begin() as connection:
            known = _accounts(self._dispatch, connection)

        def work(connection: Connection) -> list[Fate] | None:
            if not orders.take(connection, mark):
                return None
            return self._follow(connection, actor, ids, changes) if ids else []

        fates = self._dispatch.database.run(work) if len(ids) <= AT_ONCE else None
        if fates is None:  # too many for a page, or a worker has begun
            return Consequences(left=len(ids))
        for fate in fates:
            _count(done, fate, known)
        if done.moved:
            self._dispatch.doorbell.ring()
        return done

    def go_on(self) -> bool:
        """The next portion of the first order: what it does and how far it is are one transaction."""
        with self._dispatch.database.begin() as connection:
            order = orders.first(connection)
            if order is None:
                return False
            answers = [change.answer_id for change in order.changes]
            rows = waiting_store.waiting_after(
                connection, answers, after=order.after, until=order.at, limit=BATCH
            )
        actor = CommandLine(name=order.actor.name) if order.everything else order.actor
        seen = Sight(self._dispatch, actor).of(rows, lambda row: str(row["ref"]))

        def work(connection: Connection) -> None:
            if not orders.is_still(connection, order):
                return  # another worker did this portion
            ids = [row["id"] for row in seen]
            if ids:
                self._follow(connection, order.actor, ids, order.changes)
            if len(rows) < BATCH:
                orders.finish(connection)
            else:
                orders.went_on(connection, after=rows[-1]["id"], more=len(seen))

        self._dispatch.database.run(work)
        self._dispatch.doorbell.ring()
        return True

    def go_on_a_while(self) -> None:
        """What a worker does now and then."""
        end = time.monotonic() + _LONGEST
        while self.go_on() and time.monotonic() < end:
            pass

    def standing(self, answers: Mapping[int, Answer]) -> Standing:
        """What stands still because of these answers."""
        if not answers:
            return Standing()
        causes = {f"{answer.system}:{answer.code}" for answer in answers.values()}
        with self._dispatch.database.begin() as connection:
            paused = waiting_store.paused_by(connection, causes)
            known = _accounts(self._dispatch, connection)
            stopped = [
                row
                for row in accounts.accounts(connection)
                if row["state"] == "stopped" and row["answer_id"] in answers
            ]
            blocks = blocks_store.count_of_answers(connection, list(answers))
        return Standing(
            mailings=[(row["id"], row["name"]) for row in paused],
            accounts=[(row["id"], known[row["id"]]) for row in stopped],
            blocks=blocks,
        )

    def _visible(self, actor: Actor, changes: Sequence[PolicyChange]) -> list[Row]:
        with self._dispatch.database.begin() as connection:
            rows: list[Row] = [
                *waiting_store.waiting_of_answers(
                    connection, (change.answer_id for change in changes)
                )
            ]
        return Sight(self._dispatch, actor).of(rows, lambda row: str(row["ref"]))

    def _fates(
        self, rows: Sequence[Row], changes: Sequence[PolicyChange], now: datetime
    ) -> list[Fate]:
        by_answer = {change.answer_id: change for change in changes}
        return [
            (row, self._revised(row, change, now), change)
            for row in rows
            if (change := by_answer.get(row["answer_id"])) is not None
        ]

    def _revised(self, row: Row, change: PolicyChange, now: datetime) -> Revised:
        found = Waiting(
            tries=row["tries"],
            due_at=row["due_at"],
            refused_at=row["refused_at"] or now,
            created_at=row["created_at"],
            not_after=row["not_after"],
        )
        scale = self._dispatch.settings.retry_scale
        return revise(change.before, change.after, found, now=now, scale=scale)

    def _follow(
        self,
        connection: Connection,
        actor: Actor,
        ids: Sequence[int],
        changes: Sequence[PolicyChange],
    ) -> list[Fate]:
        moves_store.hold(connection, ids)
        moves_store.locked(connection, ids, frozenset([MessageState.QUEUED]))
        now = database_now(connection)
        fates = self._fates(waiting_store.waiting_of_ids(connection, ids), changes, now)
        self._give_up(connection, actor, fates)
        self._move(connection, actor, fates)
        self._stop(connection, actor, fates)
        return fates

    def _give_up(self, connection: Connection, actor: Actor, fates: Sequence[Fate]) -> None:
        gone = [(row, made) for row, made, _ in fates if made.message is MessageState.UNDELIVERED]
        late = [row["id"] for row, made in gone if made.expired]
        waiting_store.give_up(connection, [row["id"] for row, made in gone if not made.expired])
        if late:
            answer_id, _ = note_answer(self._dispatch, connection, EXPIRED)
            waiting_store.give_up(connection, late, answer_id=answer_id)
        for row, made in gone:
            if made.block:
                blocks_store.block(
                    connection,
                    channel=row["channel"],
                    digest=fingerprint(self._dispatch, row["channel"], row["address"]),
                    answer_id=row["answer_id"],
                    days=made.block_days,
                    shown=masked(row["address"]),
                )
        service.audit(connection, actor, "policy_given_up", [row for row, _ in gone])

    def _move(self, connection: Connection, actor: Actor, fates: Sequence[Fate]) -> None:
        moved = [(row, made) for row, made, _ in fates if _moves(row, made)]
        times = [(row["id"], _drawn(made)) for row, made in moved]
        waiting_store.put_at(connection, times)
        service.audit(
            connection,
            actor,
            "policy_moved",
            [row for row, made in moved if not made.stops_account],
        )

    def _stop(self, connection: Connection, actor: Actor, fates: Sequence[Fate]) -> None:
        held = [(row, change) for row, made, change in fates if made.stops_account]
        answers = {row["account_id"]: change.answer for row, change in held if row["account_id"]}
        for account_id, answer in answers.items():
            if accounts.stop(self._dispatch, connection, account_id, answer):
                blocks_store.write_audit(
                    connection,
                    actor_ref=actor.ref,
                    actor_name=actor.name,
                    action="stop_account",
                    details={"account": account_id},
                )
        service.audit(connection, actor, "policy_stopped", [row for row, _ in held])


class _Order:
    """An order of one person or command, and the mark it is found by."""

    def __init__(
        self, following: Following, actor: Actor, changes: Sequence[PolicyChange], *, total: int
    ) -> None:
        self._following = following
        self._actor = actor
        self._changes = changes
        self._total = total
        self._mark = uuid.uuid4().hex

    def give(self, connection: Connection) -> None:
        """Leave it to the workers, in the transaction of the change itself."""
        orders.give(
            connection,
            self._actor,
            self._changes,
            total=self._total,
            mark=self._mark,
            everything=isinstance(self._actor, CommandLine),
        )

    def carry_out(self) -> Consequences:
        """Take it back from the workers and do it, unless it is too much for a page."""
        return self._following.carry_out(self._actor, self._changes, self._mark)


def _moves(row: Row, made: Revised) -> bool:
    """Whether a message that goes on waiting gets another time."""
    if made.message is not MessageState.QUEUED:
        return False
    return (made.earliest, made.latest) != (row["due_at"], row["due_at"])


def _drawn(made: Revised) -> datetime:
    """A moment by lot, so that not all come at once."""
    assert made.earliest is not None and made.latest is not None
    return made.earliest + (made.latest - made.earliest) * random.random()


def _accounts(dispatch: Dispatch, connection: Connection) -> dict[int, str]:
    """The names of the accounts, as their channels call them."""
    return {row["id"]: account_label(dispatch, row) for row in accounts.accounts(connection)}


def _count(done: Consequences, fate: Fate, known: Mapping[int, str]) -> None:
    row, made, _ = fate
    if made.message is MessageState.UNDELIVERED:
        done.given_up += 1
        if made.block:
            done.blocked.add((row["channel"], row["address"].casefold()))
    elif made.stops_account:
        done.held += 1
        if row["account_id"] in known:
            done.accounts[row["account_id"]] = known[row["account_id"]]
    elif _moves(row, made):
        assert made.earliest is not None and made.latest is not None
        done.moved += 1
        done.first_at = min(done.first_at or made.earliest, made.earliest)
        done.last_at = max(done.last_at or made.latest, made.latest)
    else:
        done.kept += 1
