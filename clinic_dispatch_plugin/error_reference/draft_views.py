"""Describing answers: an unforeseen one, one that is the same as another, and one that has not come yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.error_reference import (
    draft_reading,
    editing,
    following_views,
    overtaking,
    reading,
    trial,
    trying,
    wording,
)
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.foresight import as_new, sharing
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER, form_context, who_acts
from clinic_dispatch_plugin.error_reference.forms import NewEntryForm, values_of
from clinic_dispatch_plugin.error_reference.likeness import plain_words
from clinic_dispatch_plugin.error_reference.rules import ANY_CODE, TEXT_FIELDS, KnownEntry
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import requires
from clinic_dispatch_plugin.web.i18n import N_, _
from clinic_dispatch_plugin.web.layout import render_page, said, url
from clinic_dispatch_plugin.web.menu import forget_badge
from clinic_dispatch_plugin.web.params import ids_in_form, text_arg

GONE = N_("This answer has been described meanwhile, or it never came.")


SAID = {
    "out": N_("The answer was taken out of its entry and waits here to be described."),
    "unclear": N_(
        "One click is not enough here: this code and text fit many other answers. "
        "Say below which answers are meant, and describe them."
    ),
}


def register(blueprint: Blueprint) -> None:
    """Add these pages to the blueprint."""
    add = blueprint.add_url_rule
    add("/errors/new", "new_entry", new_entry, methods=["GET", "POST"])
    add("/errors/drafts/<int:answer_id>", "describe_draft", describe_draft, methods=["GET", "POST"])
    add("/errors/drafts/<int:answer_id>/same", "same_as", same_as, methods=["POST"])
    add("/errors/drafts/<int:answer_id>/settle", "settle_draft", settle_draft, methods=["POST"])


@requires(Action.EDIT_REFERENCE)
def new_entry() -> AnyResponse:
    """An entry for an answer that has not come yet."""
    if request.method == "GET":
        values = {**values_of({}), "system": text_arg("system", limit=32) or "smtp"}
        values.update(code=text_arg("code", limit=64), pattern="", unless="")
        return _new_page(values, {})
    form = NewEntryForm({})
    if trial.goes_back() or following_views.wants_back():
        return _new_page(form.values, form.errors)
    if not form.errors:
        action = url("new_entry")
        if page := trial.asked(_meant(form), action=action):
            return page
        if done := _saved(form, action=action):
            return done
    return _new_page(form.values, form.errors, status=422)


def _meant(form: NewEntryForm) -> KnownEntry:
    """The entry as it would be."""
    return as_new(
        system=form.system,
        code=form.code,
        pattern=form.pattern,
        unless=form.unless,
        content=form.content,
    )


def _new_page(
    values: Mapping[str, str], errors: Mapping[str, str], *, status: int = 200
) -> Response:
    systems = trying.systems(current_dispatch())
    return render_page(
        f"{FOLDER}/new.html",
        status,
        active="reference",
        systems=[(key, wording.system(key)) for key in systems],
        **form_context(values, errors),
    )


@requires(Action.EDIT_REFERENCE)
def describe_draft(answer_id: int) -> AnyResponse:
    """Say what an unforeseen answer means; every earlier message with it explains itself at once."""
    dispatch = current_dispatch()
    if request.method == "POST" and (page := overtaking.described_meanwhile(answer_id)):
        return page
    draft = _draft(answer_id, settled=request.method == "POST")
    code, pattern = draft_reading.proposed_key(dispatch, draft.answer)
    prefilled = dict(draft.shown.content) if draft.shown else {}
    for name in list(prefilled):
        if name.partition(".")[0] in TEXT_FIELDS:
            del prefilled[name]
    if request.method == "GET":
        values = {**values_of(prefilled), "code": code, "pattern": pattern, "unless": ""}
        return _draft_page(draft, {**values, "system": draft.answer.system}, {}, proposed=pattern)
    form = NewEntryForm(prefilled, system=draft.answer.system)
    also = [each for each in draft.alike if each.id in ids_in_form("also")]
    if trial.goes_back() or following_views.wants_back():
        return _draft_page(draft, form.values, form.errors, proposed=pattern, also=also)
    if not form.errors:
        _check_that_it_covers(form, draft)
    if not form.errors:
        seen = {draft.id, *(each.id for each in also)}
        action = url("describe_draft", answer_id=answer_id)
        if page := trial.asked(_meant(form), action=action, known=seen):
            return page
        keys = draft_reading.keys_for(dispatch, also, entry=_meant(form))
        if done := _saved(form, action=action, also=keys):
            return done
    return _draft_page(draft, form.values, form.errors, proposed=pattern, also=also, status=422)


def _check_that_it_covers(form: NewEntryForm, draft: reading.Draft) -> None:
    if form.code == ANY_CODE and not form.pattern:
        form.form.fault("pattern", _("Without a code a piece of the answer's text is needed."))
        return
    covered = _followers(form.values).answers
    if draft.id not in covered:
        field = "pattern" if form.pattern else "code"
        form.form.fault(
            field,
            _(
                "With this code and this text the answer above is not meant. Take a piece of its text."
            ),
        )


def _draft_page(
    draft: reading.Draft,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    proposed: str,
    also: Sequence[reading.Alike] = (),
    status: int = 200,
) -> Response:
    broken = "pattern" in errors or "unless" in errors
    return render_page(
        f"{FOLDER}/draft.html",
        status,
        active="reference",
        draft=draft,
        proposed=proposed,
        also={each.id for each in also},
        ways=draft_reading.ways(current_dispatch(), draft),
        notice=said(SAID, request.args.get("said")),
        plain_pattern=plain_words(values["pattern"]),
        followers=None if broken or not values["code"] else _followers(values),
        **form_context(values, errors),
    )


def _followers(values: Mapping[str, str]) -> draft_reading.Followers:
    return draft_reading.followers(
        current_dispatch(),
        system=values["system"],
        code=values["code"],
        pattern=values["pattern"],
        unless=values["unless"],
    )


@requires(Action.EDIT_REFERENCE)
def settle_draft(answer_id: int) -> AnyResponse:
    """The general description of this answer will do."""
    dispatch = current_dispatch()
    _draft(answer_id)
    editing.settle(dispatch, [answer_id])
    forget_badge()
    return redirect(url("reference", said="settled"), 303)


def _saved(
    form: NewEntryForm, *, action: str, also: Sequence[tuple[str, str]] = ()
) -> AnyResponse | None:
    """Add the entry, after what waits was asked about; None: a field is wrong, and the form says which."""
    deed = partial(
        editing.add_entry,
        current_dispatch(),
        system=form.system,
        code=form.code,
        pattern=form.pattern,
        unless=form.unless,
        content=form.content,
        by=who_acts(),
        also=also,
    )
    page, changes = following_views.asked(deed, entry=_meant(form), action=action)
    if page is not None:
        return page
    try:
        entry, done = following_views.done(deed, changes)
    except ReferenceProblem as problem:
        form.errors[problem.field] = _(problem.message, **problem.fields)
        return None
    forget_badge()
    return redirect(url("reference_entry", entry_id=entry.id, said="saved", **done), 303)


@requires(Action.EDIT_REFERENCE)
def same_as(answer_id: int) -> AnyResponse:
    """Say that an unforeseen answer means the same as an entry: one click, and its messages explain themselves."""
    dispatch = current_dispatch()
    draft = _draft(answer_id)
    way = draft_reading.way(dispatch, draft, request.form.get("by", ""))
    if way is None:
        # One click would take many other answers along: which are meant has to be said by hand.
        return redirect(url("describe_draft", answer_id=answer_id, said="unclear"), 303)
    same = _number(request.form.get("entry"))
    new = as_new(
        system=draft.answer.system, code=way.code, pattern=way.pattern, unless="", content={}
    )
    page = trial.asked(
        sharing(dispatch, new, same),
        action=url("same_as", answer_id=answer_id),
        known={draft.id},
        leave=url("describe_draft", answer_id=answer_id),
    )
    if page is not None and reading.is_in_use(dispatch, same):
        return page
    deed = partial(
        editing.add_same_as,
        dispatch,
        system=draft.answer.system,
        code=way.code,
        pattern=way.pattern,
        same_as=same,
        by=who_acts(),
    )
    page, changes = following_views.asked(
        deed,
        entry=new,
        action=url("same_as", answer_id=answer_id),
        leave=url("describe_draft", answer_id=answer_id),
    )
    if page is not None:
        return page
    try:
        entry, done = following_views.done(deed, changes)
    except LookupError:
        abort(404, _("This entry does not exist any more. Perhaps somebody removed it."))
    except ReferenceProblem as problem:
        abort(409, _(problem.message, **problem.fields))
    forget_badge()
    return redirect(url("reference_entry", entry_id=entry.id, said="same", **done), 303)


def _number(given: str | None) -> int:
    text = given or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _draft(answer_id: int, *, settled: bool = False) -> reading.Draft:
    found = draft_reading.draft(current_dispatch(), answer_id, settled=settled)
    if found is None:
        abort(404, _(GONE))
    return found
