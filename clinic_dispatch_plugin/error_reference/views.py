"""The pages *Mailing errors*: what services answer, in plain words, and how the clinic says it better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, redirect, request
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.channels.reference import GROUPS, LANGUAGES, WHO
from clinic_dispatch_plugin.error_reference import editing, reading, wording
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.forms import (
    SHORT_LIMIT,
    TEXT_LIMIT,
    EntryForm,
    NewEntryForm,
    values_of,
)
from clinic_dispatch_plugin.error_reference.likeness import plain_words
from clinic_dispatch_plugin.error_reference.policy import usual
from clinic_dispatch_plugin.error_reference.rules import ANY_CODE
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.registry import EXTENSION, Dispatch, current_dispatch
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.i18n import N_, NAMES, _, language
from clinic_dispatch_plugin.web.layout import render_page, said, url
from clinic_dispatch_plugin.web.menu import forget_badge
from clinic_dispatch_plugin.web.params import choice_arg, text_arg

FOLDER = "clinic_dispatch/reference"
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
    "settled": N_("Done: the general description stays for this answer."),
}


def register(blueprint: Blueprint) -> None:
    """Add the pages of the reference to the blueprint."""
    add = blueprint.add_url_rule
    add("/errors", "reference", show_list)
    add("/errors/new", "new_entry", new_entry, methods=["GET", "POST"])
    add("/errors/<int:entry_id>", "reference_entry", show_entry)
    add("/errors/<int:entry_id>", "save_entry", save_entry, methods=["POST"])
    add("/errors/<int:entry_id>/restore", "restore_entry", restore_entry, methods=["POST"])
    add("/errors/<int:entry_id>/conflict", "settle_conflict", settle_conflict, methods=["POST"])
    add("/errors/drafts/<int:answer_id>", "describe_draft", describe_draft, methods=["GET", "POST"])
    add("/errors/drafts/<int:answer_id>/settle", "settle_draft", settle_draft, methods=["POST"])
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
    if request.form.get("version") != found.version:
        return _entry_page(found, values=form.values, errors={}, status=409, overtaken=True)
    if not form.errors:
        try:
            editing.change_entry(current_dispatch(), entry_id, content=form.content, by=_who())
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
        **_form_context(values, errors),
    )


@requires(Action.EDIT_REFERENCE)
def restore_entry(entry_id: int) -> AnyResponse:
    """Give a shipped entry its shipped words again; remove one of the clinic's own."""
    _detail(entry_id)
    try:
        stays = editing.restore_entry(current_dispatch(), entry_id, by=_who())
    except LookupError:
        abort(404)
    forget_badge()
    if stays:
        return redirect(url("reference_entry", entry_id=entry_id, said="restored"), 303)
    return redirect(url("reference", said="removed"), 303)


@requires(Action.EDIT_REFERENCE)
def settle_conflict(entry_id: int) -> AnyResponse:
    """After an update: keep the clinic's words, or take the new shipped ones, for the fields that differ."""
    found = _detail(entry_id)
    take = request.form.get("take") == "shipped"
    content = {name: theirs if take else ours for name, (ours, theirs) in found.conflicts.items()}
    if content:
        try:
            editing.change_entry(current_dispatch(), entry_id, content=content, by=_who())
        except (ReferenceProblem, LookupError):
            abort(409)
    done = "taken" if take else "kept"
    return redirect(url("reference_entry", entry_id=entry_id, said=done), 303)


@requires(Action.EDIT_REFERENCE)
def new_entry() -> AnyResponse:
    """An entry for an answer that has not come yet."""
    if request.method == "GET":
        values = {**values_of({}), "system": text_arg("system", limit=32) or "smtp"}
        values.update(code=text_arg("code", limit=64), pattern="", unless="")
        return _new_page(values, {})
    form = NewEntryForm({})
    if not form.errors and (entry_id := _add(form)):
        return redirect(url("reference_entry", entry_id=entry_id, said="saved"), 303)
    return _new_page(form.values, form.errors, status=422)


