"""What can be wrong with a text that holds placeholders, and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class SyntaxFault(StrEnum):
    """The kinds of mistake in a text; the value is stable and may be stored."""

    TOO_LONG = "too_long"
    TOO_MANY_PLACEHOLDERS = "too_many_placeholders"
    FORBIDDEN_CHARACTER = "forbidden_character"
    LINE_BREAK = "line_break"
    NOT_CLOSED = "not_closed"
    NO_NAME = "no_name"
    NOT_A_NAME = "not_a_name"
    ONLY_A_NAME = "only_a_name"
    UNEXPECTED = "unexpected"
    STRAIGHT_QUOTES = "straight_quotes"
    UNKNOWN_FILTER = "unknown_filter"
    FILTER_NEEDS_VALUE = "filter_needs_value"
    FILTER_TAKES_NO_VALUE = "filter_takes_no_value"
    FILTER_VALUE = "filter_value"
    UNKNOWN_TAG = "unknown_tag"
    IF_FORM = "if_form"
    IF_NOT_CLOSED = "if_not_closed"
    ENDIF_WITHOUT_IF = "endif_without_if"
    ELSE_WITHOUT_IF = "else_without_if"
    SECOND_ELSE = "second_else"
    TOO_DEEP = "too_deep"
    UNKNOWN_NAME = "unknown_name"
    UNKNOWN_NAME_SIMILAR = "unknown_name_similar"


#: English message of each fault: the msgid for translations, with named fields for ``str.format``.
MESSAGES: Final[Mapping[SyntaxFault, str]] = MappingProxyType(
    {
        SyntaxFault.TOO_LONG: "The text is longer than {limit} KiB: shorten it.",
        SyntaxFault.TOO_MANY_PLACEHOLDERS: (
            "Line {line}: more than {limit} placeholders in one text: use fewer."
        ),
        SyntaxFault.FORBIDDEN_CHARACTER: (
            "Line {line}, column {column}: the character {character} cannot be sent: delete it."
        ),
        SyntaxFault.LINE_BREAK: (
            "Line {line}, column {column}: a line break is not allowed here: write one line."
        ),
        SyntaxFault.NOT_CLOSED: (
            "Line {line}, column {column}: {opening} is not closed: write {example}."
        ),
        SyntaxFault.NO_NAME: (
            "Line {line}, column {column}: the name of the placeholder is missing: write {example}."
        ),
        SyntaxFault.NOT_A_NAME: (
            "Line {line}, column {column}: {found} cannot begin a name; names have letters, digits "
            "and underscores and begin with a letter: write {example}."
        ),
        SyntaxFault.ONLY_A_NAME: (
            "Line {line}, column {column}: after the name comes {found}; points, brackets and "
            "calculations are not possible: write {example}."
        ),
        SyntaxFault.UNEXPECTED: (
            "Line {line}, column {column}: {found} was not expected: write {example}."
        ),
        SyntaxFault.STRAIGHT_QUOTES: (
            "Line {line}, column {column}: the value of a filter stands in straight quotes: "
            "write {example}."
        ),
        SyntaxFault.UNKNOWN_FILTER: (
            "Line {line}, column {column}: there is no filter {found}: write one of {filters}."
        ),
        SyntaxFault.FILTER_NEEDS_VALUE: (
            "Line {line}, column {column}: the filter {filter} needs a value: write {example}."
        ),
        SyntaxFault.FILTER_TAKES_NO_VALUE: (
            "Line {line}, column {column}: the filter {filter} takes no value: write {example}."
        ),
        SyntaxFault.FILTER_VALUE: (
            "Line {line}, column {column}: the filter {filter} does not know {found}: "
            "write {example}."
        ),
        SyntaxFault.UNKNOWN_TAG: (
            "Line {line}, column {column}: {found} is not known; there are only if, else and "
            "endif: write {example}."
        ),
        SyntaxFault.IF_FORM: (
            "Line {line}, column {column}: a condition asks for one name: write {example}."
        ),
        SyntaxFault.IF_NOT_CLOSED: (
            "Line {line}, column {column}: this if has no end: write {example} after its text."
        ),
        SyntaxFault.ENDIF_WITHOUT_IF: (
            "Line {line}, column {column}: endif without an if: delete it or write {example} "
            "before it."
        ),
        SyntaxFault.ELSE_WITHOUT_IF: (
            "Line {line}, column {column}: else without an if: delete it or write {example} "
            "before it."
        ),
        SyntaxFault.SECOND_ELSE: (
            "Line {line}, column {column}: a second else in the same if: delete one of them."
        ),
        SyntaxFault.TOO_DEEP: (
            "Line {line}, column {column}: an if inside more than {limit} others: take it out."
        ),
        SyntaxFault.UNKNOWN_NAME: (
            "Line {line}, column {column}: there is no value called {name}: write one of {known}."
        ),
        SyntaxFault.UNKNOWN_NAME_SIMILAR: (
            "Line {line}, column {column}: there is no value called {name}: did you mean {similar}?"
        ),
    }
)

#: English message of :class:`EmptyPlaceholder`; the field is ``name``.
EMPTY_MESSAGE: Final = "The value {name} is empty for this recipient."


class TemplateSyntaxProblem(ValueError):
    """A text cannot be used as it stands; ``str()`` is the English sentence.

    :ivar message_template: English sentence with named fields, to be translated before formatting.
    :ivar fields: what the named fields stand for; always has ``line`` and ``column``.
    :ivar line: first is 1.
    :ivar column: in characters, first is 1.
    """

    def __init__(
        self, fault: SyntaxFault, *, line: int, column: int, fields: Mapping[str, object]
    ) -> None:
        self.fault = fault
        self.message_template = MESSAGES[fault]
        self.line = line
        self.column = column
        self.fields: dict[str, object] = {**fields, "line": line, "column": column}
        super().__init__(self.message_template.format_map(self.fields))


class EmptyPlaceholder(LookupError):
    """A value that the text needs is missing or blank for this recipient."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.message_template = EMPTY_MESSAGE
        self.fields: dict[str, object] = {"name": name}
        super().__init__(EMPTY_MESSAGE.format(name=name))
