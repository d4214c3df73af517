"""Says before anything goes who will get a mailing and who will not, by the plan's own rules; writes nothing."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import copy_current_request_context
from sqlalchemy import RowMapping

from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.error_reference.service import explain
from clinic_dispatch_plugin.mailings import store
from clinic_dispatch_plugin.mailings.checks import Reason
from clinic_dispatch_plugin.mailings.content import MailingContent, compiled
from clinic_dispatch_plugin.mailings.costing import Kind, Kinds, costs_money, count_kind
from clinic_dispatch_plugin.mailings.draft_checks import checked_draft
from clinic_dispatch_plugin.mailings.drafts import of_row
from clinic_dispatch_plugin.mailings.judging import Judge, Leg, Verdict
from clinic_dispatch_plugin.mailings.list_rows import BadRows
from clinic_dispatch_plugin.mailings.planning import candidates_of, overruled
from clinic_dispatch_plugin.mailings.problems import NotYours
from clinic_dispatch_plugin.mailings.sources import chunks
from clinic_dispatch_plugin.messages.mailing_rules import PLAN_AT_ONCE, PLAN_BATCH
from clinic_dispatch_plugin.registry import Dispatch

EXAMPLES = 20
_CACHE = "mailing_checks"
_CACHED = 32
#: A check is believed for so long, in seconds: cards change while somebody reads the page.
_FRESH_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One of those who get nothing."""

    ref: str
    name: str = field(repr=False)
    address: str = field(repr=False)
    line: int | None = None


