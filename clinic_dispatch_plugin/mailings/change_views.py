"""The page that changes a mailing's name and times, and the buttons of one that waits for its time."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import RowMapping

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.mailings import forms, schedule
from clinic_dispatch_plugin.mailings.problems import MailingProblem, Problem
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.layout import render_page, url
from clinic_dispatch_plugin.web.params import Form


def register(blueprint: Blueprint) -> None:
    """Add page and buttons to the blueprint."""
    one = "/mailings/<int:mailing_id>"
    blueprint.add_url_rule(f"{one}/change", "change_mailing", change, methods=["GET", "POST"])
    blueprint.add_url_rule(f"{one}/unschedule", "unschedule_mailing", unschedule, methods=["POST"])
    blueprint.add_url_rule(f"{one}/start-now", "start_mailing_now", start_now, methods=["POST"])


@requires(Action.SEND)
def change(mailing_id: int) -> ResponseReturnValue:
    """Name, last moment, and the start of a scheduled one."""
    dispatch = current_dispatch()
    row = schedule.mailing_row(dispatch, mailing_id)
    if row["state"] == MailingState.DRAFT.value:
        return redirect(url("mailing_what", mailing_id=mailing_id), 303)
    if request.method == "GET":
        return _page(row)
    try:
        times = forms.times_sent()
        if row["state"] == MailingState.SCHEDULED.value and times.start_at is None:
            message = "Enter when it starts, or choose “Start now” on its page."
            raise MailingProblem(Problem(field="start_at", message=message))
        done = schedule.change(
            dispatch,
            mailing_id,
            acting(),
            name=Form().raw("name"),
            not_after=times.not_after,
            start_at=times.start_at,
        )
    except MailingProblem as error:
        return _page(row, error)
    notice = "changed" if done else "unchanged"
    return redirect(url("mailing_progress", mailing_id=mailing_id, said=notice), 303)


def _page(row: RowMapping, error: MailingProblem | None = None) -> Response:
    form, sent = Form(), error is not None
    state = MailingState(row["state"])
    return render_page(
        "clinic_dispatch/mailings/change.html",
        422 if error else 200,
        active="mailings",
        row=row,
        name=form.raw("name") if sent else row["name"],
        start_at=form.raw("start_at") if sent else forms.moment_shown(row["started_at"]),
        not_after=form.raw("not_after") if sent else forms.moment_shown(row["not_after"]),
        scheduled=state is MailingState.SCHEDULED,
        ends=state in schedule.ALIVE,
        errors=forms.faults(error) if error else {},
    )


@requires(Action.SEND)
def unschedule(mailing_id: int) -> ResponseReturnValue:
    """Let a scheduled mailing be written again."""
    if schedule.back_to_draft(current_dispatch(), mailing_id, acting()):
        return redirect(url("mailing_what", mailing_id=mailing_id, said="unscheduled"), 303)
    return redirect(url("mailing_progress", mailing_id=mailing_id, said="unchanged"), 303)


@requires(Action.SEND)
def start_now(mailing_id: int) -> ResponseReturnValue:
    """Start a scheduled mailing before its time."""
    done = schedule.start_now(current_dispatch(), mailing_id, acting())
    notice = {} if done else {"said": "unchanged"}
    return redirect(url("mailing_progress", mailing_id=mailing_id, **notice), 303)
