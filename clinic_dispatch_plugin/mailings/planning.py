"""Turns a mailing's recipients into message rows, in portions, so that a broken plan goes on where it stopped."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import DBAPIError

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.channels.faults import InjectedFault, fail_point
from clinic_dispatch_plugin.database.connection import is_repeatable, now
from clinic_dispatch_plugin.engine.prepare import load_text
from clinic_dispatch_plugin.engine.store import take_lock
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.mailings import store, uploads
from clinic_dispatch_plugin.mailings.checks import Reason, Seen, person_key
from clinic_dispatch_plugin.mailings.judging import LONGEST_LOCALE, Judge, Leg, Verdict
from clinic_dispatch_plugin.mailings.list_rows import BadRows
from clinic_dispatch_plugin.mailings.problems import HostFailed, MailingProblem, NoRoute, NotYours
from clinic_dispatch_plugin.mailings.quiet import Quiet
from clinic_dispatch_plugin.mailings.recipient_file import RecipientFileError
from clinic_dispatch_plugin.mailings.sources import (
    LONGEST_REF,
    AudienceSource,
    Candidate,
    FileSource,
    Spool,
    audience_candidates,
    chunks,
    file_candidates,
)
from clinic_dispatch_plugin.messages import holds
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.access import CommandLine, Sight
from clinic_dispatch_plugin.messages.mailing_rules import PLAN_BATCH, MailingState, priority
from clinic_dispatch_plugin.messages.routes import Passed, Route, order_of
from clinic_dispatch_plugin.messages.rules import MessageState, new_key
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

PLAN_FAILED = "plan_failed"
_FAILURES: Mapping[type[Exception], str] = {
    NotYours: holds.LIST_GONE,
    RecipientFileError: holds.LIST_UNREADABLE,
    HostFailed: holds.HOST_SILENT,
    MailingProblem: holds.GROUP_REFUSED,
    NoRoute: holds.NO_ACCOUNT,
    DBAPIError: holds.DATABASE,
}


class PlanOutcome(StrEnum):
    """How a call of :func:`plan` ended."""

    #: Every message is written and may go out.
    WHOLE = "whole"
    #: More recipients than the caller writes by itself; nothing was written.
    TOO_MANY = "too_many"
    #: Another process has it, or it is planned, cancelled or gone.
    NOT_OURS = "not_ours"
    #: The mailing is paused and says why.
    FAILED = "failed"


class PlanLost(Exception):
    """Somebody else took this plan over, or cancelled the mailing."""


def plan(dispatch: Dispatch, mailing_id: int, *, most: int | None = None) -> PlanOutcome:
    """Write the messages of a mailing that is being planned, or the rest of them; safe to call again and again.

    :param most: give up before writing when there are more recipients than this.
    """
    lease = _Lease(dispatch, mailing_id)
    if not lease.taken():
        return PlanOutcome.NOT_OURS
    try:
        outcome = _plan(dispatch, mailing_id, lease, most)
    except PlanLost:
        return PlanOutcome.NOT_OURS
    except InjectedFault:
        raise
    except Exception as error:
        if isinstance(error, DBAPIError) and (error.connection_invalidated or is_repeatable(error)):
            raise  # the rows so far are kept; the next call goes on
        log.error("mailing %d could not be planned: %s", mailing_id, places(error))
        _pause(dispatch, mailing_id, error)
        return PlanOutcome.FAILED
    finally:
        lease.give_back()
    if outcome is PlanOutcome.WHOLE:
        dispatch.doorbell.ring()
    return outcome


def plan_within(
    dispatch: Dispatch, connection: Connection, mailing_id: int, candidates: Iterable[Candidate]
) -> None:
    """Write all messages of a mailing in the caller's transaction."""
    row = store.mailing(connection, mailing_id)
    assert row is not None
    writer = _Writer(dispatch, connection, row, Seen())
    for batch in chunks(candidates, PLAN_BATCH):
        writer.write(connection, writer.judge.judge(connection, batch))
    _whole(connection, mailing_id)


def source_of(dispatch: Dispatch, row: Mapping[Any, Any]) -> AudienceSource | FileSource:
    """Where a mailing's recipients come from.

    :raises NotYours: its list is not there any more.
    :raises LookupError: nothing was chosen yet.
    """
    selection = row["selection"] or {}
    if row["source"] == "file":
        found = uploads.path(dispatch, selection.get("upload"))
        return FileSource(path=found, file_name=str(selection.get("file_name", "")))
    return AudienceSource(key=str(selection["audience"]), filters=selection.get("filters") or {})


