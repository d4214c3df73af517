"""Turns a text with placeholders into the words one person receives; it runs no code.

``{{ name }}``, ``{{ name | filter: "value" | filter }}``, ``{% if name %}…{% else %}…{% endif %}``
and ``{% if not name %}``: nothing else, and no loops. Staff write these texts, so what they can do
is bounded: time and memory grow with the length of the text only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from clinic_dispatch_plugin.channels.text_parser import (
    Condition,
    Literal,
    Parser,
    Placeholder,
    Segment,
    check_known,
)
from clinic_dispatch_plugin.channels.text_problems import (
    EmptyPlaceholder,
    SyntaxFault,
    TemplateSyntaxProblem,
)

__all__ = [
    "Condition",
    "EmptyPlaceholder",
    "Literal",
    "Placeholder",
    "Segment",
    "SyntaxFault",
    "Template",
    "TemplateSyntaxProblem",
    "clean_value",
    "parse",
    "placeholder_name",
    "single_line",
]

Escape = Callable[[str], str]

_LINE_BREAK: Final = re.compile("[\r\n\x00\x0b\x0c\x85\u2028\u2029]")
_RETURN: Final = re.compile(r"\r\n?")
_DROPPED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNCLEAN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NOT_IN_A_NAME: Final = re.compile(r"\W+")


class Template:
    """A text that was read once and is rendered for each recipient; safe to share between threads.

    :ivar segments: the tree: literals, placeholders, conditions.
    :ivar names: every name the text mentions, those of conditions included.
    :ivar required_names: names without which nobody can get this text: used without ``default`` and
        outside every ``if``. Inside an ``if`` the need depends on the values: see :meth:`missing`.
    """

    __slots__ = ("_plain", "_tail", "names", "required_names", "segments", "source")

    def __init__(self, *, source: str, segments: tuple[Segment, ...]) -> None:
        self.source: Final = source
        self.segments: Final = segments
        self.names: Final = frozenset(_names(segments))
        self.required_names: Final = frozenset(
            segment.name
            for segment in segments
            if isinstance(segment, Placeholder) and not segment.has_default
        )
        self._plain, self._tail = _plain_pairs(segments)

    def render(
        self,
        values: Mapping[str, str],
        *,
        locale: str,
        escape: Escape | None = None,
        one_line: bool = False,
    ) -> str:
        """The text for one recipient.

        :param locale: the recipient's, such as ``de`` or ``de-AT``, for dates and money.
        :param escape: applied to what comes from values, never to the text (``html.escape``).
        :param one_line: every run of white space becomes one space, so that a subject can never
            carry a line break into a header.
        :raises EmptyPlaceholder: a value that is needed here is missing or blank.
        """
        found = self.in_places(values)
        if found is None:
            parts: list[str] = []
            _render(self.segments, values=values, locale=locale, escape=escape, parts=parts)
            text = "".join(parts)
        else:
            text = self._render_plain(found, escape)
        return " ".join(text.split()) if one_line else text

    def missing(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The names whose blank value would make :meth:`render` fail, in order, each once."""
        found: dict[str, None] = {}
        _collect_missing(self.segments, values, found)
        return tuple(found)

    def in_places(self, values: Mapping[str, str]) -> list[str] | None:
        """The cleaned value for each place of a text that has no conditions and no filters; None: it has some.

        :raises EmptyPlaceholder: a value that is needed is missing or blank.
        """
        if self._plain is None:
            return None
        found = []
        for _, name in self._plain:
            value = _cleaned(values, name)
            if not value or value.isspace():
                raise EmptyPlaceholder(name)
            found.append(value)
        return found

    def _render_plain(self, found: Sequence[str], escape: Escape | None) -> str:
        parts: list[str] = []
        for (literal, _), value in zip(self._plain or (), found, strict=True):
            parts += (literal, escape(value) if escape else value)
        parts.append(self._tail)
        return "".join(parts)


def parse(source: str, *, known: Collection[str] | None = None) -> Template:
    """Read a text; line ends become ``\\n``.

    :param known: the names that recipients have values for; any other name is then a mistake.
    :raises TemplateSyntaxProblem: says the line and what to write instead.
    """
    segments = Parser(source).read()
    if known is not None:
        check_known(segments, known)
    return Template(source=source, segments=segments)