@dataclass(slots=True, kw_only=True)
class Group:
    """Those who get nothing for one reason."""

    reason: Reason
    count: int = 0
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckGroup:
    """A group in the reader's language, in the reference's words."""

    code: str
    short: str
    what_happened: str
    what_helps: str
    who: str
    count: int
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detour:
    """Some who cannot be reached by the first channel, and begin with another."""

    channel: str
    #: The channel before it, and why not that one, in the reference's words.
    instead_of: str
    short: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What would happen if the mailing started now."""

    recipients: int
    will_get: int
    groups: Sequence[CheckGroup]
    bad_rows: BadRows
    #: How many begin with each channel, in the order of the mailing.
    by_channel: Mapping[str, int] = field(default_factory=dict)
    #: Those who begin later than with the first channel, the most first.
    detours: Sequence[Detour] = ()
    #: Who gets it, by what it costs.
    kinds: Kinds = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class _Measured:
    recipients: int = 0
    groups: dict[Reason, Group] = field(default_factory=dict)
    by_channel: Counter[str] = field(default_factory=Counter)
    #: By channel, and the last one passed over with its reason.
    detours: Counter[tuple[str, str, Reason]] = field(default_factory=Counter)
    kinds: dict[tuple[str, str, int], Kind] = field(default_factory=dict)
    bad_rows: BadRows = field(default_factory=lambda: BadRows(whole_rows_only=True))
    at: float = field(default_factory=time.monotonic)
    #: Set when nothing more is counted.
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None


class StillChecking(Exception):
    """The check goes on beside the page.

    :ivar looked_at: recipients so far.
    """

    def __init__(self, looked_at: int) -> None:
        super().__init__(looked_at)
        self.looked_at = looked_at


def check(
    dispatch: Dispatch, mailing_id: int, *, language: str = "en", patience: float | None = None
) -> CheckResult:
    """Who would get a draft now, and who would not and why.

    Asked again within two minutes for an unchanged draft it answers at once.

    :param patience: in a web request: with more than 5,000 recipients wait only so many seconds; the check then goes
        on in a thread, and the next call finds what it counted. None: wait until all are counted.
    :raises StillChecking: the patience was not enough.
    :raises NotYours: there is no such mailing.
    :raises MailingProblem: the draft is not complete, or a filter of its audience is wrong.
    :raises HostFailed: the clinic's system did not answer.
    """
    with dispatch.database.begin() as connection:
        row = store.mailing(connection, mailing_id)
    if row is None:
        raise NotYours(mailing_id)
    texts = checked_draft(dispatch, of_row(row))
    cached: OrderedDict[str, _Measured] = dispatch.cache.setdefault(_CACHE, OrderedDict())
    key = _state(row)
    found = cached.get(key)
    if found is None or (found.done.is_set() and _is_old(found)):
        found = _begin(dispatch, row, texts, aside=patience is not None)
        cached[key] = found
        while len(cached) > _CACHED:
            cached.popitem(last=False)
    if not found.done.wait(patience):
        raise StillChecking(found.recipients)
    if found.error is not None:
        cached.pop(key, None)
        raise found.error
    return _in_words(dispatch, found, language)


def measured(
    dispatch: Dispatch, row: Mapping[str, Any], texts: Mapping[str, MailingContent]
) -> CheckResult:
    """What would become of a mailing that nobody wrote down."""
    found = _Measured()
    _measure(dispatch, row, texts, found)
    return _in_words(dispatch, found, "en")


def _is_old(found: _Measured) -> bool:
    return time.monotonic() - found.at > _FRESH_SECONDS


def _begin(
    dispatch: Dispatch, row: RowMapping, texts: Mapping[str, MailingContent], *, aside: bool
) -> _Measured:
    found = _Measured()
    if _measure(dispatch, row, texts, found, most=PLAN_AT_ONCE if aside else None):
        found.done.set()
        return found
    whole = _Measured()

    def count() -> None:
        try:
            _measure(dispatch, row, texts, whole)
        except Exception as error:
            whole.error = error
        whole.at = time.monotonic()
        whole.done.set()

    # The adapter may ask who acts, so the thread takes the request along.
    work = copy_current_request_context(count)
    threading.Thread(target=work, name=f"check-{row['id']}", daemon=True).start()
    return whole


def forget(dispatch: Dispatch, mailing_id: int) -> None:
    """Measure anew next time: somebody says that the cards were put right."""
    cached: OrderedDict[str, _Measured] = dispatch.cache.get(_CACHE, OrderedDict())
    for key in [key for key in list(cached) if key.startswith(f"{mailing_id}:")]:
        cached.pop(key, None)


def _state(row: RowMapping) -> str:
    fields = ("purpose", "channel", "fallbacks", "source", "selection", "draft")
    said = json.dumps([row[name] for name in fields], sort_keys=True, default=str)
    said += str(row["not_after"])
    return f"{row['id']}:{hashlib.sha256(said.encode()).hexdigest()}"


def _measure(
    dispatch: Dispatch,
    row: Mapping[Any, Any],
    texts: Mapping[str, MailingContent],
    found: _Measured,
    *,
    most: int | None = None,
) -> bool:
    """Count; False: there are more than ``most``, and nothing is worth keeping."""
    with dispatch.database.begin() as connection:
        at = now(connection)
    judge = Judge(
        dispatch=dispatch,
        legs=[
            Leg(
                channel=dispatch.channels[key],
                text=compiled(content, purpose=row["purpose"], channel=key),
                routed=dispatch.account(key, row["purpose"]) is not None,
            )
            for key, content in texts.items()
        ],
        overruled=overruled(not_after=row["not_after"], at=at),
    )
    priced = {key for key in texts if costs_money(dispatch, key, row["purpose"]) is not None}
    for batch in chunks(candidates_of(dispatch, row, bad_rows=found.bad_rows), PLAN_BATCH):
        with dispatch.database.begin() as connection:
            verdicts = judge.judge(connection, batch)
        found.recipients += len(verdicts)
        if most is not None and found.recipients > most:
            return False
        for verdict in verdicts:
            _count(found, verdict)
            if verdict.content is not None and verdict.channel in priced:
                count_kind(dispatch, found.kinds, verdict.channel, verdict.address, verdict.content)
    found.at = time.monotonic()
    return True


def _count(found: _Measured, verdict: Verdict) -> None:
    if verdict.reason is None:
        found.by_channel[verdict.channel] += 1
        if verdict.passed:
            found.detours[verdict.channel, *verdict.passed[-1]] += 1
        return
    group = found.groups.setdefault(verdict.reason, Group(reason=verdict.reason))
    group.count += 1
    if len(group.examples) < EXAMPLES:
        candidate = verdict.candidate
        group.examples.append(
            Example(
                # A link or its lack would tell whether such a card exists.
                ref="" if candidate.unknown else candidate.ref,
                name=candidate.name,
                address=verdict.address,
                line=candidate.line,
            )
        )


def _in_words(dispatch: Dispatch, found: _Measured, language: str) -> CheckResult:
    groups = [
        _group_in_words(dispatch, group, language)
        for group in sorted(found.groups.values(), key=lambda group: -group.count)
    ]
    return CheckResult(
        recipients=found.recipients,
        will_get=found.recipients - sum(group.count for group in groups),
        groups=groups,
        bad_rows=found.bad_rows,
        by_channel=dict(found.by_channel),
        kinds=found.kinds,
        detours=[
            Detour(
                channel=channel,
                instead_of=before,
                short=_short(dispatch, reason, language),
                count=count,
            )
            for (channel, before, reason), count in found.detours.most_common()
        ],
    )


def _short(dispatch: Dispatch, reason: Reason, language: str) -> str:
    entry = explain(dispatch, reason.answer).entry
    return entry.text("short", language) if entry else reason.value


def _group_in_words(dispatch: Dispatch, group: Group, language: str) -> CheckGroup:
    entry = explain(dispatch, group.reason.answer).entry
    return CheckGroup(
        code=group.reason.value,
        short=entry.text("short", language) if entry else group.reason.value,
        what_happened=entry.text("what_happened", language) if entry else "",
        what_helps=entry.text("what_helps", language) if entry else "",
        who=entry.who if entry else "administration",
        count=group.count,
        examples=tuple(group.examples),
    )
