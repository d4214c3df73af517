"""Signing in and out, who acts in a request, and the clinic's own protection of its forms."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Flask,
    abort,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.security import check_password_hash

from clinic_dispatch_plugin.demo.models import User, db
from clinic_dispatch_plugin.demo.roles import Area, may_enter
from clinic_dispatch_plugin.demo.seeding import PASSWORD, STAFF
from clinic_dispatch_plugin.demo.wording import LANGUAGES

P = ParamSpec("P")
bp = Blueprint("staff", __name__)

_USER = "user"
_LANGUAGE = "language"
_TOKEN = "form_token"
#: The blueprints whose forms carry the clinic's own token; others look after their own.
_OWN_FORMS = {"staff", "clinic"}


def register(app: Flask) -> None:
    """Find out at the start of every request who acts, and in which language."""
    app.before_request(_know_user)
    app.before_request(_check_form)
    app.register_blueprint(bp)


def _know_user() -> None:
    chosen = session.get(_LANGUAGE)
    g.language = chosen if chosen in LANGUAGES else "de"
    g.user = None
    username = session.get(_USER)
    if isinstance(username, str) and request.endpoint != "static":
        g.user = db.session.get(User, username)


def _check_form() -> None:
    if request.method != "POST" or request.blueprint not in _OWN_FORMS:
        return
    sent = request.form.get(_TOKEN, "")
    if not hmac.compare_digest(sent.encode("utf-8", "replace"), form_token().encode()):
        abort(400)


def current_user() -> User | None:
    """Who is signed in; None: nobody."""
    user = g.get("user")
    return user if isinstance(user, User) else None


def may_see_area(area: str) -> bool:
    """Whether whoever is signed in sees this part of the clinic."""
    user = current_user()
    return user is not None and may_enter(user.role, Area(area))


def form_token() -> str:
    """The token that the clinic's forms bring back; made on first use, kept in the session."""
    token = session.get(_TOKEN)
    if not isinstance(token, str):
        token = session[_TOKEN] = secrets.token_urlsafe(24)
    return token


def needs(
    area: Area | None = None,
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Let in who is signed in (401) and may see this part of the clinic (403)."""

    def guard(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            user = current_user()
            if user is None:
                abort(401)
            if area is not None and not may_enter(user.role, area):
                abort(403)
            return view(*args, **kwargs)

        return guarded

    return guard


def local_path(text: str) -> str | None:
    """The text when it is a path on this site, None when it leads elsewhere."""
    if not text.startswith("/") or not text.isprintable() or "\\" in text:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    # "//elsewhere" is a host for every browser.
    if parts.scheme or parts.netloc or text.startswith("//"):
        return None
    return text


def here() -> str:
    """This page's own path and query, as a browser on this site would ask for it."""
    return request.script_root + request.full_path.removesuffix("?")


def _back() -> ResponseReturnValue:
    return redirect(local_path(request.form.get("next", "")) or url_for("clinic.start"))


def sign_in_page(*, next_path: str, wrong: bool = False, username: str = "") -> str:
    """The form that lets people in; ``next_path`` is where they wanted to go."""
    return render_template(
        "demo/sign_in.html",
        next_path=next_path,
        wrong=wrong,
        username=username,
        staff=[(username, role) for username, _, role in STAFF],
        password=PASSWORD,
    )


@bp.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Ask who it is."""
    wanted = local_path(request.args.get("next", "")) or ""
    if current_user() is not None:
        return redirect(wanted or url_for("clinic.start"))
    return sign_in_page(next_path=wanted)


@bp.post("/sign-in")
def signed_in() -> ResponseReturnValue:
    """Let somebody in, and lead them where they wanted to go."""
    username = request.form.get("username", "").strip()
    user = db.session.get(User, username) if username.isalnum() and len(username) <= 40 else None
    if user is None or not check_password_hash(
        user.password_hash, request.form.get("password", "")
    ):
        page = sign_in_page(
            next_path=local_path(request.form.get("next", "")) or "",
            wrong=True,
            username=username[:40],
        )
        return page, 422
    # What was in the session before belongs to whoever sat here before.
    kept = session.get(_LANGUAGE)
    session.clear()
    session[_USER] = user.username
    if kept:
        session[_LANGUAGE] = kept
    return _back()


@bp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Forget who it was."""
    kept = session.get(_LANGUAGE)
    session.clear()
    if kept:
        session[_LANGUAGE] = kept
    return redirect(url_for("staff.sign_in"))


@bp.post("/language")
def choose_language() -> ResponseReturnValue:
    """Show the pages in another language from now on."""
    chosen = request.form.get("language", "")
    if chosen not in LANGUAGES:
        abort(400)
    session[_LANGUAGE] = chosen
    return _back()
