"""The three steps of a new mailing: whom, what, check. Each step keeps what was entered, whatever is wrong with it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, request, stream_with_context
from flask.typing import ResponseReturnValue

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.mailings import (
    counting,
    draft_files,
    drafts,
    forms,
    texts,
    trial,
    uploads,
)
from clinic_dispatch_plugin.mailings.bad_rows import bad_rows_of, csv_of_bad_rows
from clinic_dispatch_plugin.mailings.draft_checks import checked_draft, names_of
from clinic_dispatch_plugin.mailings.drafts import Draft
from clinic_dispatch_plugin.mailings.problems import MailingProblem, NotYours, Problem
from clinic_dispatch_plugin.mailings.sources import audiences
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import MIB, acting, allowed, requires
from clinic_dispatch_plugin.web.headers import preview_response
from clinic_dispatch_plugin.web.i18n import N_, _
from clinic_dispatch_plugin.web.layout import render_page, render_part, said, url
from clinic_dispatch_plugin.web.params import int_arg, number_in

#: Rows of a file that are shown at once.
ROWS_SHOWN = 50

NOTICES = {
    "unscheduled": N_("It is a draft again and will not start by itself."),
    "kept": N_("The draft was saved."),
    "list_gone": N_("The list of recipients is not there any more. Choose it again."),
    "template": N_("The text of the template was taken over."),
    "cheaper": N_("The text was written so that it costs less. Look it over."),
    "trial": N_("The trial is on its way to your own address."),
}


def register(blueprint: Blueprint) -> None:
    """Add the steps to the blueprint."""
    one = "/mailings/<int:mailing_id>"
    both = ["GET", "POST"]
    blueprint.add_url_rule("/mailings/new", "new_mailing", new, methods=both)
    blueprint.add_url_rule(f"{one}/who", "mailing_who", who, methods=both)
    blueprint.add_url_rule(f"{one}/bad-rows.csv", "bad_rows_csv", bad_rows_csv)
    blueprint.add_url_rule(f"{one}/what", "mailing_what", what, methods=both)
    blueprint.add_url_rule(f"{one}/draft", "keep_mailing", keep, methods=["POST"])
    blueprint.add_url_rule(f"{one}/preview", "mailing_preview", show_html)
    blueprint.add_url_rule(f"{one}/discard", "discard_mailing", discard, methods=["POST"])


def draft_of(mailing_id: int) -> Draft:
    """The draft of this actor.

    :raises NotYours: there is none; the page is 404.
    """
    return drafts.load(current_dispatch(), mailing_id, acting())


def elsewhere(draft: Draft) -> ResponseReturnValue | None:
    """Where a mailing belongs that is no draft any more."""
    if draft.state is MailingState.DRAFT:
        return None
    return redirect(url("mailing_progress", mailing_id=draft.id), 303)


# Step one.


@requires(Action.COMPOSE, max_body=65 * MIB)
def new() -> ResponseReturnValue:
    """Step one of a mailing that does not exist yet: nothing is kept before something was chosen."""
    if request.method == "GET":
        return _who_page(None)
    dispatch, actor = current_dispatch(), acting()
    draft = drafts.load(dispatch, drafts.create_draft(dispatch, actor), actor)
    try:
        return _choose(draft)
    except MailingProblem as error:
        drafts.discard_draft(dispatch, draft)
        return _who_page(None, error)
    except BaseException:
        drafts.discard_draft(dispatch, draft)
        raise


@requires(Action.COMPOSE, max_body=65 * MIB)
def who(mailing_id: int) -> ResponseReturnValue:
    """Step one: whom."""
    draft = draft_of(mailing_id)
    if away := elsewhere(draft):
        return away
    if request.method == "GET":
        return _who_page(draft)
    try:
        return _choose(draft)
    except MailingProblem as error:
        return _who_page(draft, error)


def _choose(draft: Draft) -> ResponseReturnValue:
    dispatch = current_dispatch()
    whom = request.form.get("whom", "")
    purpose = request.form.get("purpose", "")
    channel, fallbacks = request.form.get("channel", ""), forms.fallbacks_sent()
    waits = forms.waits_sent()
    on = redirect(url("mailing_what", mailing_id=draft.id), 303)
    if whom != forms.FILE:
        key = whom.removeprefix("audience:")
        drafts.choose_audience(
            dispatch,
            draft,
            key=key,
            filters=forms.filters_sent(key),
            purpose=purpose,
            channel=channel,
            fallbacks=fallbacks,
            waits=waits,
        )
        return on
    file = request.files.get("file")
    if file is None or not file.filename:
        if draft.source == forms.FILE and draft.selection.get("upload"):
            draft_files.keep_file(
                dispatch,
                draft,
                purpose=purpose,
                channel=channel,
                fallbacks=fallbacks,
                waits=waits,
            )
            return on
        raise MailingProblem(Problem(field="file", message="Choose a file with the recipients."))
    survey = draft_files.choose_file(
        dispatch,
        draft,
        stream=file.stream,
        file_name=file.filename,
        purpose=purpose,
        channel=channel,
        fallbacks=fallbacks,
        waits=waits,
    )
    if survey.bad_rows.count:
        return redirect(url("mailing_who", mailing_id=draft.id), 303)
    return on


def _who_page(draft: Draft | None, error: MailingProblem | None = None) -> Response:
    dispatch = current_dispatch()
    sent = request.method == "POST"
    chosen = request.form.get("whom", "") if sent else _chosen(draft)
    survey = None if error or draft is None else draft_files.survey_of(dispatch, draft)
    return render_page(
        "clinic_dispatch/mailings/who.html",
        422 if error else 200,
        active="new_mailing",
        draft=draft,
        action=url("mailing_who", mailing_id=draft.id) if draft else url("new_mailing"),
        choices=forms.choices(audiences(dispatch.host), draft, sent=sent),
        chosen=chosen,
        purposes=forms.purposes(),
        purpose=request.form.get("purpose", "") if sent else draft.purpose if draft else "",
        channels=forms.channel_choices(drafts.channels_to_choose(dispatch)),
        further=forms.fallbacks_shown(draft, sent=sent),
        waits=forms.waits_shown(draft, sent=sent),
        wait_choices=forms.wait_choices(draft),
        channel=request.form.get("channel", "") if sent else draft.channel if draft else "",
        errors=forms.faults(error) if error else {},
        survey=survey,
        bad_rows=[(row, *forms.row_in_words(row)) for row in survey.bad_rows.rows[:ROWS_SHOWN]]
        if survey
        else [],
        notice=said(NOTICES, request.args.get("said")),
    )


def _chosen(draft: Draft | None) -> str:
    if draft is None or not draft.has_recipients:
        return ""
    return forms.FILE if draft.source == forms.FILE else f"audience:{draft.selection['audience']}"


@requires(Action.COMPOSE)
def bad_rows_csv(mailing_id: int) -> ResponseReturnValue:
    """Every row of a draft's list that needs a look, as a file to correct the list by."""
    dispatch, draft = current_dispatch(), draft_of(mailing_id)
    if draft.source != forms.FILE:
        return redirect(url("mailing_who", mailing_id=draft.id), 303)
    place = uploads.path(dispatch, draft.selection.get("upload"))
    rows = bad_rows_of(dispatch, place, order=draft.order)
    response = Response(stream_with_context(csv_of_bad_rows(rows)), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="rows.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


# Step two.


@requires(Action.COMPOSE)
def what(mailing_id: int) -> ResponseReturnValue:
    """Step two: the text, with a real recipient's message beside it."""
    draft = draft_of(mailing_id)
    if away := elsewhere(draft) or without_recipients(draft):
        return away
    if request.method == "GET":
        return what_page(draft)
    draft = write(draft)
    go = request.form.get("go", "")
    if go.partition(":")[0] == "template":
        return _take_template(draft, go.partition(":")[2] or draft.channel)
    if go.startswith("cheaper:"):
        counting.write_cheaper(current_dispatch(), draft, *f"{go}:".split(":")[1:3])
        return redirect(url("mailing_what", mailing_id=draft.id, said="cheaper"), 303)
    if go == "who":
        return redirect(url("mailing_who", mailing_id=draft.id), 303)
    if go.startswith("preview:"):
        position = number_in(go.removeprefix("preview:"), most=trial.MOST_SHOWN)
        return redirect(url("mailing_what", mailing_id=draft.id, n=position or 0), 303)
    if go == "keep":
        return redirect(url("mailing_what", mailing_id=draft.id, said="kept"), 303)
    try:
        checked_draft(current_dispatch(), draft)
    except MailingProblem as error:
        return what_page(draft, error)
    return redirect(url("mailing_check", mailing_id=draft.id), 303)


def without_recipients(draft: Draft) -> ResponseReturnValue | None:
    """Back to step one where nobody was chosen, or the list is gone."""
    if not draft.has_recipients:
        return redirect(url("mailing_who", mailing_id=draft.id), 303)
    try:
        names_of(current_dispatch(), draft)
    except NotYours:
        return redirect(url("mailing_who", mailing_id=draft.id, said="list_gone"), 303)
    return None


def write(draft: Draft) -> Draft:
    """Keep what the form of step two holds, right or wrong."""
    return drafts.write(
        current_dispatch(),
        draft,
        name=request.form.get("name", ""),
        content=forms.content_sent(),
        template_id=draft.template_id,
        further=forms.further_sent(draft),
    )


def _take_template(draft: Draft, channel: str) -> ResponseReturnValue:
    dispatch = current_dispatch()
    is_first = channel == draft.channel
    field = "template" if is_first else f"template.{channel}"
    chosen = forms.id_sent(field)
    if chosen is None:
        message = "Choose a template first."
        return what_page(draft, MailingProblem(Problem(field=field, message=message)))
    found = texts.template(dispatch, chosen)
    if found.channel != channel or channel not in draft.order:
        raise NotYours(chosen)
    drafts.write(
        dispatch,
        draft,
        name=draft.name,
        content=found.content if is_first else draft.content,
        template_id=found.id if is_first else draft.template_id,
        further=draft.further if is_first else {**draft.further, channel: found.content},
    )
    return redirect(url("mailing_what", mailing_id=draft.id, said="template"), 303)


def what_page(draft: Draft, error: MailingProblem | None = None) -> Response:
    """The page of step two, with what is wrong beside its field."""
    dispatch = current_dispatch()
    further = [
        forms.FurtherText(
            channel=key,
            content=content,
            templates=_templates(key),
            has_subject=forms.has_subject(key),
            has_html=forms.has_html(key),
        )
        for key, content in draft.further.items()
    ]
    position = int_arg("n", 0, most=trial.MOST_SHOWN)
    return render_page(
        "clinic_dispatch/mailings/what.html",
        422 if error else 200,
        active="new_mailing",
        draft=draft,
        names=names_of(dispatch, draft),
        templates=_templates(draft.channel),
        further=further,
        has_html=forms.has_html(draft.channel),
        has_subject=forms.has_subject(draft.channel),
        **shown_with(draft, position),
        errors=forms.faults(error) if error else {},
        notice=said(NOTICES, request.args.get("said")),
    )


def _templates(channel: str) -> list[tuple[int, str]]:
    found = texts.templates(current_dispatch(), channel=channel)
    return [(each.id, each.name) for each in found]


def shown_with(draft: Draft, position: int) -> dict[str, Any]:
    """What stands beside the text: one recipient's message, and its length where that costs money."""
    shown = preview_of(draft, position)
    counts = counting.counts(current_dispatch(), draft, shown)
    return {"shown": shown, "counts": counts, "odd": counting.odd_shown}


def preview_of(draft: Draft, position: int) -> trial.Preview | None:
    """What one recipient would get; with invented values for whoever may not read messages."""
    if not draft.has_recipients:
        return None
    dispatch, actor = current_dispatch(), acting()
    if not allowed(Action.VIEW_CONTENTS):
        return trial.preview_all(dispatch, draft, trial.invented(dispatch, draft))
    try:
        found = trial.sample(dispatch, draft, actor, position)
    except MailingProblem:
        return None
    if found is None:
        return None
    candidate, at, has_next = found
    if not draft.content.is_empty:
        trial.note_looking(dispatch, draft, actor, candidate)
    return trial.preview_all(
        dispatch,
        draft,
        candidate,
        position=at,
        has_next=has_next,
        known=names_of(dispatch, draft),
    )


@requires(Action.COMPOSE)
def keep(mailing_id: int) -> ResponseReturnValue:
    """Keep what is being typed and show how it looks, for the script of step two."""
    draft = draft_of(mailing_id)
    if draft.state is not MailingState.DRAFT or not draft.has_recipients:
        abort(409)
    draft = write(draft)
    errors: dict[str, str] = {}
    try:
        checked_draft(current_dispatch(), draft)
    except MailingProblem as error:
        errors = forms.faults(error)
    position = number_in(request.form.get("n", ""), most=trial.MOST_SHOWN) or 0
    part = render_part(
        "clinic_dispatch/mailings/preview_part.html", draft=draft, **shown_with(draft, position)
    )
    return jsonify(html=str(part), errors=errors, said=_("Saved"))


@requires(Action.VIEW_CONTENTS)
def show_html(mailing_id: int) -> Response:
    """The HTML a recipient would get, alone, for a frame in which nothing runs and nothing is loaded."""
    draft = draft_of(mailing_id)
    shown = preview_of(draft, int_arg("n", 0, most=trial.MOST_SHOWN))
    return preview_response(shown.html if shown else "")


@requires(Action.COMPOSE)
def discard(mailing_id: int) -> ResponseReturnValue:
    """Throw a draft away."""
    draft = draft_of(mailing_id)
    if away := elsewhere(draft):
        return away
    drafts.discard_draft(current_dispatch(), draft, acting())
    return redirect(url("mailings", said="discarded"), 303)
