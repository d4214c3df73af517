"""The list of all messages, and the same list as a file."""

from __future__ import annotations

from flask import Response, abort, redirect, stream_with_context
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.messages import forms, lists_store, showing
from clinic_dispatch_plugin.messages.cause_choices import causes_that_occurred
from clinic_dispatch_plugin.messages.export import csv_of_messages
from clinic_dispatch_plugin.messages.holds import cause_note
from clinic_dispatch_plugin.messages.lists import list_messages
from clinic_dispatch_plugin.messages.money import in_words, sum_of
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.i18n import _, language
from clinic_dispatch_plugin.web.layout import render_page, url
from clinic_dispatch_plugin.web.params import text_arg

MAILINGS_TO_CHOOSE = 50


@requires(Action.VIEW)
def show_messages() -> AnyResponse:
    """All messages, the newest first."""
    query = forms.read_list_query()
    dispatch = current_dispatch()
    list_name = text_arg("list")
    mailings, many = _mailings_to_choose(query.wanted.mailing_id, list_name)
    if list_name and len(mailings) == 1 and query.wanted.mailing_id is None:
        return redirect(url("messages", **query.arguments(mailing=mailings[0][0])), 303)
    page = list_messages(dispatch, acting(), query.wanted, cursor=query.cursor, newer=query.newer)
    text, kind = forms.notice()
    return render_page(
        "clinic_dispatch/messages/list.html",
        422 if query.fault else 200,
        active="messages",
        query=query,
        page=page,
        pages=page_links("messages", query, page),
        cost=sum_of(dispatch, acting(), query.wanted),
        cost_words=in_words,
        mailings=[("", _("All mailing lists")), *mailings],
        many_mailings=many,
        list_name=list_name,
        causes=_cause_choices(query.wanted.cause),
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
    if query.fault:
        abort(422, query.fault)
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


def _mailings_to_choose(chosen: int | None, name: str) -> tuple[list[tuple[str, str]], bool]:
    """The newest mailings, those whose name holds what was asked for, and whether there are more."""
    dispatch = current_dispatch()
    with dispatch.database.begin() as connection:
        rows = lists_store.recent_mailings(connection, MAILINGS_TO_CHOOSE + 1, name=name)
        found = [(str(row["id"]), str(row["name"])) for row in rows[:MAILINGS_TO_CHOOSE]]
        if chosen is not None and str(chosen) not in dict(found):
            known = lists_store.mailings(connection, [chosen])
            found.append((str(chosen), known[chosen]["name"] if chosen in known else str(chosen)))
    return found, bool(name) or len(rows) > MAILINGS_TO_CHOOSE


def _cause_choices(chosen: str) -> list[tuple[str, str]]:
    return showing.all_cause_choices(
        causes_that_occurred(current_dispatch(), language()), chosen, cause_note(chosen)
    )
