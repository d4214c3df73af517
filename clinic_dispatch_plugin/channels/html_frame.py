"""HTML that is cleaned once a shape and not once a message: values may only stand where nothing they say is markup."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Final

import nh3

from clinic_dispatch_plugin.channels.html import clean_html
from clinic_dispatch_plugin.channels.text import Template

#: Shapes kept of one text: with conditions it has several.
MOST_SHAPES = 32
#: What a value must survive for its place to count as plain text: markup, quotes, references, a no-break space.
_PROBE = "a<b title=\"c\" d='e'>&amp;f</b>&\u00a0\u00e4\U0001f600 --><!-- z"


class Frames:
    """A text in HTML, finished as :func:`~clinic_dispatch_plugin.channels.html.clean_html` would finish it."""

    def __init__(self, template: Template) -> None:
        """Clean nothing yet."""
        #: The text as it was read.
        self.template: Final = template
        self._mark: Final = f"x{secrets.token_hex(8)}x"
        self._marks: Final = re.compile(f"{self._mark}[0-9]+x")
        #: By the text with marks in the places of values: the cleaned pieces around them; None: not this way.
        self._shapes: dict[str, tuple[str, ...] | None] = {}
        #: The one shape of a text without conditions, once it is known.
        self._shape: str | None = None

    def render(self, values: Mapping[str, str], locale: str) -> str:
        """The cleaned HTML for one recipient.

        :raises EmptyPlaceholder: a value the text needs is missing.
        """
        found = self.template.in_places(values)
        if found is None:
            shape, found = self._marked(values, locale)
        else:
            shape = self._shape = self._shape or self._marked(values, locale)[0]
        pieces = self._pieces(shape, len(found))
        if pieces is None or not all(map(_stays_text, found)):
            return self._in_full(values, locale)
        parts = [pieces[0]]
        for value, piece in zip(found, pieces[1:], strict=True):
            parts += (_as_text(value), piece)
        return "".join(parts)

    def _marked(self, values: Mapping[str, str], locale: str) -> tuple[str, list[str]]:
        """The text with marks in the places of values, and the values."""
        found: list[str] = []

        def mark(value: str) -> str:
            found.append(value)
            return f"{self._mark}{len(found) - 1}x"

        return self.template.render(values, locale=locale, escape=mark), found

    def _in_full(self, values: Mapping[str, str], locale: str) -> str:
        return clean_html(self.template.render(values, locale=locale, escape=nh3.clean_text))

    def _pieces(self, shape: str, many: int) -> tuple[str, ...] | None:
        if shape not in self._shapes:
            if len(self._shapes) >= MOST_SHAPES:
                return None
            self._shapes[shape] = self._proved(shape, many)
        return self._shapes[shape]

    def _proved(self, shape: str, many: int) -> tuple[str, ...] | None:
        """The pieces, where cleaning leaves every mark as it is, and a value made to break out does not."""
        clean = clean_html(shape)
        wanted = [f"{self._mark}{number}x" for number in range(many)]
        if self._marks.findall(clean) != wanted:
            return None
        pieces = tuple(self._marks.split(clean))
        harmful = self._marks.sub(lambda _: nh3.clean_text(_PROBE), shape)
        return pieces if clean_html(harmful) == _as_text(_PROBE).join(pieces) else None


def _stays_text(value: str) -> bool:
    """White space alone, or at its beginning, may mean something to HTML; NUL and odd characters are changed by it."""
    return value[:1] > " " and value.isprintable()


def _as_text(value: str) -> str:
    """A value as cleaned HTML has it."""
    return (
        value.replace("&", "&amp;")
        .replace("\u00a0", "&nbsp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
    )
