"""Which concerns have pages: their ``register`` functions in one place, so that none attaches itself on import."""

from __future__ import annotations

from flask import Blueprint

from clinic_dispatch_plugin.error_reference import views as error_reference_views
from clinic_dispatch_plugin.mailings import views as mailing_views
from clinic_dispatch_plugin.messages import views as message_views
from clinic_dispatch_plugin.web.blueprint import make_blueprint as with_views


def make_blueprint() -> Blueprint:
    """A new blueprint with every page of ours."""
    return with_views(
        [message_views.register, mailing_views.register, error_reference_views.register]
    )
