"""The list of mailings: newest first, a page at a time, and the drafts somebody left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import RowMapping

from clinic_dispatch_plugin.host.types import Action, Actor
from clinic_dispatch_plugin.mailings import store
from clinic_dispatch_plugin.messages import causes
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.routes import order_of
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.asking import ask

PAGE = 25
MOST_DRAFTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MailingLine:
    """One mailing in the list."""

    id: int
    name: str
    state: MailingState
    purpose: str
    #: Its channels, the first one first.
    order: Sequence[str]
    #: A trial somebody sent to themselves.
    trial: bool
    created_by_name: str
    created_at: datetime
    started_at: datetime | None
    first_pass_at: datetime | None
    pause_reason: str
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Messages there are."""
        return sum(self.counts.values())

    @property
    def under_way(self) -> bool:
        """Whether its progress is worth watching."""
        live = (
            MailingState.SCHEDULED,
            MailingState.PLANNING,
            MailingState.RUNNING,
            MailingState.PAUSED,
        )
        return self.state in live and self.first_pass_at is None


def list_mailings(
    dispatch: Dispatch, actor: Actor, *, before: int | None = None, limit: int = PAGE
) -> tuple[list[MailingLine], int | None]:
    """A page of mailings, newest first, and where the next page begins; None: there is none."""
    with dispatch.database.begin() as connection:
        rows = store.mailings(connection, before=before, limit=limit + 1)
        ids = [row["id"] for row in rows[:limit]]
        everything = Sight(dispatch, actor).everything
        counts = store.counts_of(connection, ids) if everything else {}
    if not everything:
        counts = {mailing_id: causes.counts(dispatch, actor, mailing_id) for mailing_id in ids}
    lines = [_line(row, counts.get(row["id"], {})) for row in rows[:limit]]
    return lines, ids[-1] if len(rows) > limit else None


def drafts_of(dispatch: Dispatch, actor: Actor) -> Sequence[MailingLine]:
    """What this actor began and did not send; everybody's for whoever administers them all."""
    everybodys = ask("is_allowed", lambda: dispatch.host.is_allowed(actor, Action.CONFIGURE))
    whose = None if everybodys else actor.ref[:128]
    with dispatch.database.begin() as connection:
        rows = store.drafts(connection, created_by=whose, limit=MOST_DRAFTS)
    return [_line(row, {}) for row in rows]


def _line(row: RowMapping, counts: Mapping[str, int]) -> MailingLine:
    return MailingLine(
        id=row["id"],
        name=row["name"],
        state=MailingState(row["state"]),
        purpose=row["purpose"],
        order=order_of(row["channel"], row["fallbacks"]),
        trial=bool((row["selection"] or {}).get("trial")),
        created_by_name=row["created_by_name"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        first_pass_at=row["first_pass_at"],
        pause_reason=row["pause_reason"],
        counts=counts,
    )
