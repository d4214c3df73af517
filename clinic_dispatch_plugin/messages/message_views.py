"""One message: what happened, what helps, its history; its words only for those who may see them."""

from __future__ import annotations

from flask import Response, abort

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.messages import forms, showing
from clinic_dispatch_plugin.messages.causes import Remedy, remedy
from clinic_dispatch_plugin.messages.contents import Contents, look_at_contents
from clinic_dispatch_plugin.messages.detail import Detail, message_detail
from clinic_dispatch_plugin.messages.report import support_report
from clinic_dispatch_plugin.messages.rules import MessageState, new_key
from clinic_dispatch_plugin.messages.timeline import timeline
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.headers import preview_response
from clinic_dispatch_plugin.web.layout import render_page


@requires(Action.VIEW)
def show_message(message_id: int) -> Response:
    """One message's page."""
    return _page(_detail(message_id), None)


@requires(Action.VIEW_CONTENTS)
def show_contents(message_id: int) -> Response:
    """The same page with the message's words; the trail names who looked before they are sent out."""
    contents = _contents(message_id, reason="page")
    response = _page(_detail(message_id), contents)
    response.headers["Cache-Control"] = "no-store"
    return response


@requires(Action.VIEW_CONTENTS)
def show_html(message_id: int) -> Response:
    """The message's HTML for a frame without rights."""
    return preview_response(_contents(message_id, reason="html").html)


@requires(Action.VIEW)
def download_report(message_id: int) -> Response:
    """The report for technical support as a text file."""
    try:
        text = support_report(current_dispatch(), acting(), message_id)
    except LookupError:
        abort(404)
    response = Response(text, mimetype="text/plain")
    name = f"message-{message_id}-report.txt"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _page(detail: Detail, contents: Contents | None) -> Response:
    text, kind = forms.notice()
    line = detail.line
    answer = line.answer
    entry = answer.entry if answer and not answer.general else None
    return render_page(
        "clinic_dispatch/messages/message.html",
        active="messages",
        detail=detail,
        line=line,
        mailing=detail.mailing,
        events=timeline(detail),
        contents=contents,
        remedy=_remedy(detail),
        Remedy=Remedy,
        showing=showing,
        entry_url=showing.link("reference_entry", entry_id=entry.id) if entry else "",
        describe_url=showing.link("describe_draft", answer_id=answer.id)
        if answer and answer.draft
        else "",
        once_more_url=showing.link("send_once_more", message_id=line.id)
        if line.state in (MessageState.SENT, MessageState.DELIVERED) and not line.stripped_at
        else "",
        asked_until=showing.can_be_asked_until(message_id=line.id),
        once=new_key(),
        repeats=[
            mailing_id
            for deed in detail.trail
            if (mailing_id := (deed["details"] or {}).get("mailing"))
        ],
        notice=text,
        notice_kind=kind,
        back=forms.clean_back(),
    )


def _remedy(detail: Detail) -> Remedy:
    line = detail.line
    if line.answer is None:
        return Remedy.NONE
    return remedy(line.answer, MessageState(line.state), account_held=line.held_by == "account")


def _detail(message_id: int) -> Detail:
    try:
        return message_detail(current_dispatch(), acting(), message_id)
    except LookupError:
        abort(404)


def _contents(message_id: int, *, reason: str) -> Contents:
    try:
        return look_at_contents(current_dispatch(), acting(), message_id, reason=reason)
    except LookupError:
        abort(404)
