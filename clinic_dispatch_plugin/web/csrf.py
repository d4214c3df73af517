"""Protection against forged forms: the host's when it has one, else signed tokens of our own, never a session."""

from __future__ import annotations

import hashlib
import logging
import secrets
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from flask import current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer
from markupsafe import Markup
from werkzeug.exceptions import BadRequest

from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import action_of, current_actor

log = logging.getLogger(__name__)

NAME = "clinic_dispatch"
FIELD = "csrf_token"
HEADER = "X-CSRFToken"
#: A token's life, seconds: a working day.
TOKEN_SECONDS = 8 * 3600
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class ForgedForm(BadRequest):
    """The form's token is missing, too old or someone else's; shown as a page with status 400."""


def host_protects() -> bool:
    """Whether the host's own CSRF protection (Flask-WTF's ``CSRFProtect``) checks our forms."""
    extension = current_app.extensions.get("csrf")
    config = current_app.config
    if extension is None or not config.get("WTF_CSRF_ENABLED", True):
        return False
    if not config.get("WTF_CSRF_CHECK_DEFAULT", True):
        return False
    return NAME not in getattr(extension, "_exempt_blueprints", ())


def csrf_token() -> str:
    """The token a form or script of ours sends along."""
    if host_protects():
        made = current_app.jinja_env.globals.get("csrf_token")
        return str(made()) if callable(made) else ""
    return _serializer().dumps(_owner())


def csrf_field() -> Markup:
    """The hidden field every form of ours holds."""
    name = current_app.config.get("WTF_CSRF_FIELD_NAME", FIELD) if host_protects() else FIELD
    return Markup('<input type="hidden" name="{}" value="{}">').format(name, csrf_token())


def check_form() -> None:
    """Refuse a forged POST; runs before every view of our blueprint, after the permission.

    :raises ForgedForm: the token or the origin is wrong.
    """
    endpoint = request.endpoint or ""
    if request.method in _SAFE or endpoint.endswith(".static") or action_of(endpoint) is None:
        return
    if host_protects():
        return
    if not _same_origin():
        log.warning("a form from another origin was refused: %s", endpoint)
        raise ForgedForm
    token = request.headers.get(HEADER) or request.form.get(FIELD, "")
    try:
        owner = _serializer().loads(token, max_age=TOKEN_SECONDS)
    except BadData:
        raise ForgedForm from None
    if not secrets.compare_digest(str(owner), _owner()):
        raise ForgedForm


def _owner() -> str:
    actor = current_actor()
    ref = actor.ref if actor else ""
    return hashlib.sha256(f"{current_app.import_name}\0{ref}".encode(errors="replace")).hexdigest()[
        :32
    ]


def _serializer() -> URLSafeTimedSerializer:
    keys: Any = list(reversed(current_dispatch().settings.secret_keys))  # itsdangerous: newest last
    if not keys:
        keys = current_app.secret_key or _key_of_this_process()
    return URLSafeTimedSerializer(keys, salt="clinic-dispatch-form")


@cache
def _key_of_this_process() -> str:
    log.warning(
        "neither CLINIC_DISPATCH_SECRET_KEYS nor the host's SECRET_KEY is set: "
        "forms are signed with a key that only this process knows"
    )
    return secrets.token_urlsafe(48)


def _same_origin() -> bool:
    """What the browser says of where the form came from; programs that say nothing still need the token."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:  # sent by the browser itself; a page cannot set it (Fetch Metadata)
        return site in {"same-origin", "none"}
    said = request.headers.get("Origin") or request.headers.get("Referer")
    if said is None:
        return True
    ours = {request.host}
    if base := current_dispatch().settings.base_url:
        ours.add(urlsplit(base).netloc)
    try:
        return urlsplit(said).netloc in ours
    except ValueError:
        return False
