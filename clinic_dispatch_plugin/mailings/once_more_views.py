"""The button of a sent message of which the patient says that nothing came."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from flask.typing import ResponseReturnValue

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.mailings.once_more import NotSent, send_once_more
from clinic_dispatch_plugin.mailings.problems import NoRoute, NotYours
from clinic_dispatch_plugin.messages.detail import message_detail
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.i18n import _
from clinic_dispatch_plugin.web.layout import url
from clinic_dispatch_plugin.web.params import clean


def register(blueprint: Blueprint) -> None:
    """Add the button to the blueprint."""
    path = "/messages/<int:message_id>/once-more"
    blueprint.add_url_rule(path, "send_once_more", once_more, methods=["POST"])


@requires(Action.SEND)
def once_more(message_id: int) -> ResponseReturnValue:
    """Send a message once more, as a mailing of its own."""
    dispatch, actor = current_dispatch(), acting()
    once = clean(request.form.get("once", ""))
    try:
        first = message_detail(dispatch, actor, message_id).mailing
        name = _("Once more: {name}", name=first["name"])
        mailing_id = send_once_more(dispatch, actor, message_id, name=name, once=once)
    except (NotSent, NoRoute):
        return redirect(url("message", message_id=message_id, said="not_once_more"), 303)
    except LookupError:
        raise NotYours(message_id) from None
    return redirect(url("mailing", mailing_id=mailing_id, said="once_more"), 303)
