"""The list of all messages, and the same list as a file."""

from __future__ import annotations

from flask import Response, stream_with_context

from clinic_dispatch_plugin.error_reference.answers import answers_of_cause, explained
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.messages import forms, lists_store, showing
from clinic_dispatch_plugin.messages.export import csv_of_messages
from clinic_dispatch_plugin.messages.lists import list_messages
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.i18n import _
from clinic_dispatch_plugin.web.layout import render_page, url

MAILINGS_TO_CHOOSE = 50


@requires(Action.VIEW)
def show_messages() -> Response:
    """All messages, the newest first."""
    query = forms.read_list_query()
    dispatch = current_dispatch()
    page = list_messages(dispatch, acting(), query.wanted, cursor=query.cursor, newer=query.newer)
    text, kind = forms.notice()
    return render_page(
        "clinic_dispatch/messages/list.html",
        active="messages",
        query=query,
        page=page,
        pages=page_links("messages", query, page),
        mailings=_mailing_choices(query.wanted.mailing_id),
        cause=_cause_label(query.wanted.cause),
        csv_url=url("messages_csv", **query.arguments()),
        notice=text,
        notice_kind=kind,
        back=forms.clean_back(),
        new_url=showing.link("new_mailing"),
        workers_missing=showing.workers_missing(),
        showing=showing,
        correct_all=False,
        all_of=None,
    )


@requires(Action.VIEW)
def download() -> Response:
    """The list with the same filters as CSV."""
    query = forms.read_list_query()
    pieces = csv_of_messages(current_dispatch(), acting(), query.wanted)
    response = Response(stream_with_context(pieces), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="messages.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def page_links(
    endpoint: str, query: forms.ListQuery, page: object, **values: object
) -> dict[str, str]:
    """Addresses of the neighbouring pages; empty where there is none."""
    before, after = getattr(page, "before", None), getattr(page, "after", None)
    return {
        "before": url(endpoint, **values, **query.arguments(before=before)) if before else "",
        "after": url(endpoint, **values, **query.arguments(after=after)) if after else "",
    }


def _mailing_choices(chosen: int | None) -> list[tuple[str, str]]:
    dispatch = current_dispatch()
    with dispatch.database.begin() as connection:
        rows = lists_store.recent_mailings(connection, MAILINGS_TO_CHOOSE)
        found = [(str(row["id"]), str(row["name"])) for row in rows]
        if chosen is not None and str(chosen) not in dict(found):
            known = lists_store.mailings(connection, [chosen])
            found.append((str(chosen), known[chosen]["name"] if chosen in known else str(chosen)))
    return [("", _("All mailing lists")), *found]


def _cause_label(cause: str) -> str:
    """The cause in words, so that a filter by it can be seen and taken away."""
    if not cause:
        return ""
    dispatch = current_dispatch()
    with dispatch.database.begin() as connection:
        ids = answers_of_cause(dispatch, connection, cause)
        found = explained(dispatch, connection, ids[:1])
    return next((showing.note(answer) for answer in found.values()), cause)
