"""Response headers of our pages, none of which overrules the host's."""

from __future__ import annotations

from flask import Response, make_response, request

from clinic_dispatch_plugin.web.memory import of_request

#: For pages on our plain layout; in the host's layout the host's own policy stands.
PLAIN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'self'; base-uri 'none'"
)
#: A mail's HTML: its own inline style and nothing else; shown in ``<iframe sandbox>``.
PREVIEW_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'; sandbox"
)


def secure(response: Response) -> Response:
    """Add what is missing; runs before the host's own ``after_request``, which may change it."""
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    # "no-referrer" would make browsers send "Origin: null" with our own forms (Fetch, 3.2).
    headers.setdefault("Referrer-Policy", "same-origin")
    if not (request.endpoint or "").endswith(".static"):
        headers.setdefault("Cache-Control", "private, no-cache")
    if of_request().get("plain", False):
        headers.setdefault("Content-Security-Policy", PLAIN_POLICY)
    return response


def preview_response(html: str) -> Response:
    """A document for ``<iframe sandbox>``: no scripts, no forms, nothing from elsewhere."""
    response = make_response(html)
    response.headers["Content-Security-Policy"] = PREVIEW_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response
