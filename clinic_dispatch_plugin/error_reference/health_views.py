"""The page *State of the reference*: how much of what fails explains itself, and what to describe next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response

from clinic_dispatch_plugin.error_reference import wording
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER
from clinic_dispatch_plugin.error_reference.health import (
    DAYS,
    GOAL,
    Health,
    Week,
    health,
)
from clinic_dispatch_plugin.host.types import Action, Actor
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.i18n import format_number
from clinic_dispatch_plugin.web.layout import render_page

#: The picture's measures, in its own units.
HIGH, WIDE, GAP = 100, 60, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A week in the picture: its lower part had an explanation and an action, its upper part lacked one."""

    week: Week
    x: int
    served_y: float
    served_high: float
    open_y: float
    open_high: float

    @property
    def share(self) -> str:
        """The share in per cent; empty where nothing failed."""
        return percent(self.week.served / self.week.failures) if self.week.failures else ""


def register(blueprint: Blueprint) -> None:
    """Add the page to the blueprint."""
    blueprint.add_url_rule("/errors/health", "reference_health", show_health)


@requires(Action.VIEW)
def show_health() -> Response:
    """The figures, the same as the command's."""
    dispatch = current_dispatch()
    counter: Callable[[Actor, Sequence[datetime]], Any] = dispatch.cache["failures_by_answer"]
    found = health(dispatch, partial(counter, acting()))
    return render_page(
        f"{FOLDER}/health.html",
        active="reference",
        found=found,
        days=DAYS,
        goal=percent(GOAL),
        share=percent(found.share) if found.share is not None else "",
        bars=bars(found),
        high=HIGH,
        width=len(found.weeks) * (WIDE + GAP),
        wide=WIDE,
        goal_x=f"{GOAL * 100:g}%",
        wording=wording,
    )


def percent(share: float) -> str:
    """A share in per cent; what is not quite all never reads as all."""
    tenths = min(int(share * 1000), 999) if share < 1 else 1000
    return format_number(tenths / 10)


def bars(found: Health) -> Sequence[Bar]:
    """The picture's bars; the highest week fills it."""
    most = max((week.failures for week in found.weeks), default=0) or 1
    return [_bar(number, week, HIGH / most) for number, week in enumerate(found.weeks)]


def _bar(number: int, week: Week, scale: float) -> Bar:
    served, lacking = week.served * scale, (week.failures - week.served) * scale
    return Bar(
        week=week,
        x=number * (WIDE + GAP) + GAP // 2,
        served_y=round(HIGH - served, 2),
        served_high=round(served, 2),
        open_y=round(HIGH - served - lacking, 2),
        open_high=round(lacking, 2),
    )
