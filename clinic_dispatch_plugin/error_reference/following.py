"""What a change of the reference means for messages that wait: which policies differ, and who carries that out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import store
from clinic_dispatch_plugin.error_reference.again import rehearse, together
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.policy import Policy, PolicyAction
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, Reference
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.registry import Dispatch

T = TypeVar("T")

#: The name under which the engine lends its :class:`Follower`.
LENT = "follower"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """An answer because of which messages wait, and what the program did and does about it."""

    answer_id: int
    answer: Answer
    before: Policy
    after: Policy


@dataclass(slots=True, kw_only=True)
class Consequences:
    """What a changed policy makes, or made, of the messages that wait."""

    #: They are not tried again.
    given_up: int = 0
    #: Their next try is at another time, between these.
    moved: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    #: Nothing changes for them.
    kept: int = 0
    #: Addresses that are blocked, by digest.
    blocked: set[tuple[str, str]] = field(default_factory=set)
    #: Accounts that stop: id and name.
    accounts: dict[int, str] = field(default_factory=dict)
    #: Messages that wait for such an account.
    held: int = 0
    #: So many that a worker goes through them, one portion after the other.
    left: int = 0

    @property
    def waiting(self) -> int:
        """How many messages wait because of it."""
        return self.given_up + self.moved + self.kept + self.held

    @property
    def act(self) -> bool:
        """Whether applying the change to them would do anything."""
        return bool(self.given_up or self.moved or self.accounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands still because of some answers, and stays so until a person lets it go on."""

    #: Mailings the program put on hold: id and name.
    mailings: Sequence[tuple[int, str]] = ()
    #: Accounts that stopped: id and name.
    accounts: Sequence[tuple[int, str]] = ()
    #: Addresses that are blocked.
    blocks: int = 0

    def __bool__(self) -> bool:
        return bool(self.mailings or self.accounts or self.blocks)


class Ordered(Protocol):
    """An order to apply changed policies to what waits: given together with the change, carried out after it."""

    def give(self, connection: Connection) -> None:
        """Write it down in the change's own transaction: whatever happens after it, a worker carries it out."""

    def carry_out(self) -> Consequences:
        """Do it at once; what is more than a page can wait for stays with the workers."""


class Follower(Protocol):
    """What the reference asks of those who hold messages, and stand above it."""

    def answers_with_waiting(self, connection: Connection) -> Collection[int]:
        """Because of which answers messages wait."""

    def foresee(self, actor: Actor, changes: Sequence[PolicyChange]) -> Consequences:
        """What these changes would do to the waiting messages the actor may see."""

    def order(self, actor: Actor, changes: Sequence[PolicyChange]) -> Ordered:
        """The order to apply these changes to the waiting messages the actor may see."""

    def go_on(self) -> bool:
        """The next portion of what was ordered; False: nothing is."""

    def standing(self, answers: Mapping[int, Answer]) -> Standing:
        """What stands still because of these answers."""


def follower(dispatch: Dispatch) -> Follower | None:
    """The one who carries changes out; None: nobody lent one."""
    found: Follower | None = dispatch.cache.get(LENT)
    return found


def carry_out(
    dispatch: Dispatch, actor: Actor, changes: Sequence[PolicyChange], deed: Callable[[], T]
) -> tuple[T, Consequences]:
    """Change the reference and order in the same transaction that what waits follows; then apply it.

    :param deed: makes the change; what it raises is raised, and nothing is ordered.
    """
    lent = follower(dispatch)
    if lent is None or not changes:
        return deed(), Consequences()
    order = lent.order(actor, changes)
    with together(order.give):
        made = deed()
    return made, order.carry_out()


def with_content(known: Reference, entry_id: int, changed: Mapping[str, Any]) -> Reference:
    """The reference as it would be with these fields of an entry changed; those that share its words follow."""
    old = known.entries[entry_id]
    new = replace(
        old, content={**old.content, **changed}, own=old.own | frozenset(changed), changed=True
    )
    entries = {**known.entries, entry_id: new}
    for each in known.entries.values():
        if each.same_as == entry_id:
            entries[each.id] = replace(
                each, content=_shared(each, old, new), own=each.own | new.own
            )
    return Reference(entries.values())


def _shared(entry: KnownEntry, old: KnownEntry, new: KnownEntry) -> dict[str, Any]:
    """What differs from the words that were shared is the entry's own."""
    own = {name: said for name, said in entry.content.items() if old.content.get(name) != said}
    return {**new.content, **own}


def policy_changes(
    dispatch: Dispatch, entry_id: int, changed: Mapping[str, Any]
) -> list[PolicyChange]:
    """The answers because of which messages wait and about which the program would do something else."""
    known, rows = _waiting(dispatch)
    if not rows or entry_id not in known.entries:
        return []
    return _differences(known, with_content(known, entry_id, changed), rows)


def changes_by(dispatch: Dispatch, deed: Callable[[], object]) -> list[PolicyChange]:
    """The same for any other change of the reference, which is tried and taken back.

    What is wrong with the change is said when it is made.
    """
    known, rows = _waiting(dispatch)
    if not rows:
        return []
    try:
        then = rehearse(deed)
    except (ReferenceProblem, LookupError):
        return []
    return [] if then is None else _differences(known, then, rows)


def _waiting(dispatch: Dispatch) -> tuple[Reference, Sequence[RowMapping]]:
    """The reference as it holds, and the answers because of which messages wait."""
    lent = follower(dispatch)
    with dispatch.database.begin() as connection:
        known = reference(dispatch, connection)
        waiting = lent.answers_with_waiting(connection) if lent else ()
        rows = store.answers_by_id(connection, waiting) if waiting else {}
    return known, list(rows.values())


def _differences(
    known: Reference, then: Reference, rows: Sequence[RowMapping]
) -> list[PolicyChange]:
    found = []
    for row in rows:
        answer = Answer(system=row["system"], code=row["code"], text=row["sample"])
        before, after = known.explain(answer).entry, then.explain(answer).entry
        if before is None or after is None:
            continue
        passes = _channel_said(before, answer)
        was, is_now = before.policy_for(answer, passes), after.policy_for(answer, passes)
        if was != is_now:
            found.append(PolicyChange(answer_id=row["id"], answer=answer, before=was, after=is_now))
    return found


def _channel_said(entry: KnownEntry, answer: Answer) -> bool | None:
    """Whether a channel knew that the trouble passes: the reference alone would not have let the message wait."""
    waits = entry.policy_for(answer).action is not PolicyAction.FAIL
    return None if waits else True


def standing_of(dispatch: Dispatch, entry_ids: Collection[int]) -> Standing:
    """What stands still because of answers that these entries explain."""
    lent = follower(dispatch)
    if lent is None:
        return Standing()
    with dispatch.database.begin() as connection:
        rows = store.answers_of_entries(connection, entry_ids)
    return lent.standing(
        {
            row["id"]: Answer(system=row["system"], code=row["code"], text=row["sample"])
            for row in rows
        }
    )