def _new_page(
    values: Mapping[str, str], errors: Mapping[str, str], *, status: int = 200
) -> Response:
    systems = reading.overview(current_dispatch()).systems
    return render_page(
        f"{FOLDER}/new.html",
        status,
        active="reference",
        systems=[(key, wording.system(key)) for key in systems],
        **_form_context(values, errors),
    )


@requires(Action.EDIT_REFERENCE)
def describe_draft(answer_id: int) -> AnyResponse:
    """Say what an unforeseen answer means; every earlier message with it explains itself at once."""
    dispatch = current_dispatch()
    draft = reading.draft(dispatch, answer_id)
    if draft is None:
        abort(404, _("This answer has been described meanwhile, or it never came."))
    code, pattern = reading.proposed_key(dispatch, draft.answer)
    prefilled = dict(draft.shown.content) if draft.shown else {}
    for name in list(prefilled):
        if name.partition(".")[0] in ("short", "what_happened", "what_helps"):
            del prefilled[name]
    if request.method == "GET":
        values = {**values_of(prefilled), "code": code, "pattern": pattern, "unless": ""}
        return _draft_page(draft, {**values, "system": draft.answer.system}, {}, proposed=pattern)
    form = NewEntryForm(prefilled, system=draft.answer.system)
    if not form.errors:
        _check_that_it_covers(form, draft)
    if not form.errors and (entry_id := _add(form)):
        return redirect(url("reference_entry", entry_id=entry_id, said="saved"), 303)
    return _draft_page(draft, form.values, form.errors, proposed=pattern, status=422)


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
    status: int = 200,
) -> Response:
    broken = "pattern" in errors or "unless" in errors
    return render_page(
        f"{FOLDER}/draft.html",
        status,
        active="reference",
        draft=draft,
        proposed=proposed,
        plain_pattern=plain_words(values["pattern"]),
        followers=None if broken or not values["code"] else _followers(values),
        **_form_context(values, errors),
    )


def _followers(values: Mapping[str, str]) -> reading.Followers:
    return reading.followers(
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
    if reading.draft(dispatch, answer_id) is None:
        abort(404, _("This answer has been described meanwhile, or it never came."))
    editing.settle(dispatch, [answer_id])
    forget_badge()
    return redirect(url("reference", said="settled"), 303)


def _add(form: NewEntryForm) -> int | None:
    """Add the entry; None: a field is wrong, and the form says which."""
    try:
        entry = editing.add_entry(
            current_dispatch(),
            system=form.system,
            code=form.code,
            pattern=form.pattern,
            unless=form.unless,
            content=form.content,
            by=_who(),
        )
    except ReferenceProblem as problem:
        form.errors[problem.field] = _(problem.message, **problem.fields)
        return None
    forget_badge()
    return entry.id


def _detail(entry_id: int) -> reading.Detail:
    found = reading.detail(current_dispatch(), entry_id)
    if found is None:
        abort(404, _("This entry does not exist any more. Perhaps somebody removed it."))
    return found


def _who() -> str:
    actor = acting()
    return (actor.name or actor.ref)[:255]


def _form_context(values: Mapping[str, str], errors: Mapping[str, str]) -> dict[str, Any]:
    """What the fields of an entry need, on all three pages that have them."""
    here = language()
    return {
        "values": values,
        "errors": errors,
        "wording": wording,
        "languages": [(code, NAMES[code]) for code in (here, *(c for c in LANGUAGES if c != here))],
        "limits": {"short": SHORT_LIMIT, "text": TEXT_LIMIT},
        "who_choices": [(key, words.who(key)) for key in WHO],
        "group_choices": [(key, words.group(key)) for key in GROUPS],
        "category_choices": sorted(
            ((key, wording.category(key)) for key in {*wording.CATEGORIES, values["category"]}),
            key=lambda choice: choice[1].casefold(),
        ),
        "permanence_choices": [(key, _(text)) for key, text in wording.PERMANENCES.items()],
        "action_choices": [
            ("", _("As usual for this kind")),
            *((key, _(text)) for key, text in wording.ACTIONS.items()),
        ],
        "block_choices": [("", _("As usual for this kind")), ("yes", _("Yes")), ("no", _("No"))],
        "usual_policy": wording.policy(usual(values["category"], values["permanence"])),
    }
