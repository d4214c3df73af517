"""Who acts in this request, and whether they may: every view names one action, and one without a name is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from flask import abort, current_app, request

from clinic_dispatch_plugin.host.types import Action, Actor
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.asking import ask
from clinic_dispatch_plugin.web.memory import of_request

log = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])
KIB = 1024
MIB = 1024 * KIB
#: Bytes a request may bring unless its view says otherwise.
BODY_LIMIT = MIB


def requires(action: Action, *, max_body: int = BODY_LIMIT) -> Callable[[View], View]:
    """Name the one action a view needs; checked before the view runs, together with the request's size.

    :param max_body: bytes the request may bring; more is refused with 413.
    """

    def mark(view: View) -> View:
        view.dispatch_action = action  # type: ignore[attr-defined]
        view.dispatch_max_body = max_body  # type: ignore[attr-defined]
        return view

    return mark


def public(*, max_body: int = BODY_LIMIT) -> Callable[[View], View]:
    """Mark a view that needs nobody signed in (callbacks, unsubscribing), by name and on purpose.

    :param max_body: bytes the request may bring; more is refused with 413.
    """

    def mark(view: View) -> View:
        view.dispatch_action = None  # type: ignore[attr-defined]
        view.dispatch_max_body = max_body  # type: ignore[attr-defined]
        return view

    return mark


def action_of(endpoint: str) -> Action | None:
    """The action an endpoint's view names.

    :raises LookupError: it names none, so it is open to nobody.
    """
    view: Any = current_app.view_functions[endpoint]
    try:
        return view.dispatch_action  # type: ignore[no-any-return]
    except AttributeError:
        raise LookupError(endpoint) from None


def current_actor() -> Actor | None:
    """Who acts in this request; asked of the host once.

    :raises HostFailed: the adapter raised.
    """
    memory = of_request()
    if "actor" not in memory:
        memory["actor"] = ask("current_actor", current_dispatch().host.current_actor)
    return memory["actor"]  # type: ignore[no-any-return]


def acting() -> Actor:
    """Who acts, in a view that asked for permission and therefore has somebody."""
    actor = current_actor()
    if actor is None:
        abort(401)
    return actor


def allowed(action: Action | str) -> bool:
    """Whether who acts may do this; asked of the host once a request.

    :raises HostFailed: the adapter raised.
    """
    action = Action(action)
    known: dict[Action, bool] = of_request().setdefault("allowed", {})
    if action not in known:
        actor = current_actor()
        host = current_dispatch().host
        known[action] = actor is not None and bool(
            ask("is_allowed", lambda: host.is_allowed(actor, action))
        )
    return known[action]


def check_request() -> None:
    """Refuse what may not be: runs before every view of our blueprint.

    :raises HTTPException: 401, 403, 413.
    """
    endpoint = request.endpoint or ""
    if endpoint.endswith(".static"):
        return
    try:
        action = action_of(endpoint)
    except LookupError:
        log.error(
            "the view %s names no action, so nobody may open it: add @requires(...)", endpoint
        )
        abort(403)
    if action is not None and current_actor() is None:
        abort(401)
    if action is not None and not allowed(action):
        abort(403)
    _limit_body(getattr(current_app.view_functions[endpoint], "dispatch_max_body", BODY_LIMIT))


def _limit_body(limit: int) -> None:
    host_limit = current_app.config.get("MAX_CONTENT_LENGTH")
    limit = min(limit, host_limit) if host_limit else limit
    if (request.content_length or 0) > limit:
        abort(413)
    try:
        # Counted while reading too, for bodies that do not say how long they are (Flask 3.1 and newer).
        request.max_content_length = limit
        request.max_form_memory_size = MIB
        request.max_form_parts = 20_000
    except AttributeError:  # older Flask: the header's word and the host's own limit hold
        pass