def single_line(source: str) -> str:
    """The source itself when it may be a subject: no line break of any kind and no NUL.

    :raises TemplateSyntaxProblem: at the first such character.
    """
    found = _LINE_BREAK.search(source)
    if found and found[0] == "\x00":
        raise TemplateSyntaxProblem(
            SyntaxFault.FORBIDDEN_CHARACTER,
            line=1,
            column=found.start() + 1,
            fields={"character": "U+0000"},
        )
    if found:
        raise TemplateSyntaxProblem(
            SyntaxFault.LINE_BREAK, line=1, column=found.start() + 1, fields={}
        )
    return source


def clean_value(value: str) -> str:
    """A value as it may be sent.

    Line ends become ``\\n``; other control characters but the tab go, and so do the characters that
    turn the reading direction (U+202A–202E, U+2066–2069), which could disguise an address or a
    link; half a character (a lone surrogate) becomes U+FFFD.
    """
    if value.isprintable() or not _UNCLEAN.search(value):  # as nearly all are
        return value
    value = _RETURN.sub("\n", value)
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", _DROPPED.sub("", value))


def placeholder_name(heading: str) -> str:
    """The name under which a column called ``heading`` can be used in a text; may be empty.

    ``Datum des Termins`` gives ``Datum_des_Termins``; a leading digit gets an underscore before it.
    """
    name = _NOT_IN_A_NAME.sub("_", unicodedata.normalize("NFC", heading)).strip("_")
    # A sign such as ² counts as a word character but begins no name either.
    return f"_{name}" if name and not re.match(r"[^\W\d]", name) else name


def _names(segments: tuple[Segment, ...]) -> set[str]:
    names: set[str] = set()
    for segment in segments:
        if isinstance(segment, Literal):
            continue
        names.add(segment.name)
        if isinstance(segment, Condition):
            names |= _names(segment.filled) | _names(segment.blank)
    return names


def _plain_pairs(
    segments: tuple[Segment, ...],
) -> tuple[tuple[tuple[str, str], ...] | None, str]:
    """Pairs of a literal and the name after it, and the last literal; no pairs for other trees."""
    pairs: list[tuple[str, str]] = []
    literal = ""
    for segment in segments:
        if isinstance(segment, Literal):
            literal = segment.text
        elif isinstance(segment, Placeholder) and not segment.filters:
            pairs.append((literal, segment.name))
            literal = ""
        else:
            return None, ""
    return tuple(pairs), literal


def _cleaned(values: Mapping[str, str], name: str) -> str:
    return clean_value(values.get(name) or "")


def _render(
    segments: tuple[Segment, ...],
    *,
    values: Mapping[str, str],
    locale: str,
    escape: Escape | None,
    parts: list[str],
) -> None:
    for segment in segments:
        if isinstance(segment, Literal):
            parts.append(segment.text)
        elif isinstance(segment, Placeholder):
            value = _value_of(segment, values, locale)
            parts.append(escape(value) if escape else value)
        else:
            chosen = segment.filled if _is_filled(values, segment.name) else segment.blank
            _render(chosen, values=values, locale=locale, escape=escape, parts=parts)


def _value_of(placeholder: Placeholder, values: Mapping[str, str], locale: str) -> str:
    value = _cleaned(values, placeholder.name)
    if not placeholder.has_default and (not value or value.isspace()):
        raise EmptyPlaceholder(placeholder.name)
    for value_filter in placeholder.filters:
        value = value_filter(value, locale)
    return value


def _is_filled(values: Mapping[str, str], name: str) -> bool:
    value = _cleaned(values, name)
    return bool(value) and not value.isspace()


def _collect_missing(
    segments: tuple[Segment, ...], values: Mapping[str, str], found: dict[str, None]
) -> None:
    for segment in segments:
        if isinstance(segment, Placeholder):
            if not segment.has_default and not _is_filled(values, segment.name):
                found[segment.name] = None
        elif isinstance(segment, Condition):
            chosen = segment.filled if _is_filled(values, segment.name) else segment.blank
            _collect_missing(chosen, values, found)
