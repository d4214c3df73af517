"""Compares what the database says with what the gateways wrote down, message by message."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from clinic_dispatch_plugin.engine.tables import Run
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.progress_store import counts
from clinic_dispatch_plugin.messages.rules import AttemptState, MessageState
from clinic_dispatch_plugin.messages.tables import Attempt, Audit, Message
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.simulators.gateways.ledger import read_taken
from clinic_dispatch_plugin.simulators.smpp import read_ledger as read_centre
from clinic_dispatch_plugin.simulators.smtp import read_ledger as read_relay
from tests.soak.gateways import LEDGERS
from tests.soak.people import brings_doubt, number_of

#: Orders of a person after which a message goes out once more.
_ORDERS = ("resend", "settle", "correct_address")
_PROCESS_FAULTS = ("SIGKILL", "SIGSTOP", "SIGTERM")
#: Kinds of faults after which whatever was on the channel's wire is in doubt, each with how long it lasts at most.
_WIRE_FAULTS = {
    "wire cut": 1.0,
    "rubbish on the wire": 3.0,
    "wire stalled": 12.0,
    "wire half open": 16.0,
}
#: Messages a dead worker may leave in doubt on each channel: connections times what each has under way.
IN_FLIGHT = {"email": 2 * 3, "sms": 10, "viber": 2 * 20}


#: An hour without a report of Viber, in the long run's shorter time.
SILENCE = timedelta(seconds=3_600 * 0.02)


@dataclass(slots=True)
class Verdict:
    """What the comparison found; ids by kind of finding."""

    messages: int = 0
    states: Counter[str] = field(default_factory=Counter)
    handed_over: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    counters: list[str] = field(default_factory=list)
    #: In doubt, and the log of faults or the person's fate says why.
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return not (
            self.lost
            or self.doubled
            or self.wrong
            or self.stuck
            or self.counters
            or self.unexplained
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """Everything the database holds, in memory."""

    messages: Mapping[int, Any]
    attempts: Mapping[int, Sequence[Any]]
    runs: Mapping[int, Any]
    mailings: Mapping[int, Any]
    orders: Counter[int]


def judge(
    dispatch: Dispatch,
    folder: Path,
    accepted: Mapping[int, range],
    faults: Sequence[Mapping[str, Any]],
) -> Verdict:
    """Compare everything."""
    with dispatch.database.begin() as connection:
        facts = _facts(connection)
        verdict = Verdict(messages=len(facts.messages))
        verdict.states.update(row.state for row in facts.messages.values())
        _counters(connection, facts, verdict)
    taken = ledger_lines(folder)
    verdict.handed_over = sum(taken.values())
    by_person = {number_of_message(row): row.id for row in facts.messages.values()}
    handed: Counter[int] = Counter()
    for person, times in taken.items():
        if person in by_person:
            handed[by_person[person]] += times
        else:
            verdict.wrong.append(f"person {person} was written to without a message")
    _nothing_lost(facts, accepted, handed, verdict)
    _nothing_doubled(facts, handed, verdict)
    _nothing_wrong(facts, handed, verdict)
    _nothing_stuck(facts, verdict)
    _doubts(facts, faults, verdict)
    return verdict


def number_of_message(row: Any) -> int:
    """The person a message is for."""
    return int(row.ref[1:])


def ledger_lines(folder: Path) -> Counter[int]:
    """How often each person was written to, whether or not the gateway could say so."""
    numbers = [number_of(line.recipient) for line in read_relay(folder / LEDGERS["email"])]
    numbers += [number_of(line.destination) for line in read_centre(folder / LEDGERS["sms"])]
    numbers += [number_of(line.recipient) for line in read_taken(folder / LEDGERS["viber"])]
    return Counter(numbers)


def _facts(connection: Connection) -> _Facts:
    attempts = defaultdict(list)
    for row in connection.execute(
        select(Attempt.__table__).order_by(Attempt.message_id, Attempt.number)
    ):
        attempts[row.message_id].append(row)
    orders = select(Audit.message_id, Audit.action).where(
        Audit.message_id.is_not(None), Audit.action.in_(_ORDERS)
    )
    return _Facts(
        messages={row.id: row for row in connection.execute(select(Message.__table__))},
        attempts=attempts,
        runs={row.id: row for row in connection.execute(select(Run.__table__))},
        mailings={row.id: row for row in connection.execute(select(Mailing.__table__))},
        orders=Counter(row.message_id for row in connection.execute(orders)),
    )


def _told(facts: _Facts, message_id: int, words: str) -> str:
    row = facts.messages[message_id]
    attempts = ", ".join(
        f"{a.channel} {a.id} {a.state}{'/' + a.report if a.report else ''}"
        f" {a.opened_at:%H:%M:%S}-{a.closed_at or a.opened_at:%H:%M:%S} {a.answer_text[:60]!r}"
        for a in facts.attempts.get(message_id, ())
    )
    return f"message {message_id} (mailing {row.mailing_id}, {row.state}; {attempts}): {words}"


def _nothing_lost(
    facts: _Facts, accepted: Mapping[int, range], handed: Counter[int], verdict: Verdict
) -> None:
    there = defaultdict(set)
    for row in facts.messages.values():
        there[row.mailing_id].add(number_of_message(row))
    for mailing_id, numbers in accepted.items():
        mailing = facts.mailings.get(mailing_id)
        if mailing is None:
            verdict.lost.append(f"mailing {mailing_id} was accepted and is not there")
        elif mailing.state != "cancelled" and (missing := set(numbers) - there[mailing_id]):
            verdict.lost.append(f"mailing {mailing_id} lacks {len(missing)} of {len(numbers)}")
    for message_id, row in facts.messages.items():
        if row.state in ("sent", "delivered") and not handed[message_id]:
            verdict.lost.append(_told(facts, message_id, "no gateway ever had it"))


def _nothing_doubled(facts: _Facts, handed: Counter[int], verdict: Verdict) -> None:
    for message_id, times in handed.items():
        attempts = facts.attempts.get(message_id, ())
        failed = sum(a.report == "failed" for a in attempts)
        silent = sum(_went_on_in_silence(*two) for two in pairwise(attempts))
        if times > 1 + facts.orders[message_id] + failed + silent:
            verdict.doubled.append(_told(facts, message_id, f"handed over {times} times"))


def _went_on_in_silence(before: Any, after: Any) -> bool:
    """Whether no report came in the time a mailing waits for one, so that the next channel's turn came."""
    return (
        before.channel != after.channel
        and before.state == AttemptState.ACCEPTED
        and before.report in (None, "delayed", "no_report")
        and after.opened_at - before.opened_at >= SILENCE
    )


