"""Reads what the pages of a mailing send, and says in the reader's language what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import request

from clinic_dispatch_plugin.channels.types import Purpose
from clinic_dispatch_plugin.host.types import Audience, FilterField
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.drafts import Draft, Times
from clinic_dispatch_plugin.mailings.order import LONGEST_SILENCE, MOST_CHANNELS
from clinic_dispatch_plugin.mailings.problems import MailingProblem, Problem
from clinic_dispatch_plugin.mailings.recipient_file import BadRow
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.i18n import _, n_, zone
from clinic_dispatch_plugin.web.params import Form, number_in

#: The choice that is no audience.
FILE = "file"
#: Minutes without a report that can be chosen.
WAITS = (10, 30, 60, 120, 240, 720, 1_440)
#: Characters a text field of ours sends at most; the text itself is checked by its own limit.
LONGEST_TEXT = 256 * 1024


def in_words(problem: Problem) -> str:
    """A problem in the reader's language."""
    said = _(problem.message, **problem.fields)
    return f"{said} {_(problem.advice, **problem.fields)}" if problem.advice else said


def faults(error: MailingProblem) -> dict[str, str]:
    """Problems by field, for the page; the first of each field."""
    found: dict[str, str] = {}
    for problem in error.problems:
        found.setdefault(problem.field, in_words(problem))
    return found


def row_in_words(row: BadRow) -> tuple[str, str]:
    """What is wrong with a row of a file, and what to do."""
    return _(row.message, **row.fields), _(row.advice, **row.fields)


def purposes() -> list[tuple[str, str]]:
    """Choices of what a mailing is for."""
    return [(purpose.value, words.purpose(purpose)) for purpose in Purpose]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A group of recipients as step one offers it."""

    key: str
    label: str
    purpose: str
    fields: Sequence[tuple[FilterField, str, str]]


def choices(audiences: Sequence[Audience], draft: Draft | None, *, sent: bool) -> list[Choice]:
    """The clinic's groups with each filter's form name and value: as sent, else as kept, else as proposed."""
    return [
        Choice(
            key=each.key,
            label=str(each.label),
            purpose=each.purpose,
            fields=[
                (one, name, _value(each, one, name, draft, sent=sent))
                for one in each.filters
                for name in [f"filter.{each.key}.{one.key}"]
            ],
        )
        for each in audiences
    ]


def _value(
    audience: Audience, one: FilterField, name: str, draft: Draft | None, *, sent: bool
) -> str:
    if sent:
        return Form().raw(name)
    if draft is not None and draft.selection.get("audience") == audience.key:
        return str((draft.selection.get("filters") or {}).get(one.key, ""))
    return one.default


def filters_sent(audience: str) -> dict[str, str]:
    """The values of one group's filters."""
    prefix = f"filter.{audience}."
    form = Form()
    # A part of a broken body may come without a name.
    names = [name for name in request.form if name and name.startswith(prefix)]
    return {name.removeprefix(prefix): form.raw(name) for name in names}


def content_sent(channel: str = "") -> MailingContent:
    """Subject, text and HTML as they were typed; those of a later channel carry its name."""
    end = f".{channel}" if channel else ""
    return MailingContent(
        subject=_typed(f"subject{end}")[:2_000],
        text=_typed(f"text{end}"),
        html=_typed(f"html{end}"),
    )


def further_sent(draft: Draft) -> dict[str, MailingContent]:
    """The words for the channels after the first; a form that did not ask for them changes none."""
    return {
        key: content_sent(key) if f"text.{key}" in request.form else kept
        for key, kept in draft.further.items()
    }


def fallbacks_sent() -> list[str] | None:
    """The channels after the first, in order; None: the form did not ask for them."""
    names = [f"channel.{place}" for place in range(2, MOST_CHANNELS + 1)]
    there = [name for name in names if name in request.form]
    return [request.form.get(name, "")[:32] for name in there] if there else None


def _typed(name: str) -> str:
    return request.form.get(name, "").replace("\r\n", "\n")[:LONGEST_TEXT]


def fallbacks_shown(draft: Draft | None, *, sent: bool) -> list[str]:
    """What the fields of the channels after the first hold; empty ones: none."""
    chosen = (fallbacks_sent() if sent else None) or (list(draft.further) if draft else [])
    return [*chosen, *[""] * MOST_CHANNELS]


def waits_sent() -> list[int | None]:
    """Beside each channel after the first, the minutes without a report after which its turn comes; None: as usual.

    :raises MailingProblem: one is no such time.
    """
    waits: list[int | None] = []
    for place in range(2, MOST_CHANNELS + 1):
        given = request.form.get(f"silence.{place}", "")
        minutes = number_in(given, most=LONGEST_SILENCE)
        if given and minutes is None:
            message = "Choose one of the list."
            raise MailingProblem(Problem(field=f"silence.{place}", message=message))
        waits.append(minutes)
    return waits


def waits_shown(draft: Draft | None, *, sent: bool) -> list[str]:
    """What the fields of the waiting times hold; empty ones: as usual."""
    if sent:
        places = range(2, MOST_CHANNELS + 1)
        return [request.form.get(f"silence.{place}", "")[:8] for place in places]
    kept = (
        [str(each) if each is not None else "" for each in draft.silences.values()] if draft else []
    )
    return [*kept, *[""] * MOST_CHANNELS]


def wait_choices(draft: Draft | None) -> list[tuple[str, str]]:
    """The waiting times to choose from, what is usual first."""
    channels = current_dispatch().channels.values()
    usual = [
        n_(
            "{channel} {n} minute",
            "{channel} {n} minutes",
            each.silence_minutes,
            channel=words.channel(each.key),
        )
        for each in channels
        if each.silence_minutes
    ]
    first = _("as usual ({channels}, every other way without end)", channels=", ".join(usual))
    kept = {each for each in draft.silences.values() if each} if draft else set()
    return [
        ("", first if usual else _("as usual (without end)")),
        ("0", _("without end")),
        *(
            (str(minutes), n_("{n} minute", "{n} minutes", minutes))
            for minutes in sorted({*WAITS, *kept})
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherText:
    """The fields of one channel after the first, as step two shows them."""

    channel: str
    content: MailingContent
    templates: Sequence[tuple[int, str]]
    has_subject: bool
    has_html: bool


def id_sent(name: str) -> int | None:
    """An id of the form; anything else is none."""
    return number_in(request.form.get(name, ""), least=1)


def times_sent() -> Times:
    """When to start and the moment after which nothing goes out, in the clinic's zone.

    :raises MailingProblem: one of them is no time.
    """
    form = Form()
    times = Times(
        start_at=form.moment("start_at", zone=zone()),
        not_after=form.moment("not_after", zone=zone()),
        any_hour=form.flag("any_hour"),
    )
    if not form:
        found = [Problem(field=name, message=text) for name, text in form.errors.items()]
        raise MailingProblem(*found)
    return times


def moment_shown(value: datetime | None) -> str:
    """A moment as ``<input type="datetime-local">`` wants it."""
    return value.astimezone(zone()).strftime("%Y-%m-%dT%H:%M") if value else ""


def channel_choices(keys: Sequence[str]) -> list[tuple[str, str]]:
    """Channels with their names."""
    return [(key, words.channel(key)) for key in keys]


def has_html(channel: str) -> bool:
    """Whether a channel's texts may have HTML."""
    known = current_dispatch().channels.get(channel)
    return known is not None and known.fields.html


def has_subject(channel: str) -> bool:
    """Whether a channel's texts have a subject."""
    known = current_dispatch().channels.get(channel)
    return known is not None and known.fields.subject
