"""The page *Mailing errors*: drafts, the list under its three headings, and the entry chosen beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from clinic_dispatch_plugin.channels.reference import GROUPS, LANGUAGES
from clinic_dispatch_plugin.error_reference import again, listing, orders, reading, updates, wording
from clinic_dispatch_plugin.error_reference.entry_page import (
    SAID,
    asks_for,
    entry_context,
    part_response,
)
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER
from clinic_dispatch_plugin.error_reference.forms import values_of
from clinic_dispatch_plugin.error_reference.list_address import suffix, wanted_in_address
from clinic_dispatch_plugin.error_reference.list_rows import row_maker
from clinic_dispatch_plugin.error_reference.occurring import seen_by
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.i18n import N_, NAMES, _
from clinic_dispatch_plugin.web.layout import render_page, said, url
from clinic_dispatch_plugin.web.params import choice_arg, id_arg

SHOW: Mapping[str, str] = {
    "": N_("Occurred or not"),
    "occurred": N_("Only those that occurred"),
    "never": N_("Only those that never occurred"),
}
WHOSE: Mapping[str, str] = {
    "": N_("Shipped and our own"),
    "changed": N_("Only those we changed or wrote"),
    "own": N_("Only our own entries"),
    "shipped": N_("Only shipped and unchanged"),
    "retired": N_("Only those out of use"),
}


def register(blueprint: Blueprint) -> None:
    """Add the list to the blueprint."""
    blueprint.add_url_rule("/errors", "reference", show_list)


@requires(Action.VIEW)
def show_list() -> Response:
    """All entries under their three headings, with what nobody described on top."""
    dispatch = current_dispatch()
    wanted = wanted_in_address()
    all_drafts = choice_arg("drafts", ("all",)) == "all"
    chosen = id_arg("entry")
    seen = seen_by(dispatch, acting())
    found = listing.overview(dispatch, wanted, all_drafts=all_drafts, seen=seen)
    context: dict[str, Any] = {
        "found": found,
        "wanted": wanted,
        "row": row_maker(found.index, suffix(wanted), chosen),
        "wording": wording,
    }
    if asks_for("list"):
        return part_response(f"{FOLDER}/results.html", **context)
    return render_page(
        f"{FOLDER}/list.html",
        active="reference",
        notice=said(SAID, request.args.get("said")),
        updates_waiting=updates.count(dispatch),
        **{
            **_choices(found),
            "again": again.progress(dispatch),
            "applied": orders.progress(dispatch),
            **_panel(chosen),
            **context,
        },
        suffix=suffix(wanted),
        close_url=url("reference", **wanted.address()),
    )


def _choices(found: listing.Overview) -> dict[str, Any]:
    return {
        "channel_choices": [
            ("", _("All channels")),
            *((key, words.channel(key)) for key in listing.CHANNELS),
        ],
        "system_choices": [
            ("", _("All services")),
            *((key, wording.system(key)) for key in found.index.systems),
        ],
        "heading_choices": [("", _("All headings")), *((g, words.group(g)) for g in GROUPS)],
        "show_choices": [(key, _(text)) for key, text in SHOW.items()],
        "whose_choices": [(key, _(text)) for key, text in WHOSE.items()],
        "missing_choices": [
            ("", _("All languages, whole or not")),
            ("any", _("A language is missing")),
            *((code, _("Missing: {language}", language=NAMES[code])) for code in LANGUAGES),
        ],
    }


def _panel(chosen: int | None) -> dict[str, Any]:
    """The entry that the address opens beside the list."""
    detail = reading.detail(current_dispatch(), chosen) if chosen is not None else None
    if detail is None:
        return {"panel": False, "gone": chosen is not None}
    context = entry_context(detail, values_of(detail.entry.content), {})
    return {
        "panel": True,
        "gone": False,
        "own_row": None,
        "level": 2,
        "entry_notice": "",
        **context,
    }
