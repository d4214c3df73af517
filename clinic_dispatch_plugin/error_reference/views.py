"""The pages *Mailing errors*: what services answer, in plain words, and how the clinic says it better."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Response, abort, redirect, request
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.error_reference import (
    draft_views,
    editing,
    exchange_views,
    following,
    following_views,
    health_views,
    history,
    list_views,
    overtaking,
    printing,
    reading,
    regroup_views,
    trying,
    update_views,
    updates,
    wording,
)
from clinic_dispatch_plugin.error_reference.checking import (
    CODE_LIMIT,
    SYSTEM_LIMIT,
    ReferenceProblem,
)
from clinic_dispatch_plugin.error_reference.entry_page import back_to, detail_of, entry_page
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER, who_acts
from clinic_dispatch_plugin.error_reference.forms import EntryForm, values_of
from clinic_dispatch_plugin.error_reference.list_address import suffix, wanted_in_address
from clinic_dispatch_plugin.error_reference.normalising import TEXT_LIMIT
from clinic_dispatch_plugin.error_reference.rules import TEXT_FIELDS
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.registry import EXTENSION, Dispatch, current_dispatch
from clinic_dispatch_plugin.web.auth import requires
from clinic_dispatch_plugin.web.i18n import _
from clinic_dispatch_plugin.web.layout import render_page, url
from clinic_dispatch_plugin.web.menu import forget_badge
from clinic_dispatch_plugin.web.params import Form

#: Characters of a pasted mail; a report stands at its beginning.
MAIL_LIMIT = 100_000


def register(blueprint: Blueprint) -> None:
    """Add the pages of the reference to the blueprint."""
    add = blueprint.add_url_rule
    add("/errors/<int:entry_id>", "reference_entry", show_entry)
    add("/errors/<int:entry_id>", "save_entry", save_entry, methods=["POST"])
    add("/errors/<int:entry_id>/restore", "restore_entry", restore_entry, methods=["POST"])
    add("/errors/changes/<int:change_id>/undo", "undo_change", undo_change, methods=["POST"])
    add("/errors/try", "try_answer", try_answer, methods=["GET", "POST"])
    list_views.register(blueprint)
    draft_views.register(blueprint)
    regroup_views.register(blueprint)
    update_views.register(blueprint)
    exchange_views.register(blueprint)
    health_views.register(blueprint)
    printing.register(blueprint)
    blueprint.record(_count_drafts_in_menus)


def _count_drafts_in_menus(state: BlueprintSetupState) -> None:
    dispatch: Dispatch = state.app.extensions[EXTENSION]
    dispatch.cache["count_drafts"] = lambda: (
        reading.count_drafts(dispatch) + updates.count(dispatch)
    )


@requires(Action.VIEW)
def show_entry(entry_id: int) -> Response:
    """One entry; whoever may edit gets its form."""
    found = detail_of(entry_id)
    return entry_page(found, values=values_of(found.entry.content), errors={})


@requires(Action.EDIT_REFERENCE)
def save_entry(entry_id: int) -> AnyResponse:
    """Save what was changed, unless somebody else changed the entry meanwhile."""
    found = detail_of(entry_id)
    form = EntryForm(found.entry.content, entry=found.entry, shipped=found.shipped)
    if found.withdrawn or found.retired:
        abort(409, _("This entry is out of use and cannot be changed."))
    if overtaking.is_overtaken(found):
        return overtaking.page(found, form.values)
    if following_views.wants_back():
        return entry_page(found, values=form.values, errors=form.errors)
    if not form.errors:
        changes = following.policy_changes(current_dispatch(), entry_id, form.content)
        action = following_views.here("save_entry", entry_id)
        if asked := following_views.question(found.entry, changes, action=action):
            return asked
        deed = partial(
            editing.change_entry,
            current_dispatch(),
            entry_id,
            content=form.content,
            by=who_acts(),
        )
        try:
            _entry, done = following_views.done(deed, changes)
        except ReferenceProblem as problem:
            form.errors[problem.field] = _(problem.message, **problem.fields)
        except LookupError:
            abort(404)
        else:
            forget_badge()
            return redirect(back_to(entry_id, "saved", **done), 303)
    return entry_page(found, values=form.values, errors=form.errors, status=422)


@requires(Action.EDIT_REFERENCE)
def restore_entry(entry_id: int) -> AnyResponse:
    """Give a shipped entry its shipped words again, in one language or in all; take one of the clinic's out of use."""
    found = detail_of(entry_id)
    chosen = request.form.get("language")
    if chosen and chosen not in LANGUAGES:
        abort(400)
    fields = [f"{name}.{chosen}" for name in TEXT_FIELDS] if chosen else None
    deed = partial(
        editing.restore_entry, current_dispatch(), entry_id, by=who_acts(), fields=fields
    )
    page, changes = following_views.asked(
        deed,
        entry=found.entry,
        action=following_views.here("restore_entry", entry_id),
        leave=following_views.here("reference_entry", entry_id),
    )
    if page is not None:
        return page
    try:
        stays, done = following_views.done(deed, changes)
    except LookupError:
        abort(404)
    forget_badge()
    return redirect(back_to(entry_id, "restored" if stays else "removed", **done), 303)


@requires(Action.EDIT_REFERENCE)
def undo_change(change_id: int) -> AnyResponse:
    """Take the latest change of an entry back; that is a change too, and can be taken back itself."""
    deed = partial(editing.undo_change, current_dispatch(), change_id, by=who_acts())
    found = history.entry_of(current_dispatch(), change_id)
    page, changes = following_views.asked(
        deed,
        entry=found,
        action=url("undo_change", change_id=change_id) + suffix(wanted_in_address()),
        leave=following_views.here("reference_entry", found.id) if found else url("reference"),
    )
    if page is not None:
        return page
    try:
        entry_id, done = following_views.done(deed, changes)
    except LookupError:
        abort(404)
    except ReferenceProblem as problem:
        abort(409, _(problem.message, **problem.fields))
    forget_badge()
    return redirect(back_to(entry_id, "undone", **done), 303)


@requires(Action.VIEW)
def try_answer() -> Response:
    """Type what a service wrote or paste a whole returned mail: which entry matches, by which step, what came close.

    By POST, so that what may name a patient stands in no log of addresses; nothing is stored.
    """
    dispatch = current_dispatch()
    form = Form()
    system = form.text("system", limit=SYSTEM_LIMIT) or "smtp"
    code = form.text("code", limit=CODE_LIMIT)
    mail = trying.is_mail(form.raw("text"))
    text = form.text("text", limit=MAIL_LIMIT if mail else TEXT_LIMIT, multiline=True)
    asked = not form.errors and bool(code or text)
    mails = trying.tried_mail(dispatch, text) if asked and mail else []
    found = (
        trying.tried(dispatch, system=system, code=code, text=text) if asked and not mail else None
    )
    return render_page(
        f"{FOLDER}/try.html",
        422 if form.errors else 200,
        active="reference",
        system=system,
        code=code,
        text=text,
        errors=form.errors,
        found=found,
        is_mail=asked and mail,
        mails=mails,
        wording=wording,
        system_choices=[(key, wording.system(key)) for key in trying.systems(dispatch)],
    )
