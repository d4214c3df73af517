"""Where a recipient says "no more of these": open to everybody, in no host's layout, and it tells nobody anything."""

from __future__ import annotations

from flask import Response, request

from clinic_dispatch_plugin.messages.service import unsubscribe as block_address
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import public
from clinic_dispatch_plugin.web.layout import render_page
from clinic_dispatch_plugin.web.memory import of_request


@public()
def unsubscribe(token: str) -> Response:
    """GET asks, POST acts, also without cookie and page (RFC 8058 one-click); known and unknown links look alike."""
    # The host's layout may ask who is signed in and hold its navigation: neither is for a patient.
    of_request().update(force_plain=True, no_nav=True)
    done = request.method == "POST"
    if done:
        block_address(current_dispatch(), token[:400])
    response = render_page("clinic_dispatch/messages/unsubscribe.html", done=done)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
