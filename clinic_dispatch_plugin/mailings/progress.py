"""How far a mailing is, for the page that watches it; counts leave out whom the reader may not see."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts.rules import AccountState
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.engine.presence import worker_is_seen
from clinic_dispatch_plugin.error_reference.answers import Explained, explained
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.mailings import store
from clinic_dispatch_plugin.mailings.drafts import may_open
from clinic_dispatch_plugin.mailings.problems import NotYours
from clinic_dispatch_plugin.messages import causes, reroute_store
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.messages.detail import account_label
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.registry import Dispatch

_CACHE = "mailing_progress"
#: Counting may take this share of the time.
_SHARE = 0.2
_S = MessageState
_WAITING = (_S.QUEUED, _S.LEASED, _S.SENDING)
_TRIED = (_S.SENT, _S.DELIVERED, _S.UNDELIVERED, _S.UNCERTAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAccount:
    """An account whose messages wait, and the reference's words about it."""

    state: AccountState
    label: str
    rest_until: datetime | None
    why: Explained | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedOn:
    """Messages that go through another account than they were planned for."""

    number: int
    gone: str
    instead: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One look at a mailing under way."""

    row: Mapping[str, Any]
    counts: Mapping[str, int]
    #: Recipients expected while the plan is not whole; 0: not known, or not for this reader to know.
    expected: int
    retried: int
    worker_seen: bool
    accounts: Sequence[HeldAccount]
    at: datetime
    #: What waited for an account that does not work and goes through another one now.
    moved: Sequence[MovedOn] = ()

    @property
    def state(self) -> MailingState:
        """Where the mailing stands."""
        return MailingState(self.row["state"])

    @property
    def first_pass_ended(self) -> bool:
        """Whether everybody was tried or decided once, or nothing will happen any more."""
        over = self.state in (MailingState.FINISHED, MailingState.CANCELLED)
        return self.row["first_pass_at"] is not None or over

    @property
    def total(self) -> int:
        """Messages there are."""
        return sum(self.counts.values())

    @property
    def waiting(self) -> int:
        """Messages that were not settled yet."""
        return sum(self.counts.get(state.value, 0) for state in _WAITING)

    @property
    def tried(self) -> int:
        """Messages a gateway answered about, or might have."""
        return sum(self.counts.get(state.value, 0) for state in _TRIED)

    @property
    def done_share(self) -> float:
        """How much is settled, 0 to 1; while it is planned, how much of the plan is."""
        if self.state is MailingState.PLANNING:
            return min(1.0, self.row["planned"] / self.expected) if self.expected else 0.0
        return (self.total - self.waiting) / self.total if self.total else 0.0

    @property
    def rate(self) -> float:
        """Messages a second since the start."""
        started = self.row["started_at"]
        seconds = (self.at - started).total_seconds() if started else 0.0
        return self.tried / seconds if seconds >= 1 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For the script and for programs."""
        return {
            "mailing": self.row["id"],
            "name": self.row["name"],
            "state": self.state.value,
            "planned": self.row["planned"],
            "expected": self.expected,
            "counts": dict(self.counts),
            "total": self.total,
            "waiting": self.waiting,
            "retried": self.retried,
            "rate": round(self.rate, 1),
            "done_share": round(self.done_share, 4),
            "worker_seen": self.worker_seen,
            "accounts": [
                {"state": account.state.value, "label": account.label} for account in self.accounts
            ],
            "first_pass": self.first_pass_ended,
            "first_pass_at": _iso(self.row["first_pass_at"]),
            "finished_at": _iso(self.row["finished_at"]),
            "pause_reason": self.row["pause_reason"],
        }


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


def progress(dispatch: Dispatch, mailing_id: int, actor: Actor) -> Progress:
    """Look at a mailing once more.

    :raises NotYours: there is no such mailing, or it is somebody else's draft.
    """
    with dispatch.database.begin() as connection:
        row = store.mailing(connection, mailing_id)
    is_draft = row is not None and row["state"] == MailingState.DRAFT.value
    if row is None or (is_draft and not may_open(dispatch, row, actor)):
        raise NotYours(mailing_id)
    everything = Sight(dispatch, actor).everything
    counts, retried = _counts(dispatch, mailing_id, actor)
    with dispatch.database.begin() as connection:
        row = store.mailing(connection, mailing_id)
        if row is None:
            raise NotYours(mailing_id)
        at = now(connection)
        rows = [
            found
            for account_id in store.account_ids(connection, mailing_id)
            if (found := accounts.account(connection, account_id)) is not None
            and found["state"] != AccountState.READY.value
        ]
        why = explained(dispatch, connection, (found["answer_id"] for found in rows))
        moved = _moved(dispatch, connection, mailing_id) if everything else []
    held = [_held(dispatch, found, why.get(found["answer_id"] or 0)) for found in rows]
    return Progress(
        row={**row} if everything else {**row, "planned": sum(counts.values())},
        counts=counts,
        expected=int((row["selection"] or {}).get("rows") or 0) if everything else 0,
        retried=retried,
        worker_seen=worker_is_seen(dispatch),
        accounts=held,
        at=at,
        moved=moved,
    )


def _moved(dispatch: Dispatch, connection: Connection, mailing_id: int) -> list[MovedOn]:
    """By both accounts, however many times some were moved."""
    numbers: dict[tuple[int, int], int] = {}
    for row in reroute_store.moved(connection, mailing_id):
        way = int(row["details"]["account"]), int(row["details"]["to"])
        numbers[way] = numbers.get(way, 0) + int(row["details"]["number"])
    return [
        MovedOn(
            number=number,
            gone=account_label(dispatch, accounts.account(connection, gone)),
            instead=account_label(dispatch, accounts.account(connection, instead)),
        )
        for (gone, instead), number in numbers.items()
    ]


def _held(dispatch: Dispatch, row: RowMapping, why: Explained | None) -> HeldAccount:
    return HeldAccount(
        state=AccountState(row["state"]),
        label=account_label(dispatch, row),
        rest_until=row["rest_until"] if row["state"] == AccountState.RESTING.value else None,
        why=why,
    )


def _counts(dispatch: Dispatch, mailing_id: int, actor: Actor) -> tuple[dict[str, int], int]:
    """By state, and those that wait for another try.

    Where the host hides some, counting asks it, so the result is kept five times as long as it took.
    """
    if Sight(dispatch, actor).everything:
        return causes.counts(dispatch, actor, mailing_id), _retried(dispatch, mailing_id, actor)
    cached: dict[tuple[int, str], tuple[float, tuple[dict[str, int], int]]]
    cached = dispatch.cache.setdefault(_CACHE, {})
    until, known = cached.get((mailing_id, actor.ref), (0.0, ({}, 0)))
    began = time.monotonic()
    if began < until:
        return known
    known = causes.counts(dispatch, actor, mailing_id), _retried(dispatch, mailing_id, actor)
    took = time.monotonic() - began
    for key in [key for key, (old, _) in cached.items() if old < began - 60]:
        cached.pop(key, None)
    cached[mailing_id, actor.ref] = (began + took / _SHARE, known)
    return known


def _retried(dispatch: Dispatch, mailing_id: int, actor: Actor) -> int:
    sight = Sight(dispatch, actor)
    with dispatch.database.begin() as connection:
        if sight.everything:
            return store.retried(connection, mailing_id)
        found = store.retried_refs(connection, mailing_id)
    return sum(int(row[1]) for row in sight.of(found, lambda row: str(row[0])))
