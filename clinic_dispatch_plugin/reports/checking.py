"""*Check delivery*: somebody wants to know now what became of a mailing, a message, or everything."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import Connection

from clinic_dispatch_plugin.engine import locks
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import reported_store
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports import asking_store, inbox, schedule
from clinic_dispatch_plugin.reports.askable import Askable, askables
from clinic_dispatch_plugin.reports.asking import Asked, ask, close

#: Messages one wish is about; a gateway takes a hundred a minute.
MOST = 2_000


def can_be_asked_until(
    dispatch: Dispatch,
    *,
    mailing_id: int | None = None,
    message_id: int | None = None,
    channels: Collection[str] | None = None,
) -> datetime | None:
    """Until when the last of what has no last word can be asked for; None: there is nothing to ask.

    :param channels: those it may have gone through; None: any.
    """
    ends = []
    several = [
        each for each in askables(dispatch) if channels is None or each.account.channel in channels
    ]
    with dispatch.database.begin() as connection:
        for each in several:
            last = reported_store.last_unreported(
                connection,
                each.account_id,
                within=each.window,
                mailing_id=mailing_id,
                message_id=message_id,
            )
            ends += [schedule.closes_at(last, each.window)] if last is not None else []
    return max(ends, default=None)


def open_ones(dispatch: Dispatch, askable: Askable, *, mailing_id: int | None = None) -> int:
    """How many of an account's messages still wait for their last word."""
    with dispatch.database.begin() as connection:
        return reported_store.count_unreported(
            connection, askable.account_id, within=askable.window, mailing_id=mailing_id
        )


def want(
    dispatch: Dispatch,
    actor: Actor,
    *,
    mailing_id: int | None = None,
    message_id: int | None = None,
) -> int:
    """Have the gateways asked as soon as they take a question, and write down who wanted it; returns for how many."""
    several = askables(dispatch)

    def work(connection: Connection) -> int:
        number = 0
        for each in several:
            rows = reported_store.unreported(
                connection,
                each.account_id,
                within=each.window,
                limit=MOST,
                mailing_id=mailing_id,
                message_id=message_id,
            )
            number += asking_store.want_now(connection, [row["id"] for row in rows])
        if number:
            messages.write_audit(
                connection,
                actor_ref=actor.ref,
                actor_name=actor.name,
                action="check_delivery",
                mailing_id=mailing_id,
                message_ids=[message_id],
                details={"messages": number},
            )
        return number

    return dispatch.database.run(work)


def check_now(
    dispatch: Dispatch, actor: Actor, *, mailing_id: int | None = None
) -> Iterator[Asked]:
    """Ask each gateway once, about a hundred messages at most, and do what it says; the rest is asked for in turn."""
    want(dispatch, actor, mailing_id=mailing_id)
    inbox.process(dispatch)
    for each in askables(dispatch):
        done = ask(dispatch, each)
        close(dispatch, each)
        yield done or Asked(askable=each, until=waits_until(dispatch, each))


def waits_until(dispatch: Dispatch, askable: Askable) -> datetime | None:
    """Until when this gateway wants no further question; None: it can be asked now."""
    return locks.waits_until(dispatch, askable.lock)