def _nothing_wrong(facts: _Facts, handed: Counter[int], verdict: Verdict) -> None:
    """Who was written to must have an attempt that says so, or that it is not known."""
    honest = (AttemptState.ACCEPTED, AttemptState.UNCERTAIN)
    for message_id in handed:
        row, attempts = facts.messages[message_id], facts.attempts.get(message_id, ())
        known = sum(a.state in honest for a in attempts)
        if known < handed[message_id]:
            words = f"handed over {handed[message_id]} times, of which {known} are known"
            verdict.wrong.append(_told(facts, message_id, words))
        elif row.state == MessageState.SKIPPED and not facts.orders[message_id]:
            cancelled = facts.mailings[row.mailing_id].state == "cancelled"
            if not (cancelled and any(a.report == "failed" for a in attempts)):
                verdict.wrong.append(_told(facts, message_id, "handed over and called skipped"))


def _nothing_stuck(facts: _Facts, verdict: Verdict) -> None:
    for message_id, row in facts.messages.items():
        if row.state in ("queued", "leased", "sending"):
            verdict.stuck.append(_told(facts, message_id, f"due {row.due_at}"))
    for row in facts.mailings.values():
        if row.state not in ("finished", "cancelled"):
            verdict.stuck.append(f"mailing {row.id} is {row.state} {row.pause_reason}")


