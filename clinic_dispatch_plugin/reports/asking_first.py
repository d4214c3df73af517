"""Refusals whose gateway is asked before anything follows: how long one waits for its word, and what follows then."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.types import Answer, Refused, ReportStatus
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.engine.recorder import record
from clinic_dispatch_plugin.engine.rules import ASKING, policy_for
from clinic_dispatch_plugin.engine.stored import result_of
from clinic_dispatch_plugin.error_reference.answers import explained, id_of
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.messages import asked_store, moves_store, reported_store
from clinic_dispatch_plugin.messages.rules import MessageState, Mover
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports import asking_store, effects
from clinic_dispatch_plugin.reports.said import answer_in
from clinic_dispatch_plugin.reports.tables import Asking

log = logging.getLogger(__name__)

#: Messages decided in one round.
MOST = 200
_PORTION = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A message about which nothing more is waited for."""

    row: RowMapping
    refusal: Answer


def go_on(dispatch: Dispatch, windows: Mapping[int, float]) -> int:
    """Let the usual way follow where the gateway was asked in vain, or could not be in its time; returns how many.

    A gateway that can be asked is waited for until it answered a question once, or until it forgets.

    :param windows: the accounts that can be asked, each with the seconds in which its gateway answers.
    """
    decided = sum(
        dispatch.database.run(partial(_decide, dispatch, due)) for due in _due(dispatch, windows)
    )
    if decided:
        log.info("%d messages go their usual way: their gateways were asked", decided)
        dispatch.doorbell.ring()
    return decided


def _due(dispatch: Dispatch, windows: Mapping[int, float]) -> list[Due]:
    done: list[Due] = []
    seconds = dispatch.settings.quarantine_seconds
    with dispatch.database.begin() as connection:
        asking_id = id_of(connection, ASKING)
        after = 0
        while asking_id is not None and len(done) < MOST:
            rows = asked_store.waiting_for_word(
                connection,
                asking_id,
                since=seconds,
                limit=_PORTION,
                join=(Asking.__table__, Asking.attempt_id),
                more=(Asking.asked_at,),
                after=after,
            )
            if not rows:
                break
            after = rows[-1]["message_id"]
            now = database_now(connection)
            over = [row for row in rows if _is_over(row, windows, now - row["opened_at"])]
            answers = explained(dispatch, connection, (row["refusal_id"] for row in over))
            done += [
                Due(
                    row=row,
                    refusal=Answer(system=said.system, code=said.code, text=row["answer_text"]),
                )
                for row in over
                if (said := answers.get(row["refusal_id"])) is not None
            ]
    return done[:MOST]


def _is_over(row: RowMapping, windows: Mapping[int, float], age: timedelta) -> bool:
    """Whether nothing more is waited for, once the time for it has passed."""
    window = windows.get(row["account_id"])
    if window is None or age.total_seconds() >= window:
        return True
    return row["asked_at"] is not None and row["asked_at"] >= row["closed_at"]


def _decide(dispatch: Dispatch, due: Due, connection: Connection) -> int:
    row = due.row
    moves_store.hold(connection, [row["message_id"]])
    still = moves_store.locked(connection, [row["message_id"]], frozenset([MessageState.UNCERTAIN]))
    if not any(each["attempt_id"] == row["id"] for each in still):
        return 0  # word came, or a person decided
    said = Refused(attempt_id=row["id"], answer=due.refusal)
    result = result_of(said, row, asked=True)
    record(dispatch, connection, [result], now=database_now(connection), mover=Mover.TENDER)
    _pause_where_many(dispatch, connection, row, due.refusal)
    return 1


def _pause_where_many(
    dispatch: Dispatch, connection: Connection, row: RowMapping, refusal: Answer
) -> None:
    [attempt] = reported_store.attempts_by_id(connection, [row["id"]])
    if attempt["message_state"] != MessageState.UNDELIVERED.value:
        return
    explanation = reference(dispatch, connection).explain(refusal)
    policy = policy_for(explanation, refusal, None)
    tie = effects.Tie(attempt=attempt)
    effects.pause_mailing(dispatch, connection, tie, explanation, policy, refusal)


def is_asked(connection: Connection, message_id: int) -> bool:
    """Whether the message's gateway is asked before anything follows from its refusal."""
    return asked_store.waits_for_word(connection, message_id, id_of(connection, ASKING))


def seconds_to_wait(
    dispatch: Dispatch, connection: Connection, row: RowMapping, attempt: RowMapping
) -> float:
    """How long a report that says no waits, because its gateway is asked first; 0: it is acted on.

    What the gateway answers when it is asked is its word, and so is a second report that says something else.
    """
    if row["action"] != ReportStatus.FAILED.value or row["source"] == "asked":
        return 0.0
    if attempt["report"] is not None:
        return 0.0
    answer = answer_in(row)
    policy = policy_for(reference(dispatch, connection).explain(answer), answer, None)
    if not policy.asks_first:
        return 0.0
    age: timedelta = database_now(connection) - row["received_at"]
    left = dispatch.settings.quarantine_seconds - age.total_seconds()
    if left > 0:
        asking_store.want_now(connection, [attempt["id"]])
    return max(0.0, left)


def soon(connection: Connection) -> Collection[int]:
    """The answer that explains messages whose gateway is to be asked at once."""
    found = id_of(connection, ASKING)
    return () if found is None else (found,)
