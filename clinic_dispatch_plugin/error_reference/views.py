"""The pages *Mailing errors*: what services answer, in plain words, and how the clinic says it better."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, abort, redirect, request
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.error_reference import (
    draft_views,
    editing,
    exchange_views,
    health_views,
    history,
    printing,
    reading,
    trying,
    wording,
)
from clinic_dispatch_plugin.error_reference.checking import (
    CODE_LIMIT,
    SYSTEM_LIMIT,
    ReferenceProblem,
)
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER, form_context, who_acts
from clinic_dispatch_plugin.error_reference.forms import EntryForm, values_of
from clinic_dispatch_plugin.error_reference.likeness import plain_words
from clinic_dispatch_plugin.error_reference.normalising import TEXT_LIMIT
from clinic_dispatch_plugin.error_reference.rules import TEXT_FIELDS
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.registry import EXTENSION, Dispatch, current_dispatch
from clinic_dispatch_plugin.web.auth import requires
from clinic_dispatch_plugin.web.i18n import N_, _
from clinic_dispatch_plugin.web.layout import render_page, said, url
from clinic_dispatch_plugin.web.menu import forget_badge
from clinic_dispatch_plugin.web.params import Form, choice_arg, text_arg

SHOW: Mapping[str, str] = {
    "all": N_("All entries"),
    "occurred": N_("Only those that occurred"),
    "changed": N_("Only those we changed"),
}
SAID: Mapping[str, str] = {
    "saved": N_("Saved. Earlier messages with this error show the new text too."),
    "restored": N_("The shipped text holds again."),
    "kept": N_("Your text stays. The new shipped text is noted as seen."),
    "taken": N_("The new shipped text holds now."),
    "removed": N_(
        "The entry was removed. Its messages explain themselves from the other entries again."
    ),
    "undone": N_("Taken back. Everything is as it was before that change."),
    "same": N_("Saved: this answer has the same words and does the same from now on."),
    "settled": N_("Done: the general description stays for this answer."),
}


def register(blueprint: Blueprint) -> None:
    """Add the pages of the reference to the blueprint."""
    add = blueprint.add_url_rule
    add("/errors", "reference", show_list)
    add("/errors/<int:entry_id>", "reference_entry", show_entry)
    add("/errors/<int:entry_id>", "save_entry", save_entry, methods=["POST"])
    add("/errors/<int:entry_id>/restore", "restore_entry", restore_entry, methods=["POST"])
    add("/errors/<int:entry_id>/conflict", "settle_conflict", settle_conflict, methods=["POST"])
    add("/errors/changes/<int:change_id>/undo", "undo_change", undo_change, methods=["POST"])
    add("/errors/try", "try_answer", try_answer, methods=["GET", "POST"])
    draft_views.register(blueprint)
    exchange_views.register(blueprint)
    health_views.register(blueprint)
    printing.register(blueprint)
    blueprint.record(_count_drafts_in_menus)


def _count_drafts_in_menus(state: BlueprintSetupState) -> None:
    dispatch: Dispatch = state.app.extensions[EXTENSION]
    dispatch.cache["count_drafts"] = lambda: reading.count_drafts(dispatch)


@requires(Action.VIEW)
def show_list() -> Response:
    """All entries under their three headings, with what nobody described on top."""
    query = text_arg("q")
    show = choice_arg("show", SHOW, default="all")
    system = text_arg("system", limit=32)
    all_drafts = choice_arg("drafts", ("all",)) == "all"
    found = reading.overview(
        current_dispatch(), query=query, system=system, show=show, all_drafts=all_drafts
    )
    return render_page(
        f"{FOLDER}/list.html",
        active="reference",
        found=found,
        query=query,
        system=system,
        show=show,
        filtered=bool(query or system or show != "all"),
        show_choices=[(key, _(label)) for key, label in SHOW.items()],
        system_choices=[
            ("", _("All services")),
            *((key, wording.system(key)) for key in found.systems),
        ],
        wording=wording,
        notice=said(SAID, request.args.get("said")),
    )


@requires(Action.VIEW)
def show_entry(entry_id: int) -> Response:
    """One entry; whoever may edit gets its form."""
    found = _detail(entry_id)
    return _entry_page(found, values=values_of(found.entry.content), errors={})


@requires(Action.EDIT_REFERENCE)
def save_entry(entry_id: int) -> AnyResponse:
    """Save what was changed, unless somebody else changed the entry meanwhile."""
    found = _detail(entry_id)
    form = EntryForm(found.entry.content, entry=found.entry)
    if found.withdrawn or found.retired:
        abort(409, _("This entry is out of use and cannot be changed."))
    if request.form.get("version") != found.version:
        return _entry_page(found, values=form.values, errors={}, status=409, overtaken=True)
    if not form.errors:
        try:
            editing.change_entry(current_dispatch(), entry_id, content=form.content, by=who_acts())
        except ReferenceProblem as problem:
            form.errors[problem.field] = _(problem.message, **problem.fields)
        except LookupError:
            abort(404)
        else:
            forget_badge()
            return redirect(url("reference_entry", entry_id=entry_id, said="saved"), 303)
    return _entry_page(found, values=form.values, errors=form.errors, status=422)


def _entry_page(
    found: reading.Detail,
    *,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    status: int = 200,
    overtaken: bool = False,
) -> Response:
    stored = values_of(found.entry.content)
    return render_page(
        f"{FOLDER}/entry.html",
        status,
        active="reference",
        detail=found,
        entry=found.entry,
        shipped=values_of(found.shipped) if found.shipped else {},
        overtaken=overtaken,
        differing={name for name in stored if overtaken and stored[name] != values.get(name, "")},
        stored=stored,
        plain_pattern=plain_words(found.entry.pattern),
        notice=said(SAID, request.args.get("said")),
        restorable={
            code: any(f"{name}.{code}" in found.entry.own for name in TEXT_FIELDS)
            for code in LANGUAGES
        },
        history=history.history(current_dispatch(), found.entry.id),
        **form_context(values, errors),
    )


@requires(Action.EDIT_REFERENCE)
def restore_entry(entry_id: int) -> AnyResponse:
    """Give a shipped entry its shipped words again, in one language or in all; take one of the clinic's out of use."""
    _detail(entry_id)
    chosen = request.form.get("language")
    if chosen and chosen not in LANGUAGES:
        abort(400)
    fields = [f"{name}.{chosen}" for name in TEXT_FIELDS] if chosen else None
    try:
        stays = editing.restore_entry(current_dispatch(), entry_id, by=who_acts(), fields=fields)
    except LookupError:
        abort(404)
    forget_badge()
    return redirect(
        url("reference_entry", entry_id=entry_id, said="restored" if stays else "removed"), 303
    )


