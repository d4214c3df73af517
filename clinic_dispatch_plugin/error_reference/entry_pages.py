"""An entry's page and its panel beside the list: the same part, with or without a page around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, make_response, request

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.error_reference import history, listing, reading
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER, form_context
from clinic_dispatch_plugin.error_reference.forms import values_of
from clinic_dispatch_plugin.error_reference.likeness import plain_words
from clinic_dispatch_plugin.error_reference.list_address import suffix, wanted_in_address
from clinic_dispatch_plugin.error_reference.rules import TEXT_FIELDS
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.layout import render_page, render_part, url

#: How a script asks for a part of a page: ``entry`` or ``list``.
PART = "X-Dispatch-Part"


def asks_for(part: str) -> bool:
    """Whether a script wants only this part of the page."""
    return request.headers.get(PART) == part


def part_response(template: str, status: int = 200, **context: Any) -> Response:
    """A part of a page; never kept, for the page itself has the same address."""
    answer = make_response(render_part(template, **context), status)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Vary"] = PART
    return answer


def entry_page(
    found: reading.Detail,
    *,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    notice: str = "",
    status: int = 200,
    overtaken: bool = False,
) -> Response:
    """The page of an entry, or the part that stands beside the list."""
    wanted = wanted_in_address()
    context = {
        **entry_context(found, values, errors, overtaken=overtaken),
        "entry_notice": notice,
        "suffix": suffix(wanted),
    }
    if asks_for("entry"):
        row = listing.listed(
            current_dispatch(), found.entry, retired=found.retired or found.withdrawn
        )
        return part_response(
            f"{FOLDER}/entry_part.html",
            status,
            own_row=row,
            level=2,
            close_url=url("reference", **wanted.address()),
            **context,
        )
    return render_page(
        f"{FOLDER}/entry.html",
        status,
        active="reference",
        own_row=None,
        level=1,
        close_url="",
        back=wanted.address(),
        **context,
    )


def entry_context(
    found: reading.Detail,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    overtaken: bool = False,
) -> dict[str, Any]:
    """What the part with an entry tells."""
    stored = values_of(found.entry.content)
    return {
        "detail": found,
        "entry": found.entry,
        "shipped": values_of(found.shipped) if found.shipped else {},
        "overtaken": overtaken,
        "differing": {
            name for name in stored if overtaken and stored[name] != values.get(name, "")
        },
        "stored": stored,
        "plain_pattern": plain_words(found.entry.pattern),
        "restorable": {
            code: any(f"{name}.{code}" in found.entry.own for name in TEXT_FIELDS)
            for code in LANGUAGES
        },
        "history": history.history(current_dispatch(), found.entry.id),
        **form_context(values, errors),
    }
