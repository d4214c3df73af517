"""Error pages in the host's layout: what happened and what to do, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.routing import RequestRedirect

from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.csrf import ForgedForm
from clinic_dispatch_plugin.web.headers import secure
from clinic_dispatch_plugin.web.i18n import N_, _
from clinic_dispatch_plugin.web.layout import framed, render_body
from clinic_dispatch_plugin.web.memory import of_request

log = logging.getLogger(__name__)

TITLES: Mapping[int, str] = {
    400: N_("This request cannot be read"),
    401: N_("You are not signed in"),
    403: N_("You may not do this"),
    404: N_("This page does not exist"),
    405: N_("This does not work that way"),
    409: N_("Somebody else was faster"),
    413: N_("That was too much at once"),
    415: N_("This kind of file cannot be used"),
    422: N_("Something in the form is not right"),
    429: N_("Too many requests"),
    500: N_("Something went wrong on our side"),
    503: N_("This does not work at the moment"),
}
ADVICE: Mapping[int, str] = {
    400: N_("Go back, check what you entered, and try again."),
    401: N_("Sign in to the clinic's system, then open this page again."),
    403: N_("Your sign-in has no permission for this. The administration can give it to you."),
    404: N_("Perhaps it was removed, or the address was mistyped."),
    405: N_("Go back and use the buttons on the page."),
    409: N_("Load the page again and look at what was changed."),
    413: N_("Send fewer or smaller data, for example a smaller file."),
    415: N_("Use a text file in CSV format."),
    422: N_("Go back, correct it, and try again."),
    429: N_("Wait a moment, then try again."),
    500: N_(
        "Nothing was half done. The fault is in the log; tell the administration if it comes again."
    ),
    503: N_("Please try again in a moment. Nothing was lost."),
}
FORGED_TITLE = N_("The form was open too long")
FORGED_ADVICE = N_(
    "Go back, load the page again and try once more. Nothing was lost, and nothing was done."
)
DATABASE_ADVICE = N_(
    "The database does not answer. Please try again in a moment; nothing was lost. "
    "If it lasts, tell the administration."
)
TABLES_ADVICE = N_(
    "The tables of this program are missing or too old. The administration sets them up with: flask dispatch db upgrade"
)
#: Undefined table and column: PostgreSQL's states, MariaDB's numbers.
_MISSING = {"42P01", "42703", "1146", "1054"}


def add_error_pages(blueprint: Blueprint) -> None:
    """Give every failure inside our pages a page of ours."""
    blueprint.register_error_handler(HTTPException, _refused)
    for code in TITLES:
        blueprint.register_error_handler(code, _refused)
    for kind in (OperationalError, InterfaceError, PoolTimeout):
        blueprint.register_error_handler(kind, _database_down)
    blueprint.register_error_handler(ProgrammingError, _tables_missing)
    blueprint.register_error_handler(Exception, _failed)


def add_missing_page(app: Flask, prefix: str) -> None:
    """Addresses under our prefix that no view serves: our 404 and 405 instead of the host's."""
    if not prefix:
        return

    def missing() -> Response | None:
        error = request.routing_exception
        under = request.path == prefix or request.path.startswith(prefix + "/")
        if error is None or not under or isinstance(error, RequestRedirect):
            return None
        return secure(error_page(error))

    app.before_request(missing)


def error_page(error: HTTPException) -> Response:
    """The page for one refusal; its answer's own headers (``Allow``, ``Retry-After``) stay."""
    code = error.code or 500
    title = TITLES.get(code, TITLES[400 if code < 500 else 500])
    advice = ADVICE.get(code, ADVICE[400 if code < 500 else 500])
    if _is_forged(error):
        title, advice = FORGED_TITLE, FORGED_ADVICE
    elif _own_words(error):
        advice = str(error.description)
    response = _page(code, title=_(title), advice=_(advice))
    for name, value in error.get_headers(request.environ):
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _is_forged(error: HTTPException) -> bool:
    """Whether a form was refused, by us or by the host's Flask-WTF (which need not be installed)."""
    return isinstance(error, ForgedForm) or type(error).__name__ == "CSRFError"


def _own_words(error: HTTPException) -> bool:
    """Whether a view said something of its own: ``abort(404, _("…"))``."""
    return error.description is not None and error.description != type(error).description


def _refused(error: HTTPException) -> Any:
    if error.code is None or (error.response is not None and error.code < 400):
        return error
    if error.code == 401 and current_dispatch().has_host:
        theirs = current_app.error_handler_spec[None].get(401, {})
        for handler in theirs.values():  # the host's way to its log-in
            return current_app.ensure_sync(handler)(error)
    return error_page(error)


def _tables_missing(error: ProgrammingError) -> Response:
    """PostgreSQL and MariaDB say so when a table or column is missing; SQLite's own way is below."""
    return _database_down(error)


def _database_down(error: Exception) -> Response:
    if _says_missing(error):
        log.error("the tables are missing or too old: run “flask dispatch db upgrade”")
        return _page(503, title=_(TITLES[503]), advice=_(TABLES_ADVICE))
    if isinstance(error, ProgrammingError):
        return _failed(error)
    log.error("the database failed while a page was made: %s", places(error))
    return _page(503, title=_(TITLES[503]), advice=_(DATABASE_ADVICE))


def _says_missing(error: Exception) -> bool:
    original: Any = getattr(error, "orig", None)
    state = getattr(original, "sqlstate", None) or str(
        (getattr(original, "args", None) or ("",))[0]
    )
    return state in _MISSING or state.startswith(("no such table", "no such column"))


def _failed(error: Exception) -> Response:
    # Its kind and its places: its words may hold a patient's name or text.
    log.error("a page failed: %s %s: %s", request.method, request.endpoint, places(error))
    return error_page(InternalServerError())


def _page(code: int, *, title: str, advice: str) -> Response:
    memory = of_request()
    memory["no_nav"] = code in (401, 403, 500, 503)
    context = {"code": code, "title_text": title, "advice": advice}
    try:
        html = framed(render_body("clinic_dispatch/error.html", **context))
    except Exception as failure:
        log.error(
            "the error page itself failed; it is shown without the host's layout: %s",
            places(failure),
        )
        memory.update(no_nav=True, force_plain=True)
        html = framed(render_body("clinic_dispatch/error.html", **context))
    response = Response(html, code)
    if code == 503:
        response.headers["Retry-After"] = "30"
    return response
