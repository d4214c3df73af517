"""Step three of a new mailing: who gets nothing and why, a trial, and the button that sends."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue

from clinic_dispatch_plugin.accounts.purse import forget_balances
from clinic_dispatch_plugin.channels.types import Purpose
from clinic_dispatch_plugin.config import lacking_for_links
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.mailings import forms, service, trial
from clinic_dispatch_plugin.mailings.checking import CheckResult, StillChecking, check, forget
from clinic_dispatch_plugin.mailings.costing import Costs, costs
from clinic_dispatch_plugin.mailings.draft_views import (
    NOTICES,
    ROWS_SHOWN,
    draft_of,
    elsewhere,
    preview_of,
    what_page,
    without_recipients,
    write,
)
from clinic_dispatch_plugin.mailings.drafts import Draft
from clinic_dispatch_plugin.mailings.foresight import foreseen
from clinic_dispatch_plugin.mailings.order import checked_silences
from clinic_dispatch_plugin.mailings.problems import MailingProblem, Problem
from clinic_dispatch_plugin.mailings.quiet import waits
from clinic_dispatch_plugin.mailings.schedule import keep_times
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.messages.detail import card_url
from clinic_dispatch_plugin.messages.quiet import may_overrule
from clinic_dispatch_plugin.messages.showing import ways
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import acting, allowed, requires
from clinic_dispatch_plugin.web.i18n import _, format_money, format_number, format_sum, language
from clinic_dispatch_plugin.web.layout import render_page, said, url
from clinic_dispatch_plugin.web.params import int_arg, number_in

#: Above so many recipients the number has to be typed before anything goes.
TYPED_ABOVE = 1_000
#: A page waits so long for the check of a large mailing, in seconds.
PATIENCE_SECONDS = 2.0


def register(blueprint: Blueprint) -> None:
    """Add the step to the blueprint."""
    one = "/mailings/<int:mailing_id>"
    blueprint.add_url_rule(f"{one}/check", "mailing_check", show_check, methods=["GET", "POST"])
    blueprint.add_url_rule(f"{one}/start", "start_mailing", start, methods=["POST"])
    blueprint.add_url_rule(f"{one}/trial", "trial_mailing", send_trial, methods=["POST"])


@requires(Action.COMPOSE)
def show_check(mailing_id: int) -> ResponseReturnValue:
    """Step three: who gets nothing and why, before anything goes."""
    draft = draft_of(mailing_id)
    if away := elsewhere(draft) or without_recipients(draft):
        return away
    if request.method == "POST":
        try:
            keep_times(current_dispatch(), draft, forms.times_sent())
        except MailingProblem as error:
            return _check_page(draft, error)
        forget(current_dispatch(), draft.id)
        return redirect(url("mailing_check", mailing_id=draft.id), 303)
    return _check_page(draft)


def _still_checking(draft: Draft, looked_at: int) -> Response:
    """A page that comes again by itself until the check is done."""
    page = render_page(
        "clinic_dispatch/mailings/checking.html",
        active="new_mailing",
        draft=draft,
        looked_at=looked_at,
        expected=int(draft.selection.get("rows") or 0),
    )
    page.headers["Cache-Control"] = "no-store"
    page.headers["Refresh"] = "2"
    return page


def _check_page(draft: Draft, error: MailingProblem | None = None) -> ResponseReturnValue:
    dispatch = current_dispatch()
    try:
        found = check(dispatch, draft.id, language=language(), patience=PATIENCE_SECONDS)
    except StillChecking as busy:
        return _still_checking(draft, busy.looked_at)
    except MailingProblem as incomplete:
        if request.method == "GET" and not draft.has_text:
            return redirect(url("mailing_what", mailing_id=draft.id), 303)
        return what_page(draft, incomplete)
    sight = Sight(dispatch, acting())
    hidden = {
        group.code: len(group.examples) - len(sight.of(group.examples, lambda one: one.ref))
        for group in found.groups
    }
    return render_page(
        "clinic_dispatch/mailings/check.html",
        422 if error else 200,
        active="new_mailing",
        draft=draft,
        ways=ways(draft.order, checked_silences(dispatch, draft.order, draft.silences)),
        found=found,
        examples={
            group.code: [
                (one, card_url(dispatch, one.ref))
                for one in sight.of(group.examples, lambda one: one.ref)
            ]
            for group in found.groups
        },
        hidden=hidden,
        bad_rows=[(row, *forms.row_in_words(row)) for row in found.bad_rows.rows[:ROWS_SHOWN]],
        not_after=request.form.get("not_after", "")
        if error
        else forms.moment_shown(draft.not_after),
        start_at=request.form.get("start_at", "") if error else forms.moment_shown(draft.start_at),
        any_hour=request.form.get("any_hour") == "1" if error else draft.any_hour,
        # One person's message may be urgent; a hundred people are not woken by a tick.
        may_overrule=found.will_get == 1 and may_overrule(draft.purpose),
        waits=waits(dispatch, draft, found.by_channel),
        no_link=", ".join(lacking_for_links(dispatch.settings))
        if draft.purpose == Purpose.PROMOTION
        else "",
        foreseen=[
            entry
            for key in draft.order
            for entry in foreseen(
                dispatch,
                key,
                recipients=found.by_channel.get(key, 0) if draft.further else found.will_get,
            )
        ],
        costs=costs(
            dispatch,
            found.kinds,
            draft.purpose,
            begins={key: found.by_channel.get(key, 0) for key in draft.order},
        ),
        must_type=found.will_get > TYPED_ABOVE,
        shown=preview_of(draft, int_arg("n", 0, most=trial.MOST_SHOWN)),
        errors=forms.faults(error) if error else {},
        notice=said(NOTICES, request.args.get("said")),
    )


@requires(Action.SEND)
def start(mailing_id: int) -> ResponseReturnValue:
    """Send. Pressed twice it starts once: the second lands on the progress page as well."""
    dispatch, actor = current_dispatch(), acting()
    draft = draft_of(mailing_id)
    if away := elsewhere(draft) or without_recipients(draft):
        return away
    try:
        times = forms.times_sent()
        if times != draft.times:
            keep_times(dispatch, draft, times)
            draft = draft_of(mailing_id)
        found = check(dispatch, draft.id, language=language(), patience=PATIENCE_SECONDS)
        _refuse_surprise(found)
        _refuse_waking(draft, found)
        forget_balances(dispatch)
        refuse_without_money(costs(dispatch, found.kinds, draft.purpose))
        service.start(dispatch, mailing_id, actor)
    except StillChecking:
        return redirect(url("mailing_check", mailing_id=mailing_id), 303)
    except MailingProblem as error:
        return _check_page(draft, error)
    return redirect(url("mailing_progress", mailing_id=mailing_id), 303)


def _refuse_surprise(found: CheckResult) -> None:
    """Nobody sends to more or fewer people than the page said, or to a thousand by a slip of the finger."""
    shown = number_in(request.form.get("expected", ""))
    if shown is not None and shown != found.will_get:
        message = "Meanwhile {now} get the message instead of {shown}. Please look once more."
        counted = {"now": format_number(found.will_get), "shown": format_number(shown)}
        raise MailingProblem(Problem(field="", message=message, fields=counted))
    if found.will_get == 0:
        message = "Nobody would get this message. Put right what stands below, or choose others."
        raise MailingProblem(Problem(field="", message=message))
    typed = "".join(filter(str.isdigit, request.form.get("typed", "")[:40]))
    if found.will_get > TYPED_ABOVE and typed != str(found.will_get):
        message = "Type the number of recipients, {count}, so that nothing goes by mistake."
        counted = {"count": format_number(found.will_get)}
        raise MailingProblem(Problem(field="typed", message=message, fields=counted))


def refuse_without_money(found: Costs) -> None:
    """A mailing the account cannot pay for is held as a whole, instead of failing hundreds of times."""
    purse = found.short
    if purse is None or purse.short is None or purse.balance is None:
        return
    message = (
        "Not started: the account {account} holds {balance}, and {lacking} are lacking. "
        "Top it up, or choose fewer recipients, then start again."
    )
    said = {
        "account": purse.label,
        "balance": format_sum(purse.balance),
        "lacking": f"≈ {format_money(purse.short)}",
    }
    raise MailingProblem(Problem(field="", message=message, fields=said))


def _refuse_waking(draft: Draft, found: CheckResult) -> None:
    """Quiet hours are overruled for one person, never for several at once."""
    if draft.any_hour and found.will_get != 1:
        message = "Only a message to one person may go out in quiet hours. Take the tick away."
        raise MailingProblem(Problem(field="any_hour", message=message))


@requires(Action.COMPOSE)
def send_trial(mailing_id: int) -> ResponseReturnValue:
    """Send the text to whoever writes it."""
    dispatch, actor = current_dispatch(), acting()
    draft = draft_of(mailing_id)
    if away := elsewhere(draft) or without_recipients(draft):
        return away
    from_text = request.form.get("from") == "what"
    if from_text:
        draft = write(draft)
    position = number_in(request.form.get("n", ""), most=trial.MOST_SHOWN) or 0
    try:
        found = None
        if allowed(Action.VIEW_CONTENTS):
            found = trial.sample(dispatch, draft, actor, position)
        candidate = found[0] if found else trial.invented(dispatch, draft)
        if found:
            trial.note_looking(dispatch, draft, actor, candidate)
        name = _("Trial: {name}", name=draft.name)
        trial.send_trial(dispatch, draft, actor, candidate, name=name)
    except MailingProblem as error:
        return what_page(draft, error) if from_text else _check_page(draft, error)
    back = "mailing_what" if from_text else "mailing_check"
    return redirect(url(back, mailing_id=draft.id, said="trial", n=position), 303)
