"""What a dead run leaves: decided from its journal where that knows, uncertain where nobody does."""

from __future__ import annotations

import logging

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.types import (
    Accepted,
    Answer,
    NotSent,
    Refused,
    SendResult,
    Uncertain,
)
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.engine.journal import (
    DeadJournal,
    JournalContent,
    dead_journals,
)
from clinic_dispatch_plugin.engine.recorder import record
from clinic_dispatch_plugin.engine.rules import ASKING
from clinic_dispatch_plugin.engine.stored import result_of
from clinic_dispatch_plugin.error_reference.answers import id_of
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.rules import Mover
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)


def bury_dead_runs(dispatch: Dispatch) -> int:
    """End the runs of this machine whose process is gone, without waiting for their leases; returns how many."""
    buried = 0
    for journal in dead_journals(dispatch.settings.spool_dir):
        try:
            buried += _bury(dispatch, journal, journal.read())
        except (ValueError, ArithmeticError, LookupError) as error:
            # One journal must not keep the others from being read: without it, all it held is in doubt.
            log.error("journal %s cannot be used: %s", journal.path.name, places(error))
            buried += _bury(dispatch, journal, None)
    return buried


def _bury(dispatch: Dispatch, journal: DeadJournal, content: JournalContent | None) -> int:
    run_id = int(journal.path.stem)

    def work(connection: Connection) -> bool:
        won = store.lose_run(connection, run_id)
        if won:
            messages.give_back(connection, run_id=run_id, lost=True)
        settle(dispatch, connection, run_id, content)
        return won

    won = dispatch.database.run(work)
    journal.remove()
    if won:
        log.warning("run %s died; its messages are taken over", run_id)
    return int(won)


def lose_expired_runs(dispatch: Dispatch) -> int:
    """Runs whose lease ran out, wherever they were: what is not in doubt waits again, the rest is uncertain."""
    with dispatch.database.begin() as connection:
        expired = store.expired_runs(connection)

    def work(connection: Connection, run_id: int) -> int:
        if not store.lose_run(connection, run_id):
            return 0
        messages.give_back(connection, run_id=run_id, lost=True)
        # Frozen, or on another machine, or dead: whoever finds its journal unlocked knows, else the quarantine ends it.
        settle(dispatch, connection, run_id, None, for_good=False)
        return 1

    return sum(
        dispatch.database.run(lambda connection, run_id=run_id: work(connection, run_id))  # type: ignore[misc]
        for run_id in expired
    )


def settle(
    dispatch: Dispatch,
    connection: Connection,
    run_id: int,
    content: JournalContent | None,
    *,
    for_good: bool = True,
) -> None:
    """Decide every open attempt of a lost run, inside the caller's transaction; a second time changes nothing."""
    asking = id_of(connection, ASKING)
    results = [
        result_of(said(row["id"], content), row)
        for row in messages.open_attempts_of_run(connection, run_id)
        if _decidable(row, content, asking)
    ]
    record(dispatch, connection, results, now=database_now(connection), mover=Mover.TENDER)
    if for_good:
        store.settle_run(connection, run_id)


def _decidable(row: RowMapping, content: JournalContent | None, asking: int | None) -> bool:
    """An attempt that is uncertain already changes only by what the journal knows.

    :param asking: what explains a message whose refusal is recorded and whose gateway is asked first.
    """
    if row["state"] == "open":
        return True
    if content is None or (asking is not None and row["explained_by"] == asking):
        return False
    words = content.answers.get(row["id"])
    return content.never_left(row["id"]) if words is None else words[0] != "uncertain"


def said(attempt_id: int, content: JournalContent | None) -> SendResult:
    """What a dead run's journal says of an attempt."""
    words = content.answers.get(attempt_id) if content else None
    if words:
        return _answered(attempt_id, words)
    if content is not None and content.never_left(attempt_id):
        return NotSent(attempt_id=attempt_id)
    text = "the worker ended while this message was being handed over"
    return Uncertain(
        attempt_id=attempt_id, answer=Answer(system="dispatch", code="connection_lost", text=text)
    )


def _answered(attempt_id: int, words: list[str]) -> SendResult:
    kind, rest = words[0], [*words[1:], "", "", "", ""]
    answer = Answer(system=rest[0] or "dispatch", code=rest[1] or "unknown_answer")
    if kind == "accepted":
        return Accepted(attempt_id=attempt_id, provider_id=rest[0] or None)
    if kind == "refused":
        return Refused(
            attempt_id=attempt_id,
            answer=answer,
            retryable={"retry": True, "fail": False}.get(rest[2]),
            retry_after=float(rest[3]) if rest[3].isdigit() else None,
        )
    if kind == "not_sent":
        return NotSent(attempt_id=attempt_id)
    return Uncertain(attempt_id=attempt_id, answer=answer, provider_id=rest[2] or None)
