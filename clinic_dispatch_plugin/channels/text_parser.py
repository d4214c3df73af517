"""Reads a text with placeholders into a tree in one pass; every mistake has its place."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NoReturn

from clinic_dispatch_plugin.channels.text_filters import FILTERS, ValueFilter
from clinic_dispatch_plugin.channels.text_problems import SyntaxFault, TemplateSyntaxProblem

LONGEST_SOURCE_BYTES: Final = 64 * 1024
MOST_PLACEHOLDERS: Final = 200
DEEPEST_CONDITION: Final = 5

_OPENING: Final = re.compile(r"\{\{|\{%")
_SPACE: Final = re.compile(r"\s*")
# Combining accents belong to a letter; the name is put together (NFC) once it is read.
_NAME: Final = re.compile("[^\\W\\d][\\w\u0300-\u036f]*")
_STRING: Final = re.compile(r'"([^"\r\n]*)"')
_STRANGE_QUOTE: Final = frozenset("'`´‘’‚“”„«»‹›″")
_LINE_BREAKS: Final = re.compile(r"\r\n?")
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_SHOWN: Final = 40
_MOST_SHOWN_NAMES: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """Text that is sent as it stands."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder:
    """``{{ name | filter }}``; ``has_default`` when a ``default`` filter covers a blank value."""

    name: str
    filters: tuple[ValueFilter, ...]
    has_default: bool
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """``{% if name %}``: ``filled`` is used when the value is there, ``blank`` when it is not."""

    name: str
    filled: tuple[Segment, ...]
    blank: tuple[Segment, ...]
    line: int
    column: int


Segment = Literal | Placeholder | Condition


@dataclass(slots=True, kw_only=True)
class _Open:
    """An ``if`` whose end has not come yet."""

    name: str
    negated: bool
    start: int
    line: int
    column: int
    first: list[Segment]
    second: list[Segment] | None = None

    def body(self) -> list[Segment]:
        return self.first if self.second is None else self.second


