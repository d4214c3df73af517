"""The buttons: send again, correct an address, decide what is uncertain, try now, check an account."""

from __future__ import annotations

from flask import Response, abort, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.messages import forms, service, showing
from clinic_dispatch_plugin.messages.again import resend
from clinic_dispatch_plugin.messages.correction import (
    AddressProblem,
    Corrected,
    NotPossible,
    correct_address,
)
from clinic_dispatch_plugin.messages.detail import message_detail
from clinic_dispatch_plugin.messages.lists import Line
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.service import Outcome, Settlement
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.i18n import _
from clinic_dispatch_plugin.web.layout import render_page, render_part, url
from clinic_dispatch_plugin.web.params import clean

#: Characters of an address a form may bring; what is longer is none.
LONGEST = 400


@requires(Action.SEND)
def resend_messages() -> AnyResponse:
    """Send the ticked ones, or all of a cause, once more."""
    chosen = forms.read_chosen(service.RESENDABLE)
    if chosen is None:
        return _nothing()
    return _done("resent", resend(current_dispatch(), acting(), chosen))


@requires(Action.SEND)
def resend_unsubscribed(message_id: int) -> AnyResponse:
    """Send what somebody had unsubscribed from, because they asked for it again; a person says so."""
    if request.form.get("asked_again") != "1":
        back = forms.way_back(url("message", message_id=message_id))
        return redirect(forms.with_arguments(back, {"said": "not_asked"}), 303)
    chosen = Chosen(ids=(message_id,), states=service.RESENDABLE)
    return _done("resent", resend(current_dispatch(), acting(), chosen, asked_again=True))


@requires(Action.SEND)
def retry_messages() -> AnyResponse:
    """Try waiting ones now."""
    chosen = forms.read_chosen(frozenset({MessageState.QUEUED}))
    if chosen is None:
        return _nothing()
    return _done("retried", service.retry_now(current_dispatch(), acting(), chosen))


@requires(Action.SEND)
def settle_messages() -> AnyResponse:
    """A person knows, or decides, what became of uncertain ones."""
    chosen = forms.read_chosen(frozenset({MessageState.UNCERTAIN}))
    if chosen is None:
        return _nothing()
    try:
        choice = Settlement(request.form.get("choice", ""))
    except ValueError:
        return _ask_choice(_("Please choose one of the options."))
    confirmed = request.form.get("may_arrive_twice") == "1"
    try:
        outcome = service.settle_uncertain(
            current_dispatch(), acting(), chosen, choice, may_arrive_twice=confirmed
        )
    except service.NotConfirmed:
        return _ask_choice(
            _("Please tick that you know the message may arrive twice, or choose something else."),
            choice=choice.value,
        )
    return _done("settled", outcome)


def _ask_choice(fault: str, *, choice: str = "") -> Response:
    kept = [
        (name, value)
        for name in ("ids", "all", "mailing", "cause", "state", "back")
        for value in request.form.getlist(name)[:10_000]
    ]
    return render_page(
        "clinic_dispatch/messages/settle.html",
        422,
        active="messages",
        fault=fault,
        choice=choice,
        kept=kept,
        back=forms.way_back(),
    )


@requires(Action.SEND)
def check_account(account_id: int) -> AnyResponse:
    """What stopped an account is mended: try again."""
    moved = service.check_account_again(current_dispatch(), acting(), account_id)
    said = "account_checked" if moved else "account_ready"
    return redirect(forms.with_arguments(forms.way_back(), {"said": said}), 303)


@requires(Action.SEND)
def correct_message_address(message_id: int) -> AnyResponse:
    """Correct one address: from the row, or on a page of its own where no script runs or something is wrong."""
    if request.method == "GET":
        return _address_page(
            message_id, value=None, fault="", back=url("message", message_id=message_id)
        )
    value = clean(request.form.get("address", ""))[:LONGEST]
    try:
        done = correct_address(current_dispatch(), acting(), message_id, value)
    except LookupError:
        abort(404)
    except AddressProblem as problem:
        return _wrong(message_id, value, str(problem))
    except NotPossible as problem:
        words, _kind = forms.outcome_text(
            "resent", Outcome(refused=service.refused(problem.refusal))
        )
        if problem.saved:
            words = f"{words} {_('The address was saved on the patient card.')}"
        return _wrong(message_id, value, words)
    said = _said(done)
    if _wants_json():
        return _row(message_id, said)
    back = forms.way_back(url("message", message_id=message_id))
    return redirect(forms.with_arguments(back, {"said": said}), 303)


def _said(done: Corrected) -> str:
    if done.saved is None:
        return "corrected"
    return "corrected_saved" if done.saved else "corrected_here"


def _wants_json() -> bool:
    return request.accept_mimetypes.best == "application/json"


def _row(message_id: int, said: str) -> Response:
    line = _line(message_id)
    html = render_part(
        "clinic_dispatch/messages/row.html",
        line=line,
        showing=showing,
        back=forms.way_back(),
        correct_all=False,
        with_mailing=request.form.get("with_mailing") == "1",
    )
    return jsonify(html=html, said=_(forms.SAID[said]))


def _wrong(message_id: int, value: str, fault: str) -> Response:
    if _wants_json():
        response = jsonify(fault=fault)
        response.status_code = 422
        return response
    back = forms.way_back(url("message", message_id=message_id))
    return _address_page(message_id, value=value, fault=fault, back=back)


def _address_page(message_id: int, *, value: str | None, fault: str, back: str) -> Response:
    line = _line(message_id)
    return render_page(
        "clinic_dispatch/messages/address.html",
        422 if fault else 200,
        active="messages",
        line=line,
        value=line.address if value is None else value,
        fault=fault,
        back=back,
        showing=showing,
    )


def _line(message_id: int) -> Line:
    try:
        return message_detail(current_dispatch(), acting(), message_id).line
    except LookupError:
        abort(404)


def _nothing() -> AnyResponse:
    return redirect(forms.with_arguments(forms.way_back(), {"said": "nothing_chosen"}), 303)


def _done(what: str, outcome: Outcome) -> AnyResponse:
    return redirect(forms.with_outcome(forms.way_back(), what, outcome), 303)
