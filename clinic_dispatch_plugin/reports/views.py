"""The pages *Returned mails*: what came back, which message each belongs to, and handing in new ones."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.reports import (
    callback_views,
    checking_views,
    metrics_views,
    service,
    showing,
    wording,
)
from clinic_dispatch_plugin.reports.rules import MOST_BYTES
from clinic_dispatch_plugin.reports.untied import untied
from clinic_dispatch_plugin.web.auth import MIB, acting, requires
from clinic_dispatch_plugin.web.i18n import N_, _
from clinic_dispatch_plugin.web.layout import render_page, said, url
from clinic_dispatch_plugin.web.params import Form, choice_arg, id_arg, number_in

FOLDER = "clinic_dispatch/reports"
#: Files one form may bring.
MOST_FILES = 50
SAID: Mapping[str, str] = {
    "tied": N_("The mail is assigned to the message now."),
    "kept": N_("The mail is kept. It was read as far as possible."),
    "again": N_("This mail was here already; nothing changed."),
    "several": N_("The mails are kept and read."),
}


def register(blueprint: Blueprint) -> None:
    """Add the pages of bounce mails to the blueprint, and what gateways call."""
    callback_views.register(blueprint)
    checking_views.register(blueprint)
    metrics_views.register(blueprint)
    add = blueprint.add_url_rule
    add("/bounces", "bounces", show_list)
    add("/bounces", "add_bounces", add_bounces, methods=["POST"])
    add("/bounces/<int:bounce_id>", "bounce", show_one)
    add("/bounces/<int:bounce_id>/mail", "bounce_mail", show_mail)
    add("/bounces/<int:bounce_id>/tie", "tie_bounce", tie, methods=["POST"])


@requires(Action.VIEW)
def show_list() -> Response:
    """The mails that came back, the newest first."""
    return _list(errors={})


def _list(*, errors: Mapping[str, str], pasted: str = "") -> Response:
    state = choice_arg("state", wording.STATES)
    page = showing.page(current_dispatch(), acting(), state=state, before=id_arg("before"))
    after = {"before": page.after, "state": state or None} if page.after else None
    return render_page(
        f"{FOLDER}/list.html",
        422 if errors else 200,
        active="messages",
        page=page,
        state=state,
        wording=wording,
        errors=errors,
        pasted=pasted,
        after_url=url("bounces", **after) if after else "",
        untied=untied(current_dispatch()),
        notice=said(SAID, request.args.get("said")),
    )


@requires(Action.SEND, max_body=16 * MIB)
def add_bounces() -> AnyResponse:
    """Read what was pasted or uploaded; one mail leads to its own page."""
    form = Form()
    mails = [(each, "uploaded") for each in _uploaded(form)]
    pasted = str(request.form.get("mail", ""))
    if pasted.strip():
        mails.append((pasted.strip().encode("utf-8", "replace"), "pasted"))
    if not mails:
        form.fault("mail", _("Paste a mail here, or choose a file."))
    elif len(pasted) > MOST_BYTES:
        form.fault("mail", _("This is more than 256 KiB: save the mail as a file and choose that."))
    if not form:
        return _list(errors=form.errors, pasted=pasted[:MOST_BYTES])
    who = acting()
    done = [
        service.take(current_dispatch(), raw, source=source, by=who.name or who.ref)
        for raw, source in mails
    ]
    if len(done) > 1:
        return redirect(url("bounces", said="several"), 303)
    key = "kept" if done[0].new else "again"
    assert done[0].bounce_id is not None
    return redirect(url("bounce", bounce_id=done[0].bounce_id, said=key), 303)


def _uploaded(form: Form) -> list[bytes]:
    files = [each for each in request.files.getlist("file") if each.filename]
    if len(files) > MOST_FILES:
        form.fault("file", _("Choose at most {limit} files at a time.", limit=MOST_FILES))
        return []
    # What is longer is cut: a report stands at a mail's beginning.
    found = [each.stream.read(MOST_BYTES) for each in files]
    if any(not each.strip() for each in found):
        form.fault("file", _("A file is empty: choose a mail saved with its headers (.eml)."))
    return found


@requires(Action.VIEW)
def show_one(bounce_id: int) -> Response:
    """What was found in one mail."""
    return _one(bounce_id, errors={})


@requires(Action.VIEW_CONTENTS)
def show_mail(bounce_id: int) -> Response:
    """The same page with the mail as it came; the trail names who looked before it is sent out."""
    _shown(bounce_id)
    response = _one(
        bounce_id, errors={}, text=showing.text_of(current_dispatch(), acting(), bounce_id)
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@requires(Action.SEND)
def tie(bounce_id: int) -> AnyResponse:
    """A person says which message the mail is about."""
    _shown(bounce_id)
    typed = str(request.form.get("message", "")).strip().removeprefix("#")
    message_id = number_in(typed, least=1)
    if message_id is None:
        fault = _("Enter the number of the message, such as 1234.")
        return _one(bounce_id, errors={"message": fault}, typed=typed[:40])
    try:
        service.tie_by_hand(current_dispatch(), acting(), bounce_id, message_id)
    except service.CannotTie as error:
        return _one(bounce_id, errors={"message": _(CANNOT[error.why])}, typed=typed)
    return redirect(url("bounce", bounce_id=bounce_id, said="tied"), 303)


CANNOT: Mapping[service.Why, str] = {
    service.Why.NO_MESSAGE: N_("There is no message with this number."),
    service.Why.NEVER_SENT: N_("This message was never handed over, so no mail can be about it."),
    service.Why.TIED: N_("The mail belongs to a message already."),
}


def _one(
    bounce_id: int, *, errors: Mapping[str, str], text: str | None = None, typed: str = ""
) -> Response:
    return render_page(
        f"{FOLDER}/bounce.html",
        422 if errors else 200,
        active="messages",
        shown=_shown(bounce_id),
        wording=wording,
        errors=errors,
        text=text,
        typed=typed,
        notice=said(SAID, request.args.get("said")),
    )


def _shown(bounce_id: int) -> showing.Shown:
    try:
        return showing.one(current_dispatch(), acting(), bounce_id)
    except LookupError:
        abort(404)
