"""The button *Check delivery*, on a mailing and on a message: a worker asks, and the page shows the answers."""

from __future__ import annotations

from flask import Blueprint, abort, redirect
from werkzeug.wrappers import Response

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.messages import forms
from clinic_dispatch_plugin.messages.causes import mailing_summary
from clinic_dispatch_plugin.messages.detail import message_detail
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.reports.checking import want
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.i18n import language
from clinic_dispatch_plugin.web.layout import url


def register(blueprint: Blueprint) -> None:
    """Add both to the blueprint."""
    add = blueprint.add_url_rule
    add(
        "/mailings/<int:mailing_id>/check-delivery",
        "check_mailing_delivery",
        check_mailing,
        methods=["POST"],
    )
    add(
        "/messages/<int:message_id>/check-delivery",
        "check_message_delivery",
        check_message,
        methods=["POST"],
    )


@requires(Action.SEND)
def check_mailing(mailing_id: int) -> Response:
    """Have the gateways asked about a mailing."""
    try:
        mailing_summary(current_dispatch(), acting(), mailing_id, language())
    except LookupError:
        abort(404)
    number = want(current_dispatch(), acting(), mailing_id=mailing_id)
    return _back(number, url("mailing", mailing_id=mailing_id))


@requires(Action.SEND)
def check_message(message_id: int) -> Response:
    """Have the gateway asked about one message."""
    try:
        message_detail(current_dispatch(), acting(), message_id)
    except LookupError:
        abort(404)
    number = want(current_dispatch(), acting(), message_id=message_id)
    return _back(number, url("message", message_id=message_id))


def _back(number: int, page: str) -> Response:
    said = "delivery_asked" if number else "delivery_known"
    return redirect(forms.with_arguments(page, {"said": said}), 303)