def _counters(connection: Connection, facts: _Facts, verdict: Verdict) -> None:
    by_mailing: dict[int, Counter[str]] = defaultdict(Counter)
    for row in facts.messages.values():
        by_mailing[row.mailing_id][row.state] += 1
        attempts = facts.attempts.get(row.id, ())
        made = sum(a.state != AttemptState.WITHDRAWN for a in attempts)
        if row.attempts != made:
            verdict.counters.append(_told(facts, row.id, f"{row.attempts} attempts, made {made}"))
        last = max((a.number for a in attempts), default=0)
        if row.last_number != last:
            verdict.counters.append(_told(facts, row.id, f"number {row.last_number}, {last}"))
    for mailing_id in facts.mailings:
        shown = {state: n for state, n in counts(connection, mailing_id).items() if n}
        if shown != dict(by_mailing[mailing_id]):
            verdict.counters.append(f"mailing {mailing_id} shows {shown}")
    [rows] = connection.execute(select(func.count()).select_from(Attempt)).one()
    if rows != sum(map(len, facts.attempts.values())):
        verdict.counters.append(f"{rows} attempts, some without their message")


class _Proofs:
    """What the log of faults proves about attempts."""

    def __init__(self, facts: _Facts, faults: Iterable[Mapping[str, Any]]) -> None:
        self._facts = facts
        self._victims: set[int] = set()
        self._wires: dict[str, list[tuple[datetime, datetime, str]]] = defaultdict(list)
        for line in faults:
            at = datetime.fromisoformat(line["at"]).astimezone(UTC)
            if line["kind"].startswith(_PROCESS_FAULTS):
                self._victims |= set(line["pids"])
            elif line["kind"] in _WIRE_FAULTS:
                until = at + timedelta(seconds=_WIRE_FAULTS[line["kind"]])
                early = at - timedelta(seconds=1)
                self._wires[line["channel"]].append((early, until, line["kind"]))
        #: Attempts of a run that its gateway left without an answer.
        self._silent = defaultdict(list)
        for attempts in facts.attempts.values():
            for each in attempts:
                if brings_doubt(each.channel, number_of(each.address)):
                    self._silent[each.run_id, each.channel].append(each)

    def of(self, attempt: Any) -> str:
        """Why nobody knows; empty: nothing in the log explains it."""
        if brings_doubt(attempt.channel, number_of(attempt.address)):
            return "the gateway gave no answer"
        run = self._facts.runs.get(attempt.run_id)
        if run is None:
            return "its run is forgotten"
        opened, closed = attempt.opened_at, attempt.closed_at or attempt.opened_at
        for begin, end, kind in self._wires[attempt.channel]:
            if opened <= end and begin <= closed:
                return kind
        for other in self._silent[attempt.run_id, attempt.channel]:
            if opened <= (other.closed_at or other.opened_at) and other.opened_at <= closed:
                return "beside one without an answer"
        if int(run.worker.rpartition(":")[2]) in self._victims:
            return "its worker was killed or frozen"
        return f"run {run.state}" if run.state == "lost" else ""


def _doubts(facts: _Facts, faults: Sequence[Mapping[str, Any]], verdict: Verdict) -> None:
    proofs = _Proofs(facts, faults)
    by_run: Counter[tuple[int, str]] = Counter()
    for message_id, row in facts.messages.items():
        for attempt in facts.attempts.get(message_id, ()):
            if attempt.state != AttemptState.UNCERTAIN:
                continue
            why = proofs.of(attempt)
            if not why or why == "run lost":
                words = f"in doubt without a reason (run {attempt.run_id} {why}, {row.state})"
                verdict.unexplained.append(_told(facts, message_id, words))
                continue
            verdict.explained[why] += 1
            if why.startswith("its worker"):
                by_run[attempt.run_id, attempt.channel] += 1
    for (run_id, channel), number in by_run.items():
        if number > IN_FLIGHT[channel]:
            words = f"run {run_id} left {number} in doubt on {channel}"
            verdict.unexplained.append(f"{words}, at most {IN_FLIGHT[channel]} were under way")
