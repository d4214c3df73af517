"""Which answers an entry is for, as pages: its pattern, another that means the same, an answer taken out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.error_reference import (
    draft_reading,
    following_views,
    overtaking,
    reading,
    regrouping,
    trial,
    wording,
)
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.entry_page import back_to, detail_of, entry_page
from clinic_dispatch_plugin.error_reference.foresight import sharing
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER, who_acts
from clinic_dispatch_plugin.error_reference.forms import pattern_field, values_of
from clinic_dispatch_plugin.error_reference.list_address import suffix, wanted_in_address
from clinic_dispatch_plugin.error_reference.merging import candidates
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import requires
from clinic_dispatch_plugin.web.i18n import _
from clinic_dispatch_plugin.web.layout import render_page, url
from clinic_dispatch_plugin.web.menu import forget_badge
from clinic_dispatch_plugin.web.params import Form, number_in, text_arg


def register(blueprint: Blueprint) -> None:
    """Add these pages to the blueprint."""
    add = blueprint.add_url_rule
    add("/errors/<int:entry_id>/pattern", "save_pattern", save_pattern, methods=["POST"])
    add("/errors/<int:entry_id>/merge", "merge_entry", merge_entry)
    add("/errors/<int:entry_id>/merge", "merge_entries", merge_entries, methods=["POST"])
    add(
        "/errors/<int:entry_id>/answers/<int:answer_id>/out",
        "take_answer_out",
        take_answer_out,
        methods=["POST"],
    )


@requires(Action.EDIT_REFERENCE)
def save_pattern(entry_id: int) -> AnyResponse:
    """Change the piece of text by which an entry of the clinic's knows its answers."""
    found = _usable(entry_id)
    form = Form()
    typed = {name: pattern_field(form, name) for name in ("pattern", "unless")}
    stored = values_of(found.entry.content)
    if overtaking.is_overtaken(found):
        return entry_page(
            found, values=stored, errors={}, status=409, overtaken=True, typed_pattern=typed
        )
    if trial.goes_back() or following_views.wants_back():
        return entry_page(found, values=stored, errors={}, typed_pattern=typed)
    if not form.errors:
        new = replace(found.entry, pattern=typed["pattern"], unless=typed["unless"])
        here = wanted_in_address().address()
        if page := trial.asked(new, action=url("save_pattern", entry_id=entry_id, **here)):
            return page
        deed = partial(
            regrouping.change_pattern, current_dispatch(), entry_id, by=who_acts(), **typed
        )
        asked, changes = following_views.asked(
            deed, entry=found.entry, action=following_views.here("save_pattern", entry_id)
        )
        if asked is not None:
            return asked
        try:
            _made, done = following_views.done(deed, changes)
        except ReferenceProblem as problem:
            form.errors[problem.field] = _(problem.message, **problem.fields)
        except LookupError:
            abort(404)
        else:
            forget_badge()
            return redirect(back_to(entry_id, "saved", **done), 303)
    return entry_page(found, values=stored, errors=form.errors, status=422, typed_pattern=typed)


@requires(Action.EDIT_REFERENCE)
def merge_entry(entry_id: int) -> Response:
    """Choose the entry that means the same."""
    found = _usable(entry_id)
    query = text_arg("q")
    return render_page(
        f"{FOLDER}/merge.html",
        active="reference",
        detail=found,
        query=query,
        candidates=candidates(current_dispatch(), found, query),
        wording=wording,
    )


@requires(Action.EDIT_REFERENCE)
def merge_entries(entry_id: int) -> AnyResponse:
    """From now on two entries are one: the same words, the same policy."""
    found = _usable(entry_id)
    into = number_in(request.form.get("entry", ""), least=1) or 0
    if into == entry_id or not reading.is_in_use(current_dispatch(), into):
        abort(404, _("This entry does not exist any more. Perhaps somebody removed it."))
    page = trial.asked(
        sharing(current_dispatch(), found.entry, into),
        action=url("merge_entries", entry_id=entry_id),
        leave=url("merge_entry", entry_id=entry_id),
    )
    if page is not None:
        return page
    deed = partial(regrouping.merge_entry, current_dispatch(), entry_id, into=into, by=who_acts())
    page, changes = following_views.asked(
        deed,
        entry=found.entry,
        action=url("merge_entries", entry_id=entry_id),
        leave=url("merge_entry", entry_id=entry_id),
    )
    if page is not None:
        return page
    try:
        _made, done = following_views.done(deed, changes)
    except LookupError:
        abort(409, _("These two are one entry already."))
    forget_badge()
    return redirect(back_to(entry_id, "merged", **done), 303)


@requires(Action.EDIT_REFERENCE)
def take_answer_out(entry_id: int, answer_id: int) -> AnyResponse:
    """One answer is not meant by an entry after all."""
    found = _usable(entry_id)
    deed = partial(regrouping.take_out, current_dispatch(), entry_id, answer_id, by=who_acts())
    page, changes = following_views.asked(
        deed,
        entry=found.entry,
        action=url("take_answer_out", entry_id=entry_id, answer_id=answer_id)
        + suffix(wanted_in_address()),
        leave=following_views.here("reference_entry", entry_id),
    )
    if page is not None:
        return page
    try:
        _made, done = following_views.done(deed, changes)
    except LookupError:
        abort(404, _("This answer does not belong to the entry any more."))
    except ReferenceProblem as problem:
        abort(409, _(problem.message, **problem.fields))
    forget_badge()
    if draft_reading.draft(current_dispatch(), answer_id) is not None:
        return redirect(url("describe_draft", answer_id=answer_id, said="out"), 303)
    return redirect(back_to(entry_id, "out", **done), 303)


def _usable(entry_id: int) -> reading.Detail:
    found = detail_of(entry_id)
    if found.withdrawn or found.retired:
        abort(409, _("This entry is out of use and cannot be changed."))
    return found
