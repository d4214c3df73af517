"""Where gateways call back: no page, no sign-in; what proves itself is kept, and a worker does the rest."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from flask import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts.callbacks import PROVED, proves
from clinic_dispatch_plugin.channels.channel import Channel
from clinic_dispatch_plugin.channels.errors import CallbackRefused
from clinic_dispatch_plugin.channels.types import Account
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch, current_dispatch
from clinic_dispatch_plugin.reports.inbox import InboxFull, keep
from clinic_dispatch_plugin.reports.pace import lets_in
from clinic_dispatch_plugin.web.auth import KIB, public

log = logging.getLogger(__name__)

#: Bytes of one call.
MOST_BYTES = 64 * KIB
#: Reports of one call.
MOST_REPORTS = 1_000
#: Seconds after which a gateway may come again where nothing can be kept now.
_LATER = "60"


def register(blueprint: Blueprint) -> None:
    """Add the address gateways call to the blueprint."""
    one, methods = "/callbacks/<channel>/<account>", ["GET", "POST"]
    blueprint.add_url_rule(one, "callback", called, methods=methods)
    blueprint.add_url_rule(f"{one}/<secret>", "secret_callback", called, methods=methods)


@public(max_body=MOST_BYTES)
def called(channel: str, account: str, secret: str = "") -> Response:
    """Take a call of this account's gateway: some ask with GET, which here does change something."""
    dispatch = current_dispatch()
    found = dispatch.account_called(channel, account)
    if found is None:
        return _said(404)
    if not lets_in(dispatch, channel, found.key):
        return _said(429, later="1")
    body = request.query_string if request.method == "GET" else request.stream.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES or len(request.query_string) > MOST_BYTES:
        return _said(413)
    if secret and not _proves(dispatch, found, secret):
        log.warning("a callback for %s/%s was refused: wrong secret", channel, account)
        return _said(403)
    # What begins with a colon is our word, whatever a caller writes.
    headers = {name: value for name, value in request.headers if not name.startswith(":")}
    headers |= {":path": _called_path(), PROVED: "yes" if secret else ""}
    try:
        reports = list(dispatch.channels[channel].parse_callback(found, headers, body))
    except CallbackRefused as refused:
        log.warning("a callback for %s/%s was refused: %s", channel, account, refused)
        return _said(refused.status if refused.status in (403, 413) else 403)
    except Exception as error:
        log.error("a callback for %s/%s cannot be read: %s", channel, account, places(error))
        return _said(400)
    if len(reports) > MOST_REPORTS:
        return _said(413)
    try:
        account_id = dispatch.database.run(lambda c: accounts.account_id(c, channel, found.key))
        keep(dispatch, reports, channel=channel, account_id=account_id, source="callback")
    except (InboxFull, SQLAlchemyError) as error:
        log.error("a callback for %s/%s cannot be kept: %s", channel, account, places(error))
        return _said(503, later=_LATER)
    return _answered(dispatch.channels[channel], found, headers, body)


def _proves(dispatch: Dispatch, account: Account, secret: str) -> bool:
    """Whether the address holds the account's secret; where nobody can say, it does not."""
    try:
        return dispatch.database.run(lambda c: proves(c, account.channel, account.key, secret))
    except SQLAlchemyError as error:
        log.error("the secret of a callback cannot be compared: %s", type(error).__name__)
        return False


def _answered(
    channel: Channel, account: Account, headers: Mapping[str, str], body: bytes
) -> Response:
    """What the gateway is told: mostly nothing, but some ask on their call what to do next."""
    try:
        reply = channel.callback_reply(account, headers, body)
    except Exception as error:  # the report is kept; sending it again would help nobody
        log.error("a callback for %s/%s has no answer: %s", channel.key, account.key, places(error))
        reply = None
    if reply is None:
        return _said(200)
    response = Response(reply.body, mimetype=reply.media_type)
    response.headers["Cache-Control"] = "no-store"
    return response


def _called_path() -> str:
    """Path and query as they were called: some gateways sign their address, letter by letter."""
    raw = str(request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or "")
    if raw.startswith("/"):
        return raw
    if raw:
        parts = urlsplit(raw)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path
    query = request.query_string.decode("latin-1")
    path = f"{request.script_root}{request.path}"
    return f"{path}?{query}" if query else path


def _said(status: int, *, later: str = "") -> Response:
    """An answer that tells nobody anything, but perhaps in how many seconds to come again."""
    response = Response("", status=status, mimetype="text/plain")
    if later:
        response.headers["Retry-After"] = later
    response.headers["Cache-Control"] = "no-store"
    return response
