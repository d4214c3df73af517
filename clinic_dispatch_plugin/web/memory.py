"""What is remembered for one request, in its environment: ``flask.g`` may outlive a request in a host's tests."""

from __future__ import annotations

from typing import Any

from flask import request

_KEY = "clinic_dispatch.request"


def of_request() -> dict[str, Any]:
    """A dictionary that ends with this request."""
    found: dict[str, Any] = request.environ.setdefault(_KEY, {})
    return found
