"""Which day the clinic has: its own zone's, or the one a test wants."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from flask import Flask, current_app

#: ``app.config`` key: a date to stand still at.
TODAY = "DEMO_TODAY"
ZONE = "CLINIC_DISPATCH_TIMEZONE"


def today(app: Flask | None = None) -> date:
    """Today in the clinic."""
    config = (app or current_app).config
    fixed = config.get(TODAY)
    if isinstance(fixed, date):
        return fixed
    return datetime.now(_zone(config.get(ZONE))).date()


def tomorrow(app: Flask | None = None) -> date:
    """The day whose patients are reminded."""
    return today(app) + timedelta(days=1)


def _zone(value: object) -> tzinfo:
    return value if isinstance(value, tzinfo) else ZoneInfo(str(value or "UTC"))
