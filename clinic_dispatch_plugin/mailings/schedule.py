"""When a mailing starts and ends: what may be changed of one that waits for its time or is under way."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.mailings import store
from clinic_dispatch_plugin.mailings.drafts import (
    LONGEST_NAME,
    PASSED,
    Draft,
    Times,
    set_times,
)
from clinic_dispatch_plugin.mailings.freezing import SENT, audit
from clinic_dispatch_plugin.mailings.problems import MailingProblem, NotYours, Problem
from clinic_dispatch_plugin.mailings.sending import plan_or_ring
from clinic_dispatch_plugin.mailings.sources import one_line
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.routes import order_of
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.i18n import N_

#: Actions in the audit trail.
UNSCHEDULED, CHANGED = "unschedule", "change"
#: Nobody plans further ahead than this.
FARTHEST = timedelta(days=366)
TOO_FAR = N_("This is more than a year ahead: enter an earlier time.")
BEFORE_START = N_("This is before the mailing starts: enter a later time or leave the field empty.")
#: States in which the last moment still means something.
ALIVE = (
    MailingState.SCHEDULED,
    MailingState.PLANNING,
    MailingState.RUNNING,
    MailingState.PAUSED,
)


def check_times(at: datetime, start_at: datetime | None, not_after: datetime | None) -> None:
    """See that a mailing starts in the future, within a year, and before its last moment.

    :raises MailingProblem: it does not.
    """
    problems = []
    if start_at is not None and start_at <= at:
        problems.append(Problem(field="start_at", message=PASSED))
    if start_at is not None and start_at > at + FARTHEST:
        problems.append(Problem(field="start_at", message=TOO_FAR))
    if not_after is not None and not_after <= at:
        problems.append(Problem(field="not_after", message=PASSED))
    elif not_after is not None and start_at is not None and not_after <= start_at:
        problems.append(Problem(field="not_after", message=BEFORE_START))
    if problems:
        raise MailingProblem(*problems)


def keep_times(dispatch: Dispatch, draft: Draft, times: Times) -> None:
    """Step three of a draft: when it starts, and until when it goes out.

    :raises MailingProblem: one of the times has passed, or they do not fit together.
    """
    with dispatch.database.begin() as connection:
        at = now(connection)
    check_times(at, times.start_at, times.not_after)
    set_times(dispatch, draft, times)


def mailing_row(dispatch: Dispatch, mailing_id: int) -> RowMapping:
    """A mailing.

    :raises NotYours: there is none.
    """
    with dispatch.database.begin() as connection:
        row = store.mailing(connection, mailing_id)
    if row is None:
        raise NotYours(mailing_id)
    return row


def change(
    dispatch: Dispatch,
    mailing_id: int,
    actor: Actor,
    *,
    name: str,
    not_after: datetime | None,
    start_at: datetime | None,
) -> bool:
    """Give a mailing another name, another last moment, and while it is scheduled another start.

    :returns: False: it went on meanwhile, so that a time could not be changed any more; nothing was.
    :raises MailingProblem: the name is empty or too long, or a time has passed.
    :raises NotYours: there is no such mailing.
    """
    row = mailing_row(dispatch, mailing_id)
    values: dict[str, Any] = {"name": _name(name)}
    states = list(MailingState)
    state = MailingState(row["state"])
    if state in ALIVE and not_after != row["not_after"]:
        values["not_after"], states = not_after, list(ALIVE)
    if state is MailingState.SCHEDULED and start_at is not None:
        values["started_at"], states = start_at, [MailingState.SCHEDULED]
    changed = {key: [_said(row[key]), _said(new)] for key, new in values.items() if row[key] != new}

    def work(connection: Connection) -> bool:
        new_start, new_end = values.get("started_at"), values.get("not_after")
        check_times(
            now(connection),
            new_start if "started_at" in changed else None,
            new_end if "not_after" in changed else None,
        )
        if new_start and not_after and not_after <= new_start:
            raise MailingProblem(Problem(field="not_after", message=BEFORE_START))
        done = store.change_mailing(connection, mailing_id, values, in_states=states)
        if done and changed:
            messages.write_audit(
                connection,
                actor_ref=actor.ref,
                actor_name=actor.name,
                action=CHANGED,
                mailing_id=mailing_id,
                details=changed,
            )
        return done

    return dispatch.database.run(work)


def _said(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _name(typed: str) -> str:
    name = one_line(typed)
    if not name:
        raise MailingProblem(Problem(field="name", message="Give the mailing a name."))
    if len(name) > LONGEST_NAME:
        message = "The name has {length} characters, at most {limit} are possible."
        fields = {"length": len(name), "limit": LONGEST_NAME}
        raise MailingProblem(Problem(field="name", message=message, fields=fields))
    return name


def back_to_draft(dispatch: Dispatch, mailing_id: int, actor: Actor) -> bool:
    """Let a scheduled mailing be written again; False: it started meanwhile."""
    row = mailing_row(dispatch, mailing_id)
    order = order_of(row["channel"], row["fallbacks"])
    values = {
        "state": MailingState.DRAFT.value,
        "revision_id": None,
        "fallbacks": [{"channel": key} for key in order[1:]],
    }
    return _leave(dispatch, mailing_id, actor, values, UNSCHEDULED)


def start_now(dispatch: Dispatch, mailing_id: int, actor: Actor) -> bool:
    """Start a scheduled mailing before its time; False: it started meanwhile."""
    values = {"state": MailingState.PLANNING.value, "started_at": db_now(), "draft": None}
    done = _leave(dispatch, mailing_id, actor, values, SENT)
    if done:
        plan_or_ring(dispatch, mailing_id)
    return done


def _leave(
    dispatch: Dispatch, mailing_id: int, actor: Actor, values: dict[str, Any], action: str
) -> bool:
    def work(connection: Connection) -> bool:
        moved = store.change_mailing(
            connection, mailing_id, values, in_states=[MailingState.SCHEDULED]
        )
        if moved:
            audit(connection, actor, action, mailing_id)
        return moved

    return dispatch.database.run(work)
