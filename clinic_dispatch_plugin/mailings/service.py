"""What people do with mailings: start, pause, go on, cancel, look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.mailings import store
from clinic_dispatch_plugin.mailings.draft_checks import checked_draft
from clinic_dispatch_plugin.mailings.drafts import load
from clinic_dispatch_plugin.mailings.freezing import SCHEDULED, SENT, audit, freeze
from clinic_dispatch_plugin.mailings.order import checked_silences
from clinic_dispatch_plugin.mailings.planning import (
    PLAN_FAILED,
)
from clinic_dispatch_plugin.mailings.problems import MailingProblem, NotYours, Problem
from clinic_dispatch_plugin.mailings.schedule import check_times
from clinic_dispatch_plugin.mailings.sending import (
    StartedMailing,
    plan_or_ring,
    send,
    send_now,
)
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.registry import Dispatch

__all__ = [
    "MailingSummary",
    "StartedMailing",
    "cancel",
    "pause",
    "resume",
    "send",
    "send_now",
    "start",
    "summary",
]

CANCELLED = Answer(system="dispatch", code="cancelled")
#: One person starts no more mailings in a minute.
STARTS_A_MINUTE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MailingSummary:
    """Where a mailing stands."""

    mailing_id: int
    name: str
    state: MailingState
    recipients: int
    skipped: int
    counts: Mapping[str, int] = field(default_factory=dict)
    first_pass_at: datetime | None = None
    finished_at: datetime | None = None
    pause_reason: str = ""
    pause_text: str = ""


def start(dispatch: Dispatch, mailing_id: int, actor: Actor) -> bool:
    """Send a draft, or schedule one that has a time to start at; False: that was done before.

    :raises NotYours: there is no such mailing.
    :raises MailingProblem: the draft is not complete, or too many mailings were started in a minute.
    """
    draft = load(dispatch, mailing_id, actor)
    if draft.state is not MailingState.DRAFT:
        return False
    texts = checked_draft(dispatch, draft)
    silences = checked_silences(dispatch, draft.order, draft.silences)
    state = MailingState.SCHEDULED if draft.start_at else MailingState.PLANNING

    def work(connection: Connection) -> bool:
        moved = store.change_mailing(
            connection,
            mailing_id,
            {"state": state.value, "started_at": draft.start_at or db_now()},
            in_states=[MailingState.DRAFT],
        )
        if moved:
            _refuse_haste(connection, actor)
            check_times(now(connection), draft.start_at, draft.not_after)
            action = SCHEDULED if draft.start_at else SENT
            freeze(
                connection, mailing_id, texts, actor, action=action, state=state, silences=silences
            )
        return moved

    if not dispatch.database.run(work):
        return False
    if draft.start_at is None:
        plan_or_ring(dispatch, mailing_id)
    return True


def _refuse_haste(connection: Connection, actor: Actor) -> None:
    done = store.actions_since(connection, actor_ref=actor.ref, action=SENT, seconds=60)
    if done >= STARTS_A_MINUTE:
        message = (
            "You started {count} mailings within a minute. Wait a minute, then start this one."
        )
        raise MailingProblem(Problem(field="", message=message, fields={"count": done}))


def pause(dispatch: Dispatch, mailing_id: int, actor: Actor) -> bool:
    """Open no new window; False: it was not running."""
    values = {
        "state": MailingState.PAUSED.value,
        "pause_reason": "person",
        "pause_text": actor.name[:255],
    }
    return _move(dispatch, mailing_id, actor, "pause", values, [MailingState.RUNNING])


def resume(dispatch: Dispatch, mailing_id: int, actor: Actor) -> bool:
    """Let a paused mailing go on, or its broken plan; False: it was not paused."""
    with dispatch.database.begin() as connection:
        row = store.mailing(connection, mailing_id)
    if row is None:
        raise NotYours(mailing_id)
    unplanned = row["pause_reason"] == PLAN_FAILED
    state = MailingState.PLANNING if unplanned else MailingState.RUNNING
    values = {"state": state.value, "pause_reason": "", "pause_text": ""}
    moved = _move(dispatch, mailing_id, actor, "resume", values, [MailingState.PAUSED])
    if moved and unplanned:
        plan_or_ring(dispatch, mailing_id)
    elif moved:
        dispatch.doorbell.ring()
    return moved


def cancel(dispatch: Dispatch, mailing_id: int, actor: Actor) -> bool:
    """End a mailing for good: what waits is skipped; False: it was over already."""
    values = {
        "state": MailingState.CANCELLED.value,
        "pause_reason": "",
        "pause_text": "",
        "finished_at": db_now(),
    }
    alive = [
        MailingState.SCHEDULED,
        MailingState.PLANNING,
        MailingState.RUNNING,
        MailingState.PAUSED,
    ]

    def skip(connection: Connection) -> None:
        answer_id, _ = note_answer(dispatch, connection, CANCELLED)
        messages.skip_rest(connection, mailing_id, answer_id)

    return _move(dispatch, mailing_id, actor, "cancel", values, alive, then=skip)


def _move(
    dispatch: Dispatch,
    mailing_id: int,
    actor: Actor,
    action: str,
    values: Mapping[str, Any],
    in_states: Sequence[MailingState],
    then: Callable[[Connection], None] | None = None,
) -> bool:
    def work(connection: Connection) -> bool:
        moved = store.change_mailing(connection, mailing_id, values, in_states=in_states)
        if moved:
            audit(connection, actor, action, mailing_id)
            if then is not None:
                then(connection)
        elif store.mailing(connection, mailing_id) is None:
            raise NotYours(mailing_id)
        return moved

    return dispatch.database.run(work)


def summary(dispatch: Dispatch, mailing_id: int) -> MailingSummary:
    """Where a mailing stands, all messages counted.

    :raises NotYours: there is no such mailing.
    """
    with dispatch.database.begin() as connection:
        row = store.mailing(connection, mailing_id)
        if row is None:
            raise NotYours(mailing_id)
        counts = messages.counts(connection, mailing_id)
    return MailingSummary(
        mailing_id=mailing_id,
        name=row["name"],
        state=MailingState(row["state"]),
        recipients=sum(counts.values()),
        skipped=counts.get("skipped", 0),
        counts=counts,
        first_pass_at=row["first_pass_at"],
        finished_at=row["finished_at"],
        pause_reason=row["pause_reason"],
        pause_text=row["pause_text"],
    )
