"""Using the pages as a browser would: forms are sent with the token that the page holds."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def token_in(page: str) -> str:
    """The hidden token of the page's first form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None, "the page has no form with a token"
    return html.unescape(found[1])


def submit(
    client: FlaskClient,
    page: str,
    data: Mapping[str, Any] | None = None,
    *,
    to: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> TestResponse:
    """Open ``page`` and send its form's token with ``data`` to ``to`` (the page itself unless said)."""
    shown = client.get(page, headers=dict(headers or {}))
    assert shown.status_code == 200, shown.text
    values = {"csrf_token": token_in(shown.text), **(data or {})}
    return client.post(to or page, data=values, headers=dict(headers or {}))


def _is_sent(said: Mapping[str, str]) -> bool:
    return said.get("type") not in ("checkbox", "radio") or "checked" in said


class _Fields(HTMLParser):
    def __init__(self, action: str | None) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._action = action
        self._inside = action is None
        self._area: str | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form" and self._action is not None:
            self._inside = said.get("action") == self._action
        if not self._inside:
            return
        name = said.get("name", "")
        if tag == "textarea":
            self._area = name
            self.values[name] = ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in said or self._select not in self.values:
                self.values[self._select] = said.get("value", "")
        elif tag == "input" and name and _is_sent(said):
            self.values[name] = said.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = None
        elif tag == "select":
            self._select = None
        elif tag == "form" and self._action is not None:
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.values[self._area] += data


def fields_of(page: str, *, action: str | None = None) -> dict[str, str]:
    """What a browser would send if the page's form were submitted untouched.

    :param action: only the form that is sent there.
    """
    parser = _Fields(action)
    parser.feed(page)
    return {name: value.removeprefix("\n") for name, value in parser.values.items()}