def candidates_of(
    dispatch: Dispatch, row: Mapping[Any, Any], *, bad_rows: BadRows | None = None, skip: int = 0
) -> Iterator[Candidate]:
    """The recipients of a mailing, streamed; ``skip`` counts for files alone."""
    source = source_of(dispatch, row)
    purpose, order = row["purpose"], order_of(row["channel"], row["fallbacks"])
    if isinstance(source, FileSource):
        return file_candidates(
            dispatch.host,
            source,
            purpose=purpose,
            order=order,
            sight=Sight(dispatch, writer_of(row)),
            bad_rows=bad_rows,
            skip=skip,
        )
    return audience_candidates(dispatch.host, source, purpose=purpose, order=order)


def writer_of(row: Mapping[Any, Any]) -> Actor:
    """Whoever made a mailing, as it is known where no request is; code and commands see everybody."""
    ref, name = str(row["created_by"]), str(row["created_by_name"])
    return CommandLine(name=name) if ref == CommandLine().ref else Actor(ref=ref, name=name)


class _Lease:
    """Keeps two processes from planning one mailing at once."""

    def __init__(self, dispatch: Dispatch, mailing_id: int) -> None:
        self._dispatch = dispatch
        self._name = f"plan-{mailing_id}"
        self._owner = f"{socket.gethostname()[:80]}-{os.getpid()}-{new_key()[:8]}"
        self._seconds = max(10.0, dispatch.settings.lease_seconds)
        self._renewed = time.monotonic()

    def taken(self) -> bool:
        return self._dispatch.database.run(self.hold)

    def hold(self, connection: Connection) -> bool:
        """Take or renew; writes, so it may stand first in a transaction."""
        self._renewed = time.monotonic()
        return take_lock(connection, self._name, self._owner, self._seconds)

    def kept_over(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """The same stream; renews while it lasts."""
        for candidate in candidates:
            if time.monotonic() - self._renewed > self._seconds / 4 and not self.taken():
                raise PlanLost
            yield candidate

    def give_back(self) -> None:
        try:
            self._dispatch.database.run(
                lambda connection: store.remove_lock(connection, self._name, self._owner)
            )
        except DBAPIError:
            log.warning("lock %s stays until its lease is over", self._name)


class _Writer:
    """Makes rows of verdicts; holds what is the same for all of a mailing."""

    def __init__(
        self, dispatch: Dispatch, connection: Connection, row: RowMapping, seen: Seen
    ) -> None:
        self._dispatch = dispatch
        self._mailing_id, self.purpose = int(row["id"]), str(row["purpose"])
        order = order_of(row["channel"], row["fallbacks"])
        if order[0] not in dispatch.channels:
            raise NoRoute(order[0])
        self._order = [key for key in order if key in dispatch.channels]
        self._account_ids = {
            key: way.row_id
            for key in self._order
            if (way := accounts.way(dispatch, connection, key, row["purpose"])) is not None
        }
        self._quiet = Quiet(dispatch, row)
        self.judge = Judge(
            dispatch=dispatch,
            legs=[
                Leg(
                    channel=dispatch.channels[key],
                    text=load_text(connection, self._mailing_id, key),
                    routed=key in self._account_ids,
                )
                for key in self._order
            ],
            overruled=overruled(not_after=row["not_after"], at=now(connection)),
            seen=seen,
        )

    def write(self, connection: Connection, verdicts: Sequence[Verdict]) -> None:
        at = now(connection)
        reasons = {(each.channel, each.reason) for each in verdicts if each.reason}
        reasons |= {one for verdict in verdicts for one in verdict.passed}
        answers = {
            (channel, reason): note_answer(
                self._dispatch, connection, reason.answer, channel=channel
            )[0]
            for channel, reason in sorted(reasons)
        }
        rows = [self._row(verdict, at, answers) for verdict in verdicts]
        self._quiet.put_off(
            connection, rows, at, [verdict.candidate.timezone for verdict in verdicts]
        )
        messages.add_messages(connection, rows)

    def _row(
        self, verdict: Verdict, at: datetime, answers: Mapping[tuple[str, Reason], int]
    ) -> dict[str, Any]:
        candidate, reason = verdict.candidate, verdict.reason
        goes = reason is None
        row = {
            "key": new_key(),
            "mailing_id": self._mailing_id,
            "account_id": self._account_ids.get(verdict.channel),
            "channel": verdict.channel,
            "ref": candidate.ref[:LONGEST_REF],
            "name": candidate.name,
            "locale": candidate.locale[:LONGEST_LOCALE],
            "address": verdict.address,
            "data": self.judge.data(candidate),
            "line": candidate.line,
            "duplicate_key": verdict.duplicate_key,
            "state": (MessageState.QUEUED if goes else MessageState.SKIPPED).value,
            "due_at": at if goes else None,
            "answer_id": answers[verdict.channel, reason] if reason else None,
            "created_at": at,
            "final_at": None if goes else at,
        }
        if len(self._order) > 1:
            passed = [
                Passed(channel=key, answer_id=answers[key, why]) for key, why in verdict.passed
            ]
            route = Route(addresses=self.judge.addresses(candidate), passed=passed)
            row["route"] = route.stored()
        return row


def overruled(*, not_after: datetime | None, at: datetime) -> Reason | None:
    """A reason that holds for every recipient of a mailing."""
    return Reason.EXPIRED if not_after is not None and not_after <= at else None


def _plan(dispatch: Dispatch, mailing_id: int, lease: _Lease, most: int | None) -> PlanOutcome:
    def prepared(connection: Connection) -> tuple[RowMapping, _Writer, int]:
        if not lease.hold(connection):
            raise PlanLost
        row = store.mailing(connection, mailing_id)
        if row is None or row["state"] != MailingState.PLANNING.value:
            raise PlanLost
        seen = Seen()
        if row["planned"]:
            _remember(connection, mailing_id, seen)
        return (
            row,
            _Writer(dispatch, connection, row, seen),
            store.last_message(connection, mailing_id),
        )

    row, writer, last_id = dispatch.database.run(prepared)
    planned = int(row["planned"])
    is_file = row["source"] == "file"
    found = candidates_of(dispatch, row, skip=planned)
    spool = Spool()
    try:
        if not is_file or most is not None:
            # The host's own reading is over before the first row is written.
            if not spool.fill(lease.kept_over(found), limit=most):
                return PlanOutcome.TOO_MANY
            found = iter(spool)
        for batch, is_last in with_last(chunks(found, PLAN_BATCH)):
            if planned and not is_file:
                batch = _without_planned(dispatch, mailing_id, batch, up_to=last_id)
            _commit(dispatch, mailing_id, lease, writer, batch, at=planned, is_last=is_last)
            planned += len(batch)
            fail_point("plan.mid_batch")
    finally:
        spool.close()
    if is_file:
        uploads.remove(dispatch, (row["selection"] or {}).get("upload"))
    return PlanOutcome.WHOLE


def _commit(
    dispatch: Dispatch,
    mailing_id: int,
    lease: _Lease,
    writer: _Writer,
    batch: Sequence[Candidate],
    *,
    at: int,
    is_last: bool,
) -> None:
    """One portion: its rows, the count, and with the last one the mailing's start, in one transaction."""
    with dispatch.database.begin() as connection:
        verdicts = writer.judge.judge(connection, batch)

    def work(connection: Connection) -> None:
        if not lease.hold(connection):
            raise PlanLost
        if not store.advance_plan(connection, mailing_id, at=at, by=len(batch)):
            raise PlanLost
        writer.write(connection, verdicts)
        if is_last:
            store.change_mailing(
                connection,
                mailing_id,
                {"priority": priority(writer.purpose, at + len(batch))},
                in_states=[MailingState.PLANNING],
            )
            _whole(connection, mailing_id)

    dispatch.database.run(work)


def _whole(connection: Connection, mailing_id: int) -> None:
    store.change_mailing(
        connection,
        mailing_id,
        {"state": MailingState.RUNNING.value},
        in_states=[MailingState.PLANNING],
    )
    messages.mailing_finished(connection, mailing_id)


def _remember(connection: Connection, mailing_id: int, seen: Seen) -> None:
    for row in store.planned_people(connection, mailing_id):
        ref, address, key = row[0], row[1], row[2]
        seen.add(*filter(None, (key, person_key(ref, address) if ref else None)))


def _without_planned(
    dispatch: Dispatch, mailing_id: int, batch: Sequence[Candidate], *, up_to: int
) -> list[Candidate]:
    refs = {candidate.ref[:LONGEST_REF] for candidate in batch}
    with dispatch.database.begin() as connection:
        there = store.planned_refs(connection, mailing_id, refs, up_to=up_to)
    return [candidate for candidate in batch if candidate.ref[:LONGEST_REF] not in there]


def with_last(batches: Iterable[list[Candidate]]) -> Iterator[tuple[list[Candidate], bool]]:
    """Each list, and whether it is the last; an empty one where there is none."""
    held: list[Candidate] | None = None
    for batch in batches:
        if held is not None:
            yield held, False
        held = batch
    yield held or [], True


def _pause(dispatch: Dispatch, mailing_id: int, error: Exception) -> None:
    """A plan that cannot go on: a person sees why, and may try again or cancel."""
    values = {
        "state": MailingState.PAUSED.value,
        "pause_reason": PLAN_FAILED,
        "pause_text": next(
            (text for kind, text in _FAILURES.items() if isinstance(error, kind)), holds.UNFORESEEN
        ),
    }
    dispatch.database.run(
        lambda connection: store.change_mailing(
            connection, mailing_id, values, in_states=[MailingState.PLANNING]
        )
    )
