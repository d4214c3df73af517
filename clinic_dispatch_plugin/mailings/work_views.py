"""The page that says whether everything goes out: workers, speed, what waits, and accounts with what helps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import RowMapping

from clinic_dispatch_plugin.engine.presence import Presence, look
from clinic_dispatch_plugin.error_reference.answers import Explained, explained
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.messages.detail import account_label
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import requires
from clinic_dispatch_plugin.web.layout import render_page, render_part

#: A waiting message older than this, in seconds, is said in red.
LONG_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    """One account and, where it does not send, the reference's words about it."""

    row: RowMapping
    label: str
    a_minute: int
    slowed: bool
    why: Explained | None


def register(blueprint: Blueprint) -> None:
    """Add the page to the blueprint."""
    blueprint.add_url_rule("/work", "work", show)
    blueprint.add_url_rule("/work.json", "work_json", show_part)


@requires(Action.CONFIGURE)
def show() -> Response:
    """How sending goes at this moment."""
    return _fresh(render_page("clinic_dispatch/mailings/work.html", active="work", **_found()))


@requires(Action.CONFIGURE)
def show_part() -> Response:
    """The changing part of the page, for its script."""
    part = render_part("clinic_dispatch/mailings/work_part.html", **_found())
    return _fresh(jsonify(html=str(part)))


def _fresh(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def _found() -> dict[str, Any]:
    found = look(current_dispatch())
    waited = found.waiting_seconds
    return {
        "found": found,
        "lines": _lines(found),
        "a_minute": sum(found.a_minute.values()),
        "too_long": waited is not None and waited > LONG_SECONDS,
    }


def _lines(found: Presence) -> Sequence[AccountLine]:
    dispatch = current_dispatch()
    with dispatch.database.begin() as connection:
        why = explained(dispatch, connection, (row["answer_id"] for row in found.accounts))
    return [
        AccountLine(
            row=row,
            label=account_label(dispatch, row),
            a_minute=found.a_minute[row["id"]],
            slowed=row["id"] in found.slowed,
            why=why.get(row["answer_id"] or 0) if row["state"] != "ready" else None,
        )
        for row in found.accounts
    ]
