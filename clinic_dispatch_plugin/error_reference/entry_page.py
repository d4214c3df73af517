"""An entry's page and its panel beside the list: the same part, with or without a page around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, abort, make_response, request

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.error_reference import (
    again,
    following,
    following_views,
    history,
    listing,
    orders,
    overtaking_rules,
    reading,
)
from clinic_dispatch_plugin.error_reference.differences import by_words
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER, cannot_be_asked, form_context
from clinic_dispatch_plugin.error_reference.forms import text_names, values_of
from clinic_dispatch_plugin.error_reference.likeness import plain_words
from clinic_dispatch_plugin.error_reference.list_address import suffix, wanted_in_address
from clinic_dispatch_plugin.error_reference.occurring import seen_by
from clinic_dispatch_plugin.error_reference.rules import TEXT_FIELDS
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import acting
from clinic_dispatch_plugin.web.i18n import N_, _
from clinic_dispatch_plugin.web.layout import render_page, render_part, said, url

SAID: Mapping[str, str] = {
    "saved": N_("Saved. Earlier messages with this error show the new text too."),
    "restored": N_("The shipped text holds again."),
    "kept": N_("Your text stays. The new shipped text is noted as seen."),
    "taken": N_("The new shipped text holds now."),
    "removed": N_(
        "The entry is out of use now. Its messages explain themselves from the other entries again."
    ),
    "undone": N_("Taken back. Everything is as it was before that change."),
    "same": N_("Saved: this answer has the same words and does the same from now on."),
    "merged": N_(
        "Saved: the two mean the same from now on. Taking it back gives this one its own words again."
    ),
    "out": N_("The answer was taken out. What fits next explains it now."),
    "settled": N_("Done: the general description stays for this answer."),
}


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
    status: int = 200,
    overtaken: bool = False,
    typed_pattern: Mapping[str, str] | None = None,
) -> Response:
    """The page of an entry, or the part that stands beside the list, as somebody typed it or as it is stored.

    :param overtaken: somebody else saved meanwhile; what differs is shown beside.
    """
    wanted = wanted_in_address()
    context = {
        **entry_context(found, values, errors, overtaken=overtaken, typed_pattern=typed_pattern),
        "entry_notice": _notice(),
        "suffix": suffix(wanted),
    }
    if asks_for("entry"):
        row = listing.listed(
            current_dispatch(),
            found.entry,
            retired=found.retired or found.withdrawn,
            seen=seen_by(current_dispatch(), acting()),
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


def _notice() -> str:
    """What was done, and what became of the messages that waited."""
    both = (said(SAID, request.args.get("said")), following_views.notice())
    return " ".join(each for each in both if each)


def entry_context(
    found: reading.Detail,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    overtaken: bool = False,
    typed_pattern: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What the part with an entry tells."""
    dispatch = current_dispatch()
    stored = values_of(found.entry.content)
    key = {"pattern": found.entry.pattern, "unless": found.entry.unless}
    return {
        "detail": found,
        "entry": found.entry,
        "version": overtaking_rules.token(found.version, stored),
        "shipped": values_of(found.shipped) if found.shipped else {},
        "overtaken": overtaken,
        "differing": {
            name for name in stored if overtaken and stored[name] != values.get(name, "")
        },
        "stored": stored,
        "key_values": typed_pattern or key,
        "cannot_be_asked": cannot_be_asked(found.entry),
        "plain_pattern": plain_words(found.entry.pattern),
        "standing": following.standing_of(dispatch, [found.entry.id]),
        "restorable": {
            code: any(f"{name}.{code}" in found.entry.own for name in TEXT_FIELDS)
            for code in LANGUAGES
        },
        "history": history.history(dispatch, found.entry.id),
        "again": again.progress(dispatch),
        "applied": orders.progress(dispatch),
        "conflict_fields": found.conflict_fields,
        "by_words": by_words,
        "texts_shown": set(text_names()),
        **form_context(values, errors),
    }


def back_to(entry_id: int, done: str, **more: str) -> str:
    """The entry's page after a deed; what somebody looked for in the list stays in the address."""
    here = wanted_in_address().address()
    return url("reference_entry", entry_id=entry_id, said=done, **more, **here)


def detail_of(entry_id: int) -> reading.Detail:
    """One entry, or the page that says it is gone."""
    found = reading.detail(current_dispatch(), entry_id)
    if found is None:
        abort(404, _("This entry does not exist any more. Perhaps somebody removed it."))
    return found
