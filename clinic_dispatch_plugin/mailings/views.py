"""The pages of mailings: the list, and what becomes of one after it was started."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from clinic_dispatch_plugin.host.types import Action, Actor
from clinic_dispatch_plugin.mailings import (
    change_views,
    check_views,
    draft_views,
    once_more_views,
    problems,
    service,
    template_views,
    work_views,
)
from clinic_dispatch_plugin.mailings.lists import drafts_of, list_mailings
from clinic_dispatch_plugin.mailings.planning import PLAN_FAILED
from clinic_dispatch_plugin.mailings.problems import NotYours
from clinic_dispatch_plugin.mailings.progress import Progress, progress
from clinic_dispatch_plugin.messages.forms import SAID
from clinic_dispatch_plugin.messages.holds import why_on_hold
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.showing import ways_of
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch, current_dispatch
from clinic_dispatch_plugin.web.asking import host_failed
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.errors import error_page
from clinic_dispatch_plugin.web.i18n import N_, _, format_number, format_time, n_
from clinic_dispatch_plugin.web.layout import render_page, render_part, said, url
from clinic_dispatch_plugin.web.params import id_arg

log = logging.getLogger(__name__)

#: Seconds after which a browser without script shows the page anew.
REFRESH = "10"
NOTICES = {
    "discarded": N_("The draft was thrown away."),
    "changed": N_("Name and times were saved."),
    # What a person does to a mailing is said on its progress page, or on its list once that is over.
    **SAID,
}


def register(blueprint: Blueprint) -> None:
    """Add the pages of mailings to the blueprint."""
    blueprint.register_error_handler(NotYours, _missing)
    blueprint.register_error_handler(problems.HostFailed, _host_failed)
    blueprint.add_url_rule("/mailings", "mailings", show_mailings)
    one = "/mailings/<int:mailing_id>"
    blueprint.add_url_rule(f"{one}/progress", "mailing_progress", show_progress)
    blueprint.add_url_rule(f"{one}/progress.json", "mailing_progress_json", progress_json)
    for name, view in (("pause", pause), ("resume", resume), ("cancel", cancel)):
        blueprint.add_url_rule(f"{one}/{name}", f"{name}_mailing", view, methods=["POST"])
    draft_views.register(blueprint)
    check_views.register(blueprint)
    change_views.register(blueprint)
    once_more_views.register(blueprint)
    template_views.register(blueprint)
    work_views.register(blueprint)


def _missing(error: Exception) -> Response:
    return error_page(NotFound())


def _host_failed(error: Exception) -> Response:
    log.error("the host did not answer (%s): %s", error, places(error.__cause__ or error))
    return error_page(host_failed())


@requires(Action.VIEW)
def show_mailings() -> Response:
    """All mailings, newest first, with the drafts to go on with above them."""
    dispatch, actor = current_dispatch(), acting()
    before = id_arg("before")
    lines, after = list_mailings(dispatch, actor, before=before)
    return render_page(
        "clinic_dispatch/mailings/list.html",
        active="mailings",
        lines=lines,
        drafts=() if before else drafts_of(dispatch, actor),
        first=url("mailings") if before else "",
        after=url("mailings", before=after) if after else "",
        notice=said(NOTICES, request.args.get("said")),
    )


@requires(Action.VIEW)
def show_progress(mailing_id: int) -> ResponseReturnValue:
    """Live counts; leads on to the mailing's messages by itself when the first pass has ended."""
    found = _look(mailing_id)
    if found.state is MailingState.DRAFT:
        return redirect(url("mailing_check", mailing_id=mailing_id), 303)
    if found.first_pass_ended:
        return redirect(_list_of(mailing_id), 303)
    response = render_page(
        "clinic_dispatch/mailings/progress.html",
        active="mailings",
        found=found,
        ways_of=ways_of,
        why_on_hold=why_on_hold,
        again_url=url("mailing_progress", mailing_id=mailing_id),
        plan_failed=found.row["pause_reason"] == PLAN_FAILED,
        notice=said(NOTICES, request.args.get("said")),
    )
    response.headers["Cache-Control"] = "no-store"
    if (
        request.args.get("live") != "1"
    ):  # the script asks for the page without it, and counts by itself
        response.headers["Refresh"] = REFRESH
    return response


@requires(Action.VIEW)
def progress_json(mailing_id: int) -> Response:
    """The same for the script: numbers, the changing part of the page, and where to go next."""
    found = _look(mailing_id)
    part = render_part(
        "clinic_dispatch/mailings/progress_part.html", found=found, why_on_hold=why_on_hold
    )
    over = found.first_pass_ended
    response = jsonify(
        **found.as_dict(),
        html=str(part),
        said=_spoken(found),
        next=url("mailing", mailing_id=mailing_id) if over else None,
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def _list_of(mailing_id: int) -> str:
    """The mailing's messages, where what was to be said here is said."""
    key = request.args.get("said")
    return url("mailing", mailing_id=mailing_id, said=key if key in NOTICES else None)


def _look(mailing_id: int) -> Progress:
    return progress(current_dispatch(), mailing_id, acting())


def _spoken(found: Progress) -> str:
    """One sentence for screen readers."""
    if found.state is MailingState.SCHEDULED:
        return _("Starts {time}", time=format_time(found.row["started_at"]))
    if found.state is MailingState.PLANNING:
        return _("The messages are being prepared.")
    done = format_number(found.total - found.waiting)
    return n_("{done} of {n} message", "{done} of {n} messages", found.total, done=done)


@requires(Action.SEND)
def pause(mailing_id: int) -> ResponseReturnValue:
    """Put a mailing on hold."""
    return _moved(mailing_id, "paused", done=service.pause(*_act(mailing_id)))


@requires(Action.SEND)
def resume(mailing_id: int) -> ResponseReturnValue:
    """Let a mailing go on."""
    return _moved(mailing_id, "resumed", done=service.resume(*_act(mailing_id)))


@requires(Action.SEND)
def cancel(mailing_id: int) -> ResponseReturnValue:
    """End a mailing for good."""
    return _moved(mailing_id, "cancelled", done=service.cancel(*_act(mailing_id)))


def _act(mailing_id: int) -> tuple[Dispatch, int, Actor]:
    return current_dispatch(), mailing_id, acting()


def _moved(mailing_id: int, notice: str, *, done: bool) -> ResponseReturnValue:
    key = notice if done else "unchanged"
    return redirect(url("mailing_progress", mailing_id=mailing_id, said=key), 303)
