"""How well the reference serves the clinic: the one source of the page's figures and the command's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.error_reference import reading_store, store
from clinic_dispatch_plugin.error_reference.answers import Explained, explained
from clinic_dispatch_plugin.error_reference.policy import PolicyAction
from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch

#: ``(answer, stretch, failures)`` since the last of some times, the latest first; brought by the concern that holds
#: messages.
FailuresByAnswer = Callable[[Sequence[datetime]], Sequence[tuple[int, int, int]]]
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

    #: Of the last month.
    failures: int
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


def health(dispatch: Dispatch, counter: FailuresByAnswer) -> Health:
    """The state of the reference now."""
    with dispatch.database.begin() as connection:
        at = now(connection).astimezone(dispatch.settings.timezone)
    month, mondays = at - timedelta(days=DAYS), mondays_before(at.date())
    begins = {datetime.combine(day, time.min, at.tzinfo) for day in mondays}
    starts = sorted({month, *begins}, reverse=True)
    rows = counter(starts)  # it may ask the host: never inside a transaction
    with dispatch.database.begin() as connection:
        answers = explained(dispatch, connection, {answer_id for answer_id, _, _ in rows})
        entries = reference(dispatch, connection).entries
        seen = frozenset(reading_store.entries_seen(connection))
        drafts = store.draft_count(connection)
    known = [(answers[number], starts[place], n) for number, place, n in rows if number in answers]
    failed = _Failed([(answer, n) for answer, start, n in known if start >= month])
    return Health(
        failures=failed.failures,
        served=failed.served,
        causes=failed.most_frequent(),
        weeks=[_week(day, known) for day in sorted(mondays)],
        drafts=drafts,
        entries=len(entries),
        never_seen=sum(entry_id not in seen for entry_id in entries),
    )


class _Failed:
    """What failed in a time: each answer, how often."""

    def __init__(self, counted: Sequence[tuple[Explained, int]]) -> None:
        self.failures = sum(n for _answer, n in counted)
        self.served = sum(n for answer, n in counted if is_served(answer))
        self._counted = counted

    def most_frequent(self) -> list[FrequentCause]:
        """Answers with the same cause are one; the most frequent of them speaks."""
        counts: Counter[str] = Counter()
        speaks: dict[str, Explained] = {}
        for answer, n in sorted(self._counted, key=lambda each: (-each[1], each[0].id)):
            counts[answer.token] += n
            speaks.setdefault(answer.token, answer)
        first = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:MOST_CAUSES]
        return [
            FrequentCause(answer=speaks[token], count=n, served=is_served(speaks[token]))
            for token, n in first
        ]


def _week(monday: date, known: Sequence[tuple[Explained, datetime, int]]) -> Week:
    after = monday + timedelta(weeks=1)
    failed = _Failed([(answer, n) for answer, at, n in known if monday <= at.date() < after])
    return Week(monday=monday, failures=failed.failures, served=failed.served)


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
