"""How well the reference serves the clinic: the one source of the page's figures and the command's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.error_reference import health_store, store
from clinic_dispatch_plugin.error_reference.answers import Explained, explained
from clinic_dispatch_plugin.error_reference.policy import PolicyAction
from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch

#: ``(answer, stretch, failures)`` since the last of some times; brought by the concern that holds messages.
FailuresByAnswer = Callable[[Connection, Sequence[datetime]], Iterable[tuple[int, int, int]]]
#: Of the failures this share has an explanation and an action where the reference is in good order.
GOAL = 0.95
DAYS = 30
WEEKS = 8
MOST_CAUSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequentCause:
    """One of the most frequent causes of the last month."""

    #: Of an answer that it explains.
    answer: Explained
    count: int
    #: It has an explanation and an action.
    served: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """The failures of one week, from Monday on."""

    monday: date
    failures: int
    served: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The figures."""

    #: None where nobody may count: the host hides single patients.
    failures: int | None
    #: Of these with an explanation and an action.
    served: int
    causes: Sequence[FrequentCause]
    weeks: Sequence[Week]
    drafts: int
    entries: int
    never_seen: int

    @property
    def share(self) -> float | None:
        """The share that had both; None: nothing failed."""
        return self.served / self.failures if self.failures else None

    @property
    def reached(self) -> bool:
        """Whether the goal is reached; where nothing failed it is."""
        return self.share is None or self.share >= GOAL


def health(dispatch: Dispatch, counter: FailuresByAnswer | None) -> Health:
    """The state of the reference now.

    :param counter: counts failures; None: nobody may.
    """
    with dispatch.database.begin() as connection:
        at = now(connection).astimezone(dispatch.settings.timezone)
        known = reference(dispatch, connection)
        seen = health_store.seen_entries(connection)
        drafts = store.draft_count(connection)
        counted = _counted(dispatch, connection, counter, at) if counter is not None else None
    return Health(
        failures=counted.failures if counted else None,
        served=counted.served if counted else 0,
        causes=counted.causes if counted else (),
        weeks=counted.weeks if counted else (),
        drafts=drafts,
        entries=len(known.entries),
        never_seen=sum(entry_id not in seen for entry_id in known.entries),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    failures: int
    served: int
    causes: Sequence[FrequentCause]
    weeks: Sequence[Week]


def _counted(
    dispatch: Dispatch, connection: Connection, counter: FailuresByAnswer, at: datetime
) -> _Counted:
    month = at - timedelta(days=DAYS)
    mondays = mondays_before(at.date())
    begins = {datetime.combine(day, time.min, at.tzinfo) for day in mondays}
    starts = sorted({month, *begins}, reverse=True)
    rows = list(counter(connection, starts))
    answers = explained(dispatch, connection, {answer_id for answer_id, _, _ in rows})
    serves = {answer_id: is_served(answer) for answer_id, answer in answers.items()}
    by_answer: Counter[int] = Counter()
    weekly: dict[date, Counter[bool]] = {day: Counter() for day in mondays}
    for answer_id, stretch, count in rows:
        if answer_id not in answers:
            continue
        start = starts[stretch]
        if start >= month:
            by_answer[answer_id] += count
        day = start.date() - timedelta(days=start.weekday())
        if day in weekly:
            weekly[day][serves[answer_id]] += count
    return _Counted(
        failures=by_answer.total(),
        served=sum(count for answer_id, count in by_answer.items() if serves[answer_id]),
        causes=_most_frequent(by_answer, answers, serves),
        weeks=[
            Week(monday=day, failures=each.total(), served=each[True])
            for day, each in sorted(weekly.items())
        ],
    )


def mondays_before(today: date) -> list[date]:
    """The first days of the weeks that are shown, this week's first."""
    monday = today - timedelta(days=today.weekday())
    return [monday - timedelta(weeks=number) for number in range(WEEKS)]


def is_served(answer: Explained) -> bool:
    """Whether a failure with this answer has an explanation and an action."""
    entry = answer.entry
    return entry is not None and not answer.draft and _explains(entry) and _acts(entry)


def _explains(entry: KnownEntry) -> bool:
    return any(entry.text("short", language) for language in LANGUAGES)


def _acts(entry: KnownEntry) -> bool:
    """Somebody is told what helps, or the program itself does something."""
    told = any(entry.text("what_helps", language) for language in LANGUAGES)
    return told or entry.policy.block or entry.policy.action is not PolicyAction.FAIL


def _most_frequent(
    by_answer: Counter[int], answers: dict[int, Explained], serves: dict[int, bool]
) -> list[FrequentCause]:
    """Answers with the same cause are one."""
    counts: Counter[str] = Counter()
    speaks: dict[str, int] = {}
    for answer_id, count in by_answer.most_common():
        token = answers[answer_id].token
        counts[token] += count
        speaks.setdefault(token, answer_id)
    return [
        FrequentCause(answer=answers[speaks[token]], count=count, served=serves[speaks[token]])
        for token, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[
            :MOST_CAUSES
        ]
    ]


def health_json(found: Health, language: str) -> dict[str, Any]:
    """The figures as the command prints them."""
    return {
        "days": DAYS,
        "failures": found.failures,
        "explained": found.served,
        "share": None if found.share is None else round(found.share, 4),
        "goal": GOAL,
        "goal_reached": found.reached,
        "causes": [
            {
                "system": cause.answer.named[0],
                "code": cause.answer.named[1],
                "cause": cause.answer.token,
                "note": cause.answer.text("short", language),
                "count": cause.count,
                "explained": cause.served,
            }
            for cause in found.causes
        ],
        "drafts": found.drafts,
        "entries": found.entries,
        "never_seen": found.never_seen,
        "weeks": [
            {
                "from": week.monday.isoformat(),
                "failures": week.failures,
                "explained": week.served,
            }
            for week in found.weeks
        ],
    }
