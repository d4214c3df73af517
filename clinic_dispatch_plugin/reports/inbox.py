"""Reports of gateways: kept first, whatever they say, and then done by a worker, each once and in any order."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from clinic_dispatch_plugin.channels.types import DeliveryReport, ReportStatus
from clinic_dispatch_plugin.engine import prices
from clinic_dispatch_plugin.engine.tender import ring_for_work
from clinic_dispatch_plugin.messages import reported_store
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports import asking_first, effects, inbox_store
from clinic_dispatch_plugin.reports.effects import Tie
from clinic_dispatch_plugin.reports.rules import ReportState
from clinic_dispatch_plugin.reports.said import READ, answer_in, kept, parts_in, price_in, whole
from clinic_dispatch_plugin.reports.silence import go_on_in_silence
from clinic_dispatch_plugin.reports.telling import tell_host
from clinic_dispatch_plugin.reports.tying import Contradiction, Named, Parts, named, parts_of

log = logging.getLogger(__name__)

#: Seconds between two rounds of the worker.
EVERY_SECONDS = 3.0
#: Seconds a report without a message is kept: its id may still appear.
KEPT_SECONDS = 86_400.0
#: Seconds until it is looked at again; later, every hour.
_LOOKS = (5.0, 15.0, 60.0, 300.0, 1_800.0)
_HOURLY = 3_600.0
#: Reports that may wait for their first look; with more the gateway is told to come again.
MOST_WAITING = 50_000
#: Reports without a message that are kept; beyond, the oldest go.
MOST_UNKNOWN = 20_000
_PORTION = 200
#: Seconds one round works at most.
_LONGEST = 30.0


class InboxFull(Exception):
    """So many reports wait that no more are taken: the gateway comes again later."""


def keep(
    dispatch: Dispatch,
    reports: Iterable[DeliveryReport],
    *,
    channel: str,
    account_id: int,
    source: str,
) -> int:
    """Keep what a gateway said, in one transaction; returns how much of it is new.

    :raises InboxFull: too many wait already; nothing is kept.
    """
    rows = [
        kept(each, channel=channel, account_id=account_id, source=source)
        for each in reports
        if each.status is not ReportStatus.NOT_FOUND  # nothing is known: no news
    ]

    def work(connection: Connection) -> int:
        if inbox_store.waiting(connection, most=MOST_WAITING) >= MOST_WAITING:
            raise InboxFull
        return inbox_store.add(connection, rows)

    if not rows:
        return 0
    try:
        return dispatch.database.run(work)
    except IntegrityError:  # another process kept the same one first
        return dispatch.database.run(work)


def hear(dispatch: Dispatch, channel: str, account_id: int, report: DeliveryReport) -> None:
    """Keep what a gateway said by itself over the connection that sends."""
    keep(dispatch, [report], channel=channel, account_id=account_id, source="heard")


def process(dispatch: Dispatch) -> int:
    """Do what is due; returns how many reports found their message."""
    end, tied = time.monotonic() + _LONGEST, 0
    parts = Parts()
    while time.monotonic() < end:
        with dispatch.database.begin() as connection:
            waiting = inbox_store.due(connection, _PORTION)
        if not waiting:
            break
        tied += sum(_process_one(dispatch, each, parts) for each in waiting)
    _forget(dispatch)
    return tied


def go_round(dispatch: Dispatch) -> None:
    """Do what came, and only then send on what nobody reports about; what waits anew goes out at once."""
    moved = process(dispatch)
    with dispatch.database.begin() as connection:
        unread = inbox_store.due(connection, 1)
    if not unread:
        moved += go_on_in_silence(dispatch)
    if moved:
        dispatch.database.run(messages.reopen_unfinished)
        ring_for_work(dispatch)


def _process_one(dispatch: Dispatch, report_id: int, parts: Parts) -> bool:
    try:
        found = dispatch.database.run(
            lambda connection: _do(dispatch, connection, report_id, parts)
        )
        if found is not None:
            tell_host(dispatch, *found)
        return found is not None
    except SQLAlchemyError:
        raise
    except Exception as error:
        # One report must not keep the others from being heard.
        log.error("report %s cannot be used: %s", report_id, places(error))
        dispatch.database.run(lambda c: inbox_store.put_off(c, report_id, _HOURLY))
        return False


def _do(
    dispatch: Dispatch, connection: Connection, report_id: int, parts: Parts
) -> tuple[RowMapping, RowMapping] | None:
    """What was kept, and the attempt it was about; None: it is for nobody yet."""
    row = inbox_store.take(connection, report_id)
    if row is None:
        return None
    try:
        found = named(connection, row, parts)
    except Contradiction:
        log.warning("report %s names more than one message, so it is used for none", report_id)
        inbox_store.change(connection, report_id, state=ReportState.STRANGE.value, look_at=None)
        return None
    if found is None or Tie(attempt=found.attempt).is_early:
        looks = int(row["looks"]) - 1
        seconds = _LOOKS[looks] if looks < len(_LOOKS) else _HOURLY
        inbox_store.put_off(connection, report_id, _LOOKS[0] if found else seconds)
        return None
    waits = asking_first.seconds_to_wait(dispatch, connection, row, found.attempt)
    if waits:
        inbox_store.put_off(connection, report_id, waits)
        return None
    _tie(dispatch, connection, row, found)
    return row, found.attempt


def _tie(dispatch: Dispatch, connection: Connection, row: RowMapping, found: Named) -> None:
    tie = Tie(attempt=found.attempt)
    inbox_store.change(
        connection,
        row["id"],
        state=ReportState.TIED.value,
        look_at=None,
        part=found.part,
        message_id=tie.message_id,
        attempt_id=tie.attempt["id"],
    )
    if not found.part and (price := price_in(row, found.attempt["currency"])):
        prices.note_reported(dispatch, connection, tie.attempt["id"], price, parts_in(row))
    answer_id = _apply(dispatch, connection, row, tie, _meaning(connection, row, found))
    if answer_id is not None:
        inbox_store.change(connection, row["id"], answer_id=answer_id)


def _meaning(connection: Connection, row: RowMapping, found: Named) -> str:
    """What a report makes of the whole message; a part's report alone is not the last word."""
    if not found.part:
        return str(row["action"])
    parts = parts_of(found.attempt["provider_id"])
    if found.part not in parts:
        failed = row["action"] == ReportStatus.FAILED.value
        return str(row["action"]) if failed else ReportStatus.UNDER_WAY.value
    return whole(parts, inbox_store.said_of_parts(connection, found.attempt["id"]))


