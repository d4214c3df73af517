"""The page of quiet hours: when nothing goes out, by purpose, by channel, and by one on the other."""

from __future__ import annotations

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.config import PURPOSES
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.settings import quiet, quiet_form, service, wording
from clinic_dispatch_plugin.settings.quiet_form import TypedHours
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.i18n import _
from clinic_dispatch_plugin.web.layout import render_page, said, url


def register(blueprint: Blueprint) -> None:
    """Add the page to the blueprint."""
    add = blueprint.add_url_rule
    add("/settings/quiet-hours", "quiet_hours", show)
    add("/settings/quiet-hours", "change_quiet_hours", change, methods=["POST"])
    add("/settings/quiet-hours/reset", "reset_quiet_hours", reset, methods=["POST"])


@requires(Action.CONFIGURE)
def show() -> Response:
    """What holds, as a form; read alone where the configuration says it."""
    dispatch = current_dispatch()
    now = quiet.decided(dispatch)
    lines = quiet_form.lines_of(dispatch, now.hours)
    return _page(TypedHours(hours=now.hours, lines=lines), now)


@requires(Action.CONFIGURE)
def change() -> AnyResponse:
    """Let what was typed hold from now on."""
    dispatch = current_dispatch()
    if quiet.configured(dispatch):
        abort(403)
    now = quiet.decided(dispatch)
    typed = quiet_form.read(dispatch, now.hours)
    if not typed.errors and typed.hours == now.hours:
        return redirect(url("quiet_hours", said="same"), 303)
    if not typed.errors:
        try:
            version = request.form.get("version", "")
            quiet.decide(dispatch, acting(), typed.hours, version=version)
        except service.Changed:
            typed.errors["form"] = _("Somebody else changed this meanwhile. Look at it anew.")
        else:
            return redirect(url("quiet_hours", said="quiet_changed"), 303)
    return _page(typed, now)


@requires(Action.CONFIGURE)
def reset() -> AnyResponse:
    """Let what is shipped hold again."""
    dispatch = current_dispatch()
    if quiet.configured(dispatch):
        abort(403)
    quiet.as_shipped(dispatch, acting())
    return redirect(url("quiet_hours", said="quiet_changed"), 303)


def _page(typed: TypedHours, now: quiet.Decided) -> Response:
    dispatch = current_dispatch()
    choose = ("", _("Please choose"))
    return render_page(
        "clinic_dispatch/settings/quiet.html",
        422 if typed.errors else 200,
        active="settings",
        typed=typed,
        errors=typed.errors,
        decided=now,
        variable=quiet.VARIABLE if quiet.configured(dispatch) else "",
        purposes=[choose, *((each, words.purpose(each)) for each in PURPOSES)],
        channels=[choose, *((each, words.channel(each)) for each in dispatch.channels)],
        timezone=str(dispatch.settings.timezone),
        notice=said(wording.SAID, request.args.get("said")),
    )