@requires(Action.EDIT_REFERENCE)
def undo_change(change_id: int) -> AnyResponse:
    """Take the latest change of an entry back; that is a change too, and can be taken back itself."""
    try:
        entry_id = editing.undo_change(current_dispatch(), change_id, by=who_acts())
    except LookupError:
        abort(404)
    except ReferenceProblem as problem:
        abort(409, _(problem.message, **problem.fields))
    forget_badge()
    return redirect(url("reference_entry", entry_id=entry_id, said="undone"), 303)


@requires(Action.VIEW)
def try_answer() -> Response:
    """Type what a service wrote, and see which entry matches, by which step, and what else came close.

    By POST, so that what may name a patient stands in no log of addresses; nothing is stored.
    """
    dispatch = current_dispatch()
    form = Form()
    system = form.text("system", limit=SYSTEM_LIMIT) or "smtp"
    code = form.text("code", limit=CODE_LIMIT)
    text = form.text("text", limit=TEXT_LIMIT, multiline=True)
    asked = not form.errors and bool(code or text)
    found = trying.tried(dispatch, system=system, code=code, text=text) if asked else None
    return render_page(
        f"{FOLDER}/try.html",
        422 if form.errors else 200,
        active="reference",
        system=system,
        code=code,
        text=text,
        errors=form.errors,
        found=found,
        wording=wording,
        system_choices=[(key, wording.system(key)) for key in trying.systems(dispatch)],
    )


@requires(Action.EDIT_REFERENCE)
def settle_conflict(entry_id: int) -> AnyResponse:
    """After an update: keep the clinic's words, or take the new shipped ones, for the fields that differ."""
    found = _detail(entry_id)
    take = request.form.get("take") == "shipped"
    content = {name: theirs if take else ours for name, (ours, theirs) in found.conflicts.items()}
    if content:
        try:
            editing.change_entry(current_dispatch(), entry_id, content=content, by=who_acts())
        except (ReferenceProblem, LookupError):
            abort(409)
    done = "taken" if take else "kept"
    return redirect(url("reference_entry", entry_id=entry_id, said=done), 303)


def _detail(entry_id: int) -> reading.Detail:
    found = reading.detail(current_dispatch(), entry_id)
    if found is None:
        abort(404, _("This entry does not exist any more. Perhaps somebody removed it."))
    return found