def _apply(
    dispatch: Dispatch, connection: Connection, row: RowMapping, tie: Tie, action: str
) -> int | None:
    """Do what is said to the message; returns the answer that explains it, where it failed."""
    here = (tie.message_id, tie.attempt["id"])
    reported_store.hold_mailing_of(connection, tie.message_id)
    if row["provider_id"]:
        reported_store.name_attempt(connection, tie.attempt["id"], row["provider_id"])
    if action == ReportStatus.FAILED.value:
        return effects.failed(dispatch, connection, answer_in(row), tie)
    if action in (READ, ReportStatus.DELIVERED.value):
        effects.arrived(connection, tie, report=action)
        return None
    # Whatever else it says, the gateway has the message.
    reported_store.went_out(connection, tie.attempt["id"])
    reported_store.prove_sent(connection, *here)
    if action == ReportStatus.NO_REPORT.value:
        reported_store.note_report(connection, tie.attempt["id"], action)
    return None


def _forget(dispatch: Dispatch) -> None:
    def work(connection: Connection) -> int:
        gone = inbox_store.forget(connection, older_than=KEPT_SECONDS)
        return gone + inbox_store.forget_oldest(connection, beyond=MOST_UNKNOWN)

    if gone := dispatch.database.run(work):
        log.warning("%d reports of gateways belonged to no message and are forgotten", gone)
