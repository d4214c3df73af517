"""A mailing's failures grouped by cause: how many, what happened, what helps, and which button does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.error_reference.answers import JOINT, Explained, explained
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import lists_store as store
from clinic_dispatch_plugin.messages.access import CommandLine, Sight
from clinic_dispatch_plugin.messages.lists import accounts_on_hold
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.registry import Dispatch

#: Ids one statement looks at while a host that hides some is asked.
STRETCH = 5_000
_S = MessageState
#: States a cause stands for, the worst first; a message that was taken has none.
_RANK = (_S.UNDELIVERED, _S.UNCERTAIN, _S.QUEUED, _S.LEASED, _S.SENDING, _S.SKIPPED)
_ADDRESS = frozenset({"unknown_recipient", "recipient_disabled", "recipient_moved", "bad_address"})
_ADDRESS_CODES = ("no_address", "malformed_address", "landline", "short_number", "blocked")
#: Decisions of ours that nobody need put right.
_DONE = ("superseded", "duplicate", "cancelled", "gave_up", "expired")


class Remedy(StrEnum):
    """The button beside a cause."""

    CORRECT = "correct"
    DESCRIBE = "describe"
    SETTLE = "settle"
    RETRY = "retry"
    CHECK_ACCOUNT = "check_account"
    RESEND = "resend"
    NONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Everything in a mailing that failed, waits or was left out for one reason."""

    #: ``smtp:5.1.1``; a draft is named by its answer.
    key: str
    #: The same, unmistakable: for addresses of pages.
    token: str
    note: str
    what_happened: str
    what_helps: str
    who: str
    count: int
    states: Mapping[str, int]
    #: When the first of the waiting ones is tried again.
    next_due_at: datetime | None
    action: Remedy
    answer_ids: Sequence[int]
    entry_id: int | None
    system: str
    code: str
    #: Nobody described it yet.
    draft: bool
    #: The words that explain it fit any unknown answer.
    general: bool
    #: A draft's own words of the provider, personal data taken out.
    sample: str
    #: The account through which it came.
    account_id: int | None

    @property
    def state(self) -> str:
        """The worst state among its messages."""
        return next(state.value for state in _RANK if self.states.get(state.value))

    @property
    def waiting(self) -> int:
        """How many of them are tried again by the program."""
        return sum(self.states.get(state.value, 0) for state in (_S.QUEUED, _S.LEASED, _S.SENDING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One mailing as a person sees it. ``counts`` by state, without what may not be seen."""

    mailing: RowMapping
    counts: Mapping[str, int]
    causes: Sequence[Cause]
    #: Accounts its waiting messages need and that are stopped, resting or off, with what explains it.
    accounts: Sequence[tuple[RowMapping, Explained | None]] = ()

    @property
    def recipients(self) -> int:
        """How many messages it has."""
        return sum(self.counts.values())


@dataclass(slots=True)
class _Pile:
    """Messages with the same state and answer."""

    messages: int = 0
    due_at: datetime | None = None
    account_id: int | None = None

    def add(self, messages: int, due_at: datetime | None, account_id: int | None) -> None:
        self.messages += messages
        self.account_id = self.account_id or account_id
        if due_at is not None and (self.due_at is None or due_at < self.due_at):
            self.due_at = due_at


_Piles = dict[tuple[str, int | None], _Pile]


def mailing_summary(
    dispatch: Dispatch, actor: Actor, mailing_id: int, language: str, *, joined: bool = False
) -> Summary:
    """Counts and causes of a mailing.

    :param joined: causes that say the same to a person are one, whichever entries they come from.
    :raises LookupError: there is no such mailing.
    """
    piles = _piles(dispatch, actor, mailing_id)
    with dispatch.database.begin() as connection:
        mailing = store.mailing(connection, mailing_id)
        if mailing is None:
            raise LookupError(mailing_id)
        answers = explained(dispatch, connection, (answer for _, answer in piles))
        held = accounts_on_hold(connection)
        used = store.accounts_in_use(connection, mailing_id) if held else []
        why = explained(dispatch, connection, (held[n]["answer_id"] for n in used if n in held))
    stopped = [(held[n], why.get(held[n]["answer_id"] or 0)) for n in used if n in held]
    return Summary(
        mailing=mailing,
        counts=_counts(piles),
        causes=_causes(piles, answers, held, language, joined=joined),
        accounts=stopped,
    )


def counts(dispatch: Dispatch, actor: Actor, mailing_id: int) -> dict[str, int]:
    """A mailing's messages by state, without those the actor may not see."""
    return _counts(_piles(dispatch, actor, mailing_id))


def _counts(piles: _Piles) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (state, _), pile in piles.items():
        found[state] += pile.messages
    return dict(found)


def _piles(dispatch: Dispatch, actor: Actor, mailing_id: int) -> _Piles:
    sight = Sight(dispatch, actor)
    piles: _Piles = {}
    if sight.everything:
        with dispatch.database.begin() as connection:
            rows = store.cause_counts(connection, mailing_id)
        for row in rows:
            pile = piles.setdefault((row.state, row.answer_id), _Pile())
            pile.add(row.messages, row.due_at, row.account_id)
        return piles
    with dispatch.database.begin() as connection:
        low, high = store.id_bounds(connection, mailing_id)
    for first, last in stretches(low, high):
        with dispatch.database.begin() as connection:
            found = store.facts_of_mailing(connection, mailing_id, first=first, last=last)
        for row in sight.of(found, lambda row: str(row.ref)):
            pile = piles.setdefault((row.state, row.answer_id), _Pile())
            pile.add(1, row.due_at, row.account_id)
    return piles


def stretches(low: int, high: int) -> Iterator[tuple[int, int]]:
    """Ids from ``low`` to ``high`` in stretches, so that no statement holds all of them."""
    for first in range(low, high + 1, STRETCH):
        yield first, min(high, first + STRETCH - 1)


@dataclass(slots=True)
class _Group:
    """What becomes one cause."""

    answers: list[Explained] = field(default_factory=list)
    #: The answer with most messages speaks for all.
    main: Explained = field(init=False)
    most: int = 0
    states: Counter[str] = field(default_factory=Counter)
    whole: _Pile = field(default_factory=_Pile)


def _causes(
    piles: _Piles,
    answers: Mapping[int, Explained],
    held: Container[int | None],
    language: str,
    *,
    joined: bool,
) -> list[Cause]:
    groups: dict[str | tuple[str, ...], _Group] = {}
    for (state, answer_id), pile in piles.items():
        answer = answers.get(answer_id or 0)
        if answer is None or state not in _RANK:
            continue
        group = groups.setdefault(said_of(answer, language) if joined else answer.token, _Group())
        group.answers.append(answer)
        if pile.messages > group.most:
            group.main, group.most = answer, pile.messages
        group.states[state] += pile.messages
        waits = state in (_S.QUEUED, _S.LEASED)
        group.whole.add(pile.messages, pile.due_at if waits else None, pile.account_id)
    causes = [_cause(group, held, language) for group in groups.values()]
    return sorted(causes, key=lambda cause: (_RANK.index(_S(cause.state)), -cause.count, cause.key))


def said_of(answer: Explained, language: str) -> str | tuple[str, ...]:
    """What a person reads of it; drafts stay apart, as each is described by itself."""
    entry = answer.entry
    if answer.draft or entry is None:
        return answer.token
    return entry.text("short", language), entry.category, entry.who


def _cause(group: _Group, held: Container[int | None], language: str) -> Cause:
    answer = group.main
    states = dict(group.states)
    worst = next(state for state in _RANK if states.get(state.value))
    return Cause(
        key=answer.key,
        token=JOINT.join(sorted({found.token for found in group.answers})),
        note=answer.text("short", language),
        what_happened=answer.text("what_happened", language),
        what_helps=answer.text("what_helps", language),
        who=answer.entry.who if answer.entry else "administration",
        count=group.whole.messages,
        states=states,
        next_due_at=group.whole.due_at,
        action=remedy(answer, worst, account_held=group.whole.account_id in held),
        answer_ids=sorted({found.id for found in group.answers}),
        entry_id=answer.entry.id if answer.entry and not answer.draft else None,
        system=answer.system,
        code=answer.code,
        draft=answer.draft,
        general=answer.general,
        sample=next((found.sample for found in group.answers if found.sample), ""),
        account_id=group.whole.account_id,
    )


def remedy(answer: Explained, state: MessageState, *, account_held: bool) -> Remedy:
    """What helps against this, as a button."""
    if state is _S.UNCERTAIN:
        return Remedy.SETTLE
    if state in (_S.QUEUED, _S.LEASED) and answer.is_ours("quiet_hours"):
        return Remedy.NONE
    if state in (_S.QUEUED, _S.LEASED):
        return Remedy.CHECK_ACCOUNT if account_held else Remedy.RETRY
    if state is _S.SENDING or answer.is_ours(*_DONE):
        return Remedy.NONE
    if answer.draft:
        return Remedy.DESCRIBE
    if answer.is_ours(*_ADDRESS_CODES):
        return Remedy.CORRECT
    # A closed or unknown card is no matter of its address, although the category is the same.
    if answer.category in _ADDRESS and not answer.is_ours("inactive", "unknown_ref"):
        return Remedy.CORRECT
    return Remedy.RESEND


def causes_json(dispatch: Dispatch, mailing_id: int, language: str) -> list[dict[str, str | int]]:
    """The causes as commands print them: ``key``, ``note``, ``count``.

    :raises LookupError: there is no such mailing.
    """
    found = mailing_summary(dispatch, CommandLine(), mailing_id, language)
    return [{"key": c.key, "note": c.note, "count": c.count} for c in found.causes]


def count_by_answer(
    connection: Connection, answer_ids: Iterable[int] | None = None
) -> dict[int, int]:
    """How many messages each answer explains; None: of all answers."""
    return store.count_by_answer(connection, answer_ids)