class Parser:
    """One reading of one source; use :func:`clinic_dispatch_plugin.channels.text.parse`."""

    def __init__(self, source: str) -> None:
        self._source = _LINE_BREAKS.sub("\n", source)
        self._position = 0
        self._placeholders = 0
        self._top: list[Segment] = []
        self._open: list[_Open] = []
        # Places are asked for in rising order while reading, so lines are counted only once.
        self._counted_to = 0
        self._lines_before = 0
        self._line_start = 0

    def read(self) -> tuple[Segment, ...]:
        """The tree of the whole source.

        :raises TemplateSyntaxProblem: at the first mistake.
        """
        self._check_characters()
        while opening := _OPENING.search(self._source, self._position):
            self._add_literal(self._source[self._position : opening.start()])
            self._position = opening.end()
            if opening[0] == "{{":
                self._placeholder(opening.start())
            else:
                self._tag(opening.start())
        self._add_literal(self._source[self._position :])
        if self._open:
            self.fail(SyntaxFault.IF_NOT_CLOSED, self._open[-1].start, example="{% endif %}")
        return tuple(self._top)

    def fail(self, fault: SyntaxFault, position: int, **fields: object) -> NoReturn:
        """Raise ``fault`` for the character at ``position``."""
        line = self._source.count("\n", 0, position) + 1
        column = position - self._source.rfind("\n", 0, position)
        raise TemplateSyntaxProblem(fault, line=line, column=column, fields=fields)

    def _check_characters(self) -> None:
        size = len(self._source.encode("utf-8", "surrogatepass"))
        if size > LONGEST_SOURCE_BYTES:
            self.fail(SyntaxFault.TOO_LONG, 0, limit=LONGEST_SOURCE_BYTES // 1024)
        if bad := _FORBIDDEN.search(self._source):
            code = f"U+{ord(bad[0]):04X}"
            self.fail(SyntaxFault.FORBIDDEN_CHARACTER, bad.start(), character=code)

    def _place(self, position: int) -> tuple[int, int]:
        newlines = self._source.count("\n", self._counted_to, position)
        if newlines:
            self._lines_before += newlines
            self._line_start = self._source.rfind("\n", self._counted_to, position) + 1
        self._counted_to = position
        return self._lines_before + 1, position - self._line_start + 1

    def _add_literal(self, text: str) -> None:
        if text:
            self._add(Literal(text=text))

    def _add(self, segment: Segment) -> None:
        (self._open[-1].body() if self._open else self._top).append(segment)

    def _placeholder(self, start: int) -> None:
        self._placeholders += 1
        if self._placeholders > MOST_PLACEHOLDERS:
            self.fail(SyntaxFault.TOO_MANY_PLACEHOLDERS, start, limit=MOST_PLACEHOLDERS)
        name = self._name(start)
        filters: list[ValueFilter] = []
        has_default = False
        while self._take("|"):
            filter_name, value_filter = self._filter(start)
            filters.append(value_filter)
            has_default = has_default or filter_name == "default"
        if not self._take("}}"):
            fault = SyntaxFault.UNEXPECTED if filters else SyntaxFault.ONLY_A_NAME
            self._fail_inside(fault, start, opening="{{", example=f"{{{{ {name} }}}}")
        line, column = self._place(start)
        self._add(
            Placeholder(
                name=name,
                filters=tuple(filters),
                has_default=has_default,
                line=line,
                column=column,
            )
        )

    def _name(self, start: int) -> str:
        self._skip_space()
        if found := _NAME.match(self._source, self._position):
            self._position = found.end()
            return unicodedata.normalize("NFC", found[0])
        if self._source.startswith("}}", self._position):
            self.fail(SyntaxFault.NO_NAME, start, example="{{ name }}")
        self._fail_inside(SyntaxFault.NOT_A_NAME, start, opening="{{", example="{{ name }}")

    def _filter(self, start: int) -> tuple[str, ValueFilter]:
        self._skip_space()
        where = self._position
        found = _NAME.match(self._source, where)
        if not found:
            example = "{{ name | upper }}"
            self._fail_inside(SyntaxFault.UNEXPECTED, start, opening="{{", example=example)
        self._position = found.end()
        kind = FILTERS.get(found[0])
        if kind is None:
            names = ", ".join(FILTERS)
            self.fail(SyntaxFault.UNKNOWN_FILTER, where, found=_shown(found[0]), filters=names)
        argument = self._argument(start, kind.example) if self._take(":") else None
        if argument is None and kind.argument == "needed":
            self.fail(SyntaxFault.FILTER_NEEDS_VALUE, where, filter=found[0], example=kind.example)
        if argument is not None and kind.argument == "forbidden":
            self.fail(
                SyntaxFault.FILTER_TAKES_NO_VALUE, where, filter=found[0], example=kind.example
            )
        try:
            return found[0], kind.make(argument or "")
        except ValueError:
            self.fail(
                SyntaxFault.FILTER_VALUE,
                where,
                filter=found[0],
                found=f'"{_shown(argument or "")}"',
                example=kind.example,
            )

    def _argument(self, start: int, example: str) -> str:
        self._skip_space()
        found = _STRING.match(self._source, self._position)
        if found:
            self._position = found.end()
            return found[1]
        character = self._source[self._position : self._position + 1]
        if character in _STRANGE_QUOTE or character.isalnum():
            self.fail(SyntaxFault.STRAIGHT_QUOTES, self._position, example=example)
        self._fail_inside(SyntaxFault.UNEXPECTED, start, opening="{{", example=example)

    def _tag(self, start: int) -> None:
        self._skip_space()
        word = _NAME.match(self._source, self._position)
        keyword = word[0] if word else ""
        if word:
            self._position = word.end()
        if keyword == "if":
            self._if(start)
        elif keyword == "else":
            self._end_of_tag(start, "{% else %}")
            self._else(start)
        elif keyword == "endif":
            self._end_of_tag(start, "{% endif %}")
            self._endif(start)
        else:
            example = "{% if name %} … {% else %} … {% endif %}"
            found = keyword or self._source[self._position : self._position + 1]
            if not found:
                self.fail(SyntaxFault.NOT_CLOSED, start, opening="{%", example=example)
            self.fail(SyntaxFault.UNKNOWN_TAG, start, found=_shown(found), example=example)

    def _if(self, start: int) -> None:
        words: list[str] = []
        self._skip_space()
        while len(words) < 2 and (found := _NAME.match(self._source, self._position)):
            words.append(found[0])
            self._position = found.end()
            self._skip_space()
        negated = len(words) == 2 and words[0] == "not"
        if not words or words == ["not"] or (len(words) == 2 and not negated):
            self._fail_inside(
                SyntaxFault.IF_FORM,
                start,
                opening="{%",
                example="{% if name %} / {% if not name %}",
            )
        self._end_of_tag(start, "{% if name %}", fault=SyntaxFault.IF_FORM)
        if len(self._open) >= DEEPEST_CONDITION:
            self.fail(SyntaxFault.TOO_DEEP, start, limit=DEEPEST_CONDITION - 1)
        name = unicodedata.normalize("NFC", words[-1])
        line, column = self._place(start)
        self._open.append(
            _Open(name=name, negated=negated, start=start, line=line, column=column, first=[])
        )

    def _else(self, start: int) -> None:
        if not self._open:
            self.fail(SyntaxFault.ELSE_WITHOUT_IF, start, example="{% if name %}")
        if self._open[-1].second is not None:
            self.fail(SyntaxFault.SECOND_ELSE, start)
        self._open[-1].second = []

    def _endif(self, start: int) -> None:
        if not self._open:
            self.fail(SyntaxFault.ENDIF_WITHOUT_IF, start, example="{% if name %}")
        ended = self._open.pop()
        first, second = tuple(ended.first), tuple(ended.second or ())
        self._add(
            Condition(
                name=ended.name,
                filled=second if ended.negated else first,
                blank=first if ended.negated else second,
                line=ended.line,
                column=ended.column,
            )
        )

    def _end_of_tag(
        self, start: int, example: str, *, fault: SyntaxFault = SyntaxFault.UNEXPECTED
    ) -> None:
        if not self._take("%}"):
            self._fail_inside(fault, start, opening="{%", example=example)

    def _take(self, mark: str) -> bool:
        self._skip_space()
        if not self._source.startswith(mark, self._position):
            return False
        self._position += len(mark)
        return True

    def _skip_space(self) -> None:
        space = _SPACE.match(self._source, self._position)
        self._position = space.end() if space else self._position

    def _fail_inside(
        self, fault: SyntaxFault, start: int, *, opening: str, example: str
    ) -> NoReturn:
        """Say what stands here that should not, or that the text ended before the braces did."""
        rest = self._source[self._position : self._position + _SHOWN]
        if not rest:
            self.fail(SyntaxFault.NOT_CLOSED, start, opening=opening, example=example)
        self.fail(fault, self._position, found=f"“{rest[0]}”", example=example)


def check_known(segments: tuple[Segment, ...], known: Collection[str]) -> None:
    """Refuse a name that the mailing has no value for.

    :raises TemplateSyntaxProblem: at the first such name, with the nearest known one.
    """
    for segment in segments:
        if isinstance(segment, Literal):
            continue
        if segment.name not in known:
            raise _unknown(segment, known)
        if isinstance(segment, Condition):
            check_known(segment.filled, known)
            check_known(segment.blank, known)


def _unknown(segment: Placeholder | Condition, known: Collection[str]) -> TemplateSyntaxProblem:
    shown = {"name": _shown(segment.name)}
    near = difflib.get_close_matches(segment.name[:_SHOWN], list(known)[:500], n=1)
    if near:
        fault = SyntaxFault.UNKNOWN_NAME_SIMILAR
        shown["similar"] = f"{{{{ {near[0]} }}}}"
    else:
        fault = SyntaxFault.UNKNOWN_NAME
        shown["known"] = ", ".join(sorted(known)[:_MOST_SHOWN_NAMES]) or "–"
    return TemplateSyntaxProblem(fault, line=segment.line, column=segment.column, fields=shown)


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
