"""One mailing: how far it is, what went wrong and what helps, and its messages, failures first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response, abort, jsonify, redirect
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.messages import forms, showing
from clinic_dispatch_plugin.messages.causes import Remedy, Summary, mailing_summary
from clinic_dispatch_plugin.messages.holds import why_on_hold
from clinic_dispatch_plugin.messages.list_views import page_links
from clinic_dispatch_plugin.messages.lists import list_messages
from clinic_dispatch_plugin.messages.money import in_words, sum_of
from clinic_dispatch_plugin.messages.routes import order_of
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import acting, allowed, requires
from clinic_dispatch_plugin.web.i18n import language
from clinic_dispatch_plugin.web.layout import render_page, render_part, url
from clinic_dispatch_plugin.web.params import choice_arg

#: States in which the numbers still change by themselves.
LIVE = ("planning", "running", "scheduled")


@requires(Action.VIEW)
def show_mailing(mailing_id: int) -> AnyResponse:
    """A mailing's own page; of one that is still being written, the page to go on with."""
    summary = _summary(mailing_id)
    go_on = showing.link("mailing_who", mailing_id=mailing_id)
    if summary.mailing["state"] == "draft" and go_on and allowed(Action.COMPOSE):
        return redirect(go_on, 303)
    query = forms.read_list_query(mailing_id)
    page = list_messages(
        current_dispatch(), acting(), query.wanted, cursor=query.cursor, newer=query.newer
    )
    text, kind = forms.notice()
    correct_all = choice_arg("correct", ["1"]) == "1"
    arguments = query.arguments(mailing=None)
    return render_page(
        "clinic_dispatch/messages/mailing.html",
        422 if query.fault else 200,
        active="mailings",
        summary=summary,
        mailing=summary.mailing,
        query=query,
        page=page,
        cost=sum_of(current_dispatch(), acting(), query.wanted),
        cost_words=in_words,
        pages=page_links("mailing", query, page, mailing_id=mailing_id)
        if not correct_all
        else _correcting_links(query, page, mailing_id),
        all_of=_all_of(summary, query.wanted.state, query.wanted.cause),
        csv_url=url("messages_csv", **query.arguments()),
        here=url("mailing", mailing_id=mailing_id),
        filtered=bool(arguments),
        notice=text,
        notice_kind=kind,
        back=forms.clean_back(),
        correct_all=correct_all,
        asked_until=_asked_until(summary),
        live=is_live(summary),
        refresh=is_live(summary) and not correct_all and not arguments,
        workers_missing=is_live(summary) and showing.workers_missing(),
        showing=showing,
        Remedy=Remedy,
        why_on_hold=why_on_hold,
        links=_links(mailing_id),
    )


@requires(Action.VIEW)
def show_counts(mailing_id: int) -> Response:
    """The numbers of a mailing's page, for its script."""
    summary = _summary(mailing_id)
    return jsonify(
        state=summary.mailing["state"],
        counts=dict(summary.counts),
        live=is_live(summary),
        first_pass=summary.mailing["first_pass_at"] is not None,
        failed=sum(summary.counts.get(s, 0) for s in ("undelivered", "uncertain", "skipped")),
        html=render_part(
            "clinic_dispatch/messages/counts.html",
            summary=summary,
            mailing=summary.mailing,
            showing=showing,
        ),
    )


def _asked_until(summary: Summary) -> datetime | None:
    mailing = summary.mailing
    channels = order_of(mailing["channel"], mailing["fallbacks"])
    return showing.can_be_asked_until(mailing_id=mailing["id"], channels=channels)


def _summary(mailing_id: int) -> Summary:
    try:
        return mailing_summary(current_dispatch(), acting(), mailing_id, language(), joined=True)
    except LookupError:
        abort(404)


def is_live(summary: Summary) -> bool:
    """Whether the numbers still change by themselves."""
    return summary.mailing["state"] in LIVE


def _all_of(summary: Summary, state: str, cause: str) -> dict[str, Any] | None:
    """What "all" stands for on this page, and how many of it may be sent again; None: nothing."""
    found = next(
        (each for each in summary.causes if each.token == cause or each.key == cause), None
    )
    if cause and found is None:
        return None
    counts = found.states if found else summary.counts
    states = [state] if state else ["undelivered", "skipped"]
    n = sum(counts.get(each, 0) for each in states if each in ("undelivered", "skipped"))
    return {"n": n, "state": state, "cause": cause, "mailing": summary.mailing["id"]} if n else None


def _correcting_links(query: forms.ListQuery, page: object, mailing_id: int) -> dict[str, str]:
    plain = page_links("mailing", query, page, mailing_id=mailing_id)
    return {
        name: forms.with_arguments(address, {"correct": "1"}) if address else ""
        for name, address in plain.items()
    }


def _links(mailing_id: int) -> dict[str, str]:
    names = ("pause_mailing", "resume_mailing", "cancel_mailing", "change_mailing")
    return {name: showing.link(name, mailing_id=mailing_id) for name in names}
