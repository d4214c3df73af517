"""``/dispatch/metrics``: for a Prometheus on this machine, or one that has the token."""

from __future__ import annotations

import hmac
import logging

from flask import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.channels.gateway_url import is_loopback
from clinic_dispatch_plugin.engine.metrics import TEXT, exposition
from clinic_dispatch_plugin.registry import Dispatch, current_dispatch
from clinic_dispatch_plugin.web.auth import public

log = logging.getLogger(__name__)

#: What a proxy writes: then the caller is not whoever connects.
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


def register(blueprint: Blueprint) -> None:
    """Add the address to the blueprint."""
    blueprint.add_url_rule("/metrics", "metrics", metrics)


@public()
def metrics() -> Response:
    """The figures; for anybody else there is no such page."""
    dispatch = current_dispatch()
    if not _may_look(dispatch):
        return _said("", 404)
    try:
        return _said(exposition(dispatch), 200)
    except SQLAlchemyError as error:
        log.warning("no figures: %s", type(error).__name__)
        return _said("", 503)


def _may_look(dispatch: Dispatch) -> bool:
    token = dispatch.settings.metrics_token
    if token:
        given = request.headers.get("Authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {token}".encode())
    forwarded = any(name in request.headers for name in _FORWARDED)
    return not forwarded and is_loopback(request.remote_addr or "")


def _said(text: str, status: int) -> Response:
    response = Response(text, status=status, content_type=TEXT)
    response.headers["Cache-Control"] = "no-store"
    return response
