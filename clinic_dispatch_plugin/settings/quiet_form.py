"""Reads the form of quiet hours: two times for each name, both empty where any hour will do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time

from flask import request

from clinic_dispatch_plugin.config import PURPOSES
from clinic_dispatch_plugin.quiet_hours import Hours, QuietHours
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.i18n import _
from clinic_dispatch_plugin.web.params import clean

_TIME = re.compile(r"([01]?\d|2[0-3])[:.]([0-5]\d)(?::00)?")
#: The line of the form in which an exception is added.
NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One name of the form as it stands or was typed."""

    name: str
    label: str
    begin: str = ""
    end: str = ""
    #: Whether it may be taken out of the list.
    removable: bool = False


@dataclass(slots=True, kw_only=True)
class TypedHours:
    """What somebody typed."""

    hours: QuietHours
    lines: Sequence[Line] = ()
    purpose: str = ""
    channel: str = ""
    new: Line = field(default_factory=lambda: Line(name=NEW, label=""))
    errors: dict[str, str] = field(default_factory=dict)


def lines_of(dispatch: Dispatch, hours: QuietHours) -> list[Line]:
    """A line for each purpose, each channel, and each exception there is."""
    names = [*PURPOSES, *dispatch.channels]
    names += sorted(name for name in hours.by_name if name not in names)
    return [_line(name, hours.by_name.get(name)) for name in names]


def read(dispatch: Dispatch, hours: QuietHours) -> TypedHours:
    """What was typed into the lines the form had.

    :param hours: what held when it was opened.
    """
    typed = TypedHours(hours=hours)
    found: dict[str, Hours | None] = {}
    lines = []
    for line in lines_of(dispatch, hours):
        if line.removable and request.form.get(f"drop_{line.name}"):
            continue
        begin, end = _typed(line.name)
        lines.append(
            Line(name=line.name, label=line.label, begin=begin, end=end, removable=line.removable)
        )
        found[line.name] = _read_hours(line.name, begin, end, typed.errors)
    _read_new(dispatch, typed, found)
    typed.lines, typed.hours = lines, QuietHours(found)
    return typed


def _read_new(dispatch: Dispatch, typed: TypedHours, found: dict[str, Hours | None]) -> None:
    """The exception that was added, if one was."""
    purpose, channel = request.form.get("purpose", ""), request.form.get("channel", "")
    typed.purpose = purpose if purpose in PURPOSES else ""
    typed.channel = channel if channel in dispatch.channels else ""
    begin, end = _typed(NEW)
    typed.new = Line(name=NEW, label="", begin=begin, end=end)
    if not (purpose or channel or begin or end):
        return
    if not typed.purpose:
        typed.errors["purpose"] = _("Please choose one of the options.")
    if not typed.channel:
        typed.errors["channel"] = _("Please choose one of the options.")
    name = f"{typed.purpose}.{typed.channel}"
    if name in found:
        typed.errors["channel"] = _("There is a line for both already.")
    hours = _read_hours(NEW, begin, end, typed.errors)
    if not typed.errors:
        found[name] = hours


def _typed(name: str) -> tuple[str, str]:
    begin = clean(request.form.get(f"begin_{name}", ""))[:20]
    return begin, clean(request.form.get(f"end_{name}", ""))[:20]


def _read_hours(name: str, begin: str, end: str, errors: dict[str, str]) -> Hours | None:
    """What two fields say; None: any hour will do, or something is wrong."""
    if not begin and not end:
        return None
    first, last = _time(begin), _time(end)
    if not begin or not end:
        errors[name] = _("Please fill in both times, or neither.")
    elif first is None or last is None:
        errors[name] = _("Please write times such as 20:00.")
    elif first == last:
        errors[name] = _("Both times are the same.")
    else:
        return Hours(begin=first, end=last)
    return None


def _time(text: str) -> time | None:
    found = _TIME.fullmatch(text)
    return time(int(found[1]), int(found[2])) if found else None


def _line(name: str, hours: Hours | None) -> Line:
    return Line(
        name=name,
        label=label_of(name),
        begin=f"{hours.begin:%H:%M}" if hours else "",
        end=f"{hours.end:%H:%M}" if hours else "",
        removable="." in name,
    )


def label_of(name: str) -> str:
    """A purpose, a channel, or one on the other."""
    purpose, dot, channel = name.partition(".")
    if dot:
        return _(
            "{purpose} by {channel}", purpose=words.purpose(purpose), channel=words.channel(channel)
        )
    return words.purpose(name) if name in PURPOSES else words.channel(name)


def summary(hours: QuietHours) -> Mapping[str, str]:
    """Each name that has quiet hours, with them."""
    return {
        label_of(name): f"{each.begin:%H:%M}–{each.end:%H:%M}" if each else ""
        for name, each in hours.by_name.items()
        if each is not None or "." in name
    }
