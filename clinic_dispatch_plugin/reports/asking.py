"""Asks gateways what became of messages: before their window closes, a hundred at a time, as often as they like it."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.channels.channel import HearsReports, Sender
from clinic_dispatch_plugin.channels.errors import ChannelError, ConnectionFailed
from clinic_dispatch_plugin.channels.types import DeliveryReport, ReportStatus, SentMessage
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.engine import locks, prices
from clinic_dispatch_plugin.engine.stream import channel_failed
from clinic_dispatch_plugin.messages import money_store, reported_store
from clinic_dispatch_plugin.messages.rules import AttemptState
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports import asking_first, asking_store, inbox, schedule
from clinic_dispatch_plugin.reports.askable import Askable, askables

log = logging.getLogger(__name__)

#: Seconds between two rounds of the worker.
EVERY_SECONDS = 5.0
#: Messages one question is about.
MOST = 100
#: Seconds between two questions at one account; the strictest gateway takes one a minute.
PAUSE_SECONDS = 60.0
#: Seconds until an account is asked again that could not be asked.
AFTER_TROUBLE = 300.0
#: Seconds one question may take.
_LEASE = 180.0
#: Answers "no such message" after which a message in doubt was never taken, once its quarantine is over.
NOT_FOUND_TIMES = 3
_CLOSED_AT_ONCE = 500


@dataclass(slots=True, kw_only=True)
class Asked:
    """What came of one question."""

    askable: Askable
    #: Messages asked for.
    number: int = 0
    #: Reports by what they say.
    said: Counter[str] = field(default_factory=Counter)
    #: Why the gateway could not be asked, or not to the end.
    trouble: ChannelError | None = None
    #: Until when it wants no further question; None: it was not to be asked at all just now.
    until: datetime | None = None


def go_round(dispatch: Dispatch) -> None:
    """Ask every gateway for what is due, and close what nobody can be asked about any more."""
    several = askables(dispatch)
    for each in several:
        ask(dispatch, each)
        close(dispatch, each)
    asking_first.go_on(dispatch, {each.account_id: each.window for each in several})


def close(dispatch: Dispatch, askable: Askable) -> int:
    """What was accepted and never reported within the window has no report; one that comes all the same counts."""
    return dispatch.database.run(
        lambda c: reported_store.give_up_waiting(
            c, askable.account_id, window=askable.window, limit=_CLOSED_AT_ONCE
        )
    )


def ask(dispatch: Dispatch, askable: Askable) -> Asked | None:
    """Ask for at most a hundred that are due; None: nothing is, or the gateway wants a pause."""
    rows = _due(dispatch, askable)
    if not rows or not locks.take(dispatch, askable.lock, uuid.uuid4().hex, seconds=_LEASE):
        return None
    done = Asked(askable=askable)
    pause = AFTER_TROUBLE
    try:
        # Another process may have asked for these before the lock was ours.
        rows = _due(dispatch, askable)
        done.number = len(rows)
        _ask(dispatch, done, rows)
        pause = _pause_after(done)
    finally:
        locks.wait(dispatch, askable.lock, seconds=pause)
    done.until = locks.waits_until(dispatch, askable.lock)
    inbox.process(dispatch)
    return done


def _due(dispatch: Dispatch, askable: Askable) -> Sequence[RowMapping]:
    with dispatch.database.begin() as connection:
        return asking_store.due(
            connection,
            askable.account_id,
            window=askable.window,
            first=schedule.first_after(askable.window),
            limit=MOST,
            at_once=asking_first.soon(connection),
        )


def _pause_after(done: Asked) -> float:
    if done.trouble is None:
        return PAUSE_SECONDS
    if isinstance(done.trouble, ConnectionFailed) and done.trouble.retry_after is not None:
        return max(PAUSE_SECONDS, done.trouble.retry_after)
    return AFTER_TROUBLE


def _ask(dispatch: Dispatch, done: Asked, rows: Sequence[RowMapping]) -> None:
    """One question; whatever was said before it broke off is kept."""
    channel = dispatch.channels[done.askable.account.channel]
    absent: list[RowMapping] = []
    try:
        with channel.open(done.askable.account) as sender:
            for report in _answers(sender, rows):
                _take(dispatch, done, report, rows, absent)
    except ChannelError as error:
        log.warning(
            "%s cannot be asked: %s %s",
            done.askable.account.label,
            error.answer.system,
            error.answer.code,
        )
        done.trouble = error
    except SQLAlchemyError:
        raise
    except Exception as error:
        log.error("channel %s failed when asked: %s", channel.key, places(error))
        done.trouble = channel_failed(error)
    if done.trouble is None:
        _note_asked(dispatch, done.askable, rows)
        for row in absent:
            _count_absence(dispatch, row)


def _answers(sender: Sender, rows: Sequence[RowMapping]) -> Iterator[DeliveryReport]:
    """What it says about these, and then what else came by itself meanwhile."""
    yield from sender.check(
        [
            SentMessage(
                attempt_id=row["id"],
                attempt_key=row["key"],
                provider_id=row["provider_id"],
                address=row["address"],
                opened_at=row["opened_at"],
            )
            for row in rows
        ]
    )
    if isinstance(sender, HearsReports):
        yield from sender.reports()


def _take(
    dispatch: Dispatch,
    done: Asked,
    report: DeliveryReport,
    rows: Sequence[RowMapping],
    absent: list[RowMapping],
) -> None:
    done.said[report.status.value] += 1
    askable = done.askable
    if report.status is ReportStatus.NOT_FOUND:
        if askable.proves_absence:
            absent.extend(row for row in rows if _is_about(report, row))
        return
    inbox.keep(
        dispatch,
        [report],
        channel=askable.account.channel,
        account_id=askable.account_id,
        source="asked",
    )


def _is_about(report: DeliveryReport, row: RowMapping) -> bool:
    if row["state"] != AttemptState.UNCERTAIN.value:
        return False  # what it took once it may forget: that proves nothing
    if report.attempt_key:
        return bool(report.attempt_key == row["key"])
    return bool(report.provider_id) and report.provider_id == row["provider_id"]


def _note_asked(dispatch: Dispatch, askable: Askable, rows: Sequence[RowMapping]) -> None:
    third = dispatch.settings.quarantine_seconds / NOT_FOUND_TIMES

    def work(connection: Connection) -> None:
        now = database_now(connection)
        asking_store.asked(
            connection,
            [
                {"attempt_id": row["id"], "next_at": _next(row, now, askable.window, third)}
                for row in rows
            ],
        )

    dispatch.database.run(work)


def _next(row: RowMapping, now: datetime, window: float, third: float) -> datetime | None:
    planned = schedule.next_ask(row["opened_at"], now, window=window)
    if planned is None or row["state"] != AttemptState.UNCERTAIN.value:
        return planned
    return min(planned, max(now + timedelta(seconds=third), now + timedelta(seconds=1)))


def _count_absence(dispatch: Dispatch, row: RowMapping) -> None:
    """A message in doubt the gateway never had is due again: after its quarantine, and asked for three times."""
    quarantine = dispatch.settings.quarantine_seconds

    def work(connection: Connection) -> bool:
        reported_store.hold_mailing_of(connection, row["message_id"])
        now = database_now(connection)
        if dispatch.awaited_until(connection, [row["id"]]):
            return False
        if asking_first.is_asked(connection, row["message_id"]):
            return False  # it was refused: that it is not there is no news
        since = row["closed_at"] or row["opened_at"]
        if (now - since).total_seconds() < quarantine:
            return False
        counted = row["counted_at"]
        spaced = quarantine / NOT_FOUND_TIMES
        # Somebody who asks at once asks between: that is no further proof.
        if counted is not None and (now - counted).total_seconds() < spaced * 0.9:
            return False
        if asking_store.count_not_found(connection, row["id"]) < NOT_FOUND_TIMES:
            return False
        was = money_store.costs(connection, [row["id"]])
        found = reported_store.never_taken(connection, row["message_id"], row["id"])
        prices.note_withdrawn(dispatch, connection, was)
        return found

    if dispatch.database.run(work):
        ids = {"message_id": row["message_id"], "attempt_id": row["id"]}
        text = "message %s was never taken by its gateway and waits again"
        log.info(text, row["message_id"], extra=ids)
        dispatch.doorbell.ring()
