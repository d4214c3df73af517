"""The one blueprint of our pages: made anew for each app, and everything passes the same door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, abort

from clinic_dispatch_plugin.web.auth import check_request
from clinic_dispatch_plugin.web.csrf import NAME, check_form
from clinic_dispatch_plugin.web.errors import add_error_pages
from clinic_dispatch_plugin.web.headers import secure

#: The largest number a database can hold as an id.
LARGEST_ID = 2**63 - 1


def make_blueprint(registrars: Sequence[Callable[[Blueprint], None]]) -> Blueprint:
    """A new blueprint with the views of every concern: ``register(blueprint)`` of its ``views.py``."""
    blueprint = Blueprint(
        NAME,
        "clinic_dispatch_plugin",
        static_folder="static",
        template_folder="templates",
    )
    blueprint.url_value_preprocessor(_refuse_impossible_ids)
    blueprint.before_request(check_request)
    blueprint.before_request(check_form)
    blueprint.after_request(secure)
    add_error_pages(blueprint)
    for register in registrars:
        register(blueprint)
    return blueprint


def _refuse_impossible_ids(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """An id no database can hold names nothing."""
    for value in (values or {}).values():
        if isinstance(value, int) and value > LARGEST_ID:
            abort(404)
