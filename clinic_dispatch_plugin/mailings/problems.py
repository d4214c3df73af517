"""What is wrong with what somebody entered, field by field, in words that can be translated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One field that cannot be used as it is."""

    #: Name of the form field: ``subject``, ``text``, ``filter.day`` …
    field: str
    #: English sentence with named fields, the msgid of its translations.
    message: str
    fields: Mapping[str, object] = dataclasses.field(default_factory=dict)
    #: What to do, where that is a sentence of its own; takes the same fields.
    advice: str = ""

    def __str__(self) -> str:
        said = f"{self.message} {self.advice}".rstrip()
        return said.format_map(self.fields) if self.fields else said


def name_cut(length: int, limit: int) -> Problem:
    """A name that is longer than the table can hold."""
    message = "The name was cut: it has {length} characters, at most {limit} are possible."
    return Problem(field="name", message=message, fields={"length": length, "limit": limit})


class MailingProblem(ValueError):
    """A mailing cannot be saved or sent as it is; ``str()`` is all sentences in English."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(" ".join(f"{problem.field}: {problem}" for problem in problems))
        self.problems = problems


class NoRoute(Exception):
    """The channel does not exist here, or no account is configured for it."""

    def __init__(self, channel: str) -> None:
        super().__init__(
            f"The channel {channel!r} has no account: set CLINIC_DISPATCH_{channel.upper()}_URL."
        )
        self.channel = channel


class HostFailed(Exception):
    """The clinic's own system could not answer; nothing was written."""


class NotYours(LookupError):
    """There is no such thing, or not for this actor: both look the same."""
