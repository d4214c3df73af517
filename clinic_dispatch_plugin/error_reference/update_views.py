"""The page *What changed in the update*: shipped before and now, word by word, beside the clinic's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.error_reference import (
    editing,
    following_views,
    history,
    reading,
    updates,
    wording,
)
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.differences import by_words
from clinic_dispatch_plugin.error_reference.entry_page import SAID, back_to, detail_of
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER, who_acts
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import requires
from clinic_dispatch_plugin.web.i18n import N_, _
from clinic_dispatch_plugin.web.layout import render_page, said, url
from clinic_dispatch_plugin.web.menu import forget_badge
from clinic_dispatch_plugin.web.params import id_arg

DECIDED = N_("This was decided or changed meanwhile. Look at it as it is now.")


def register(blueprint: Blueprint) -> None:
    """Add the page and its decisions to the blueprint."""
    add = blueprint.add_url_rule
    add("/errors/updates", "reference_updates", show_updates)
    add("/errors/<int:entry_id>/conflict", "settle_conflict", settle_conflict, methods=["POST"])


@requires(Action.VIEW)
def show_updates() -> Response:
    """Every entry whose shipped text changed while the clinic has its own."""
    dispatch = current_dispatch()
    decided = id_arg("entry")
    changes = history.history(dispatch, decided) if decided is not None else []
    return render_page(
        f"{FOLDER}/updates.html",
        active="reference",
        found=[
            (each, reading.detail(dispatch, each.entry.id)) for each in updates.updated(dispatch)
        ],
        by_words=by_words,
        wording=wording,
        undo=changes[0] if changes and changes[0].can_be_undone else None,
        notice=said(SAID, request.args.get("said")),
    )


@requires(Action.EDIT_REFERENCE)
def settle_conflict(entry_id: int) -> AnyResponse:
    """Keep the clinic's words or take the new shipped ones: for one field, or for all that differ."""
    found = detail_of(entry_id)
    wanted = _wanted(found)
    if request.form.get("version", found.version) != found.version:
        abort(409, _(DECIDED))
    take = request.form.get("take") == "shipped"
    back = request.form.get("back") == "updates"
    deed = partial(_decide, entry_id, wanted, take=take)
    page, changes = following_views.asked(
        deed,
        entry=found.entry,
        action=url("settle_conflict", entry_id=entry_id),
        leave=url("reference_updates") if back else url("reference_entry", entry_id=entry_id),
    )
    if page is not None:
        return page
    try:
        _made, followed = following_views.done(deed, changes)
    except (ReferenceProblem, LookupError):
        abort(409)
    forget_badge()
    done = "taken" if take else "kept"
    if back:
        return redirect(url("reference_updates", said=done, entry=entry_id), 303)
    return redirect(back_to(entry_id, done, **followed), 303)


def _decide(entry_id: int, wanted: Mapping[str, object], *, take: bool) -> None:
    if take:
        editing.restore_entry(
            current_dispatch(), entry_id, by=who_acts(), fields=list(wanted), action="taken"
        )
    elif wanted:
        editing.change_entry(
            current_dispatch(), entry_id, content=wanted, by=who_acts(), action="kept"
        )


def _wanted(found: reading.Detail) -> Mapping[str, object]:
    """The fields somebody decides about, with the clinic's words."""
    ours = {name: pair[0] for name, pair in found.conflicts.items()}
    field = request.form.get("field")
    if field is None:
        return ours
    if field not in ours:
        abort(409, _(DECIDED))
    return {field: ours[field]}
