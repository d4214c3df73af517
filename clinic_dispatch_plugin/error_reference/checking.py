"""What an entry may hold: each field checked, each fault with the field and a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from clinic_dispatch_plugin.channels.reference import GROUPS, LANGUAGES, WHO
from clinic_dispatch_plugin.error_reference.policy import (
    LIMITS,
    NOT_THE_ADDRESS,
    SWITCHES,
    Policy,
    PolicyAction,
)
from clinic_dispatch_plugin.error_reference.rules import (
    APART,
    PATTERN_LIMIT,
    TEXT_FIELDS,
    compile_pattern,
)
from clinic_dispatch_plugin.web.i18n import N_

#: A note of sixty characters stands in one line of a list on every screen.
SHORT_LIMIT = 60
LONG_LIMIT = 2_000
#: Provider, source and the like, which packs bring.
PLAIN_LIMIT = 500
SYSTEM_LIMIT = 32
CODE_LIMIT = 64
NEVER_BLOCKS = N_(
    "This kind is about us as the sender: it never blocks a patient's address. Choose no, or another kind."
)
#: Answers that may be taken out of one entry.
MOST_APART = 200
_FINGERPRINT = re.compile(r"[0-9a-f]{64}\Z")

#: Words beside the texts and choices.
_PLAIN = ("provider", "source", "cause", "symbol")
#: Kinds are words of packs; a third party's may bring its own.
_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,39}")
_POLICY = frozenset(item.name for item in fields(Policy))
_YES_OR_NO: Mapping[object, bool] = {True: True, False: False, "yes": True, "no": False}


class ReferenceProblem(ValueError):
    """An entry cannot be saved: ``field`` says which of its fields, the text says why (English, for translation)."""

    def __init__(self, field: str, message: str, **fields: object) -> None:
        super().__init__(message.format_map(fields))
        self.field = field
        #: With named fields, as catalogues have it.
        self.message = message
        self.fields = fields


def check_key(system: str, code: str) -> tuple[str, str]:
    """System and code as they are stored.

    :raises ReferenceProblem: one of them is empty, too long or not plain.
    """
    system, code = system.strip(), code.strip()
    if not system or len(system) > SYSTEM_LIMIT or not (system.isascii() and system.isprintable()):
        raise ReferenceProblem("system", "Name the system, such as smtp; at most 32 characters.")
    if not code or len(code) > CODE_LIMIT or not (code.isascii() and code.isprintable()):
        raise ReferenceProblem(
            "code",
            "Give the provider's code: at most 64 letters, digits and signs without accents.",
        )
    return system, code


def check_pattern(field: str, pattern: str) -> None:
    """See that RE2 takes a pattern.

    :raises ReferenceProblem: it is too long, or RE2 says why not.
    """
    if len(pattern) > PATTERN_LIMIT:
        raise ReferenceProblem(field, "At most {limit} characters.", limit=PATTERN_LIMIT)
    try:
        compile_pattern(pattern)
    except ValueError as error:
        raise ReferenceProblem(
            field, "This pattern cannot be used: {reason}", reason=str(error)
        ) from None


def checked_content(content: Mapping[str, Any], *, complete: bool) -> dict[str, Any]:
    """Flat content with every field checked.

    :param complete: an entry of its own: it needs a short text in some language; what else it lacks gets a safe value.
    :raises ReferenceProblem: names the field.
    """
    done = {name: value for name, value in content.items() if value is not None}
    for name, value in done.items():
        done[name] = _checked(name, value)
    for name, allowed in (
        ("group", GROUPS),
        ("who", WHO),
        ("permanence", ("temporary", "permanent", "unknown")),
    ):
        if name in done and done[name] not in allowed:
            raise ReferenceProblem(name, "Choose one of: {choices}.", choices=", ".join(allowed))
    if complete:
        check_has_note(done)
        done = {
            "category": "unknown",
            "permanence": "unknown",
            "group": "sending",
            "who": "administration",
            **done,
        }
    check_block(done)
    return done


def check_has_note(content: Mapping[str, Any]) -> None:
    """An entry needs its note, in one language at least.

    :raises ReferenceProblem: it has none.
    """
    if not any(content.get(f"short.{language}") for language in LANGUAGES):
        raise ReferenceProblem("short", "Write the note that stands beside the message.")


def check_block(content: Mapping[str, Any]) -> None:
    """See that nobody's address is blocked for what is our own fault.

    :raises ReferenceProblem: it would be.
    """
    if content.get("category") in NOT_THE_ADDRESS and content.get("policy.block"):
        raise ReferenceProblem("policy.block", NEVER_BLOCKS)


def _checked(name: str, value: Any) -> Any:
    head, _, tail = name.partition(".")
    if head in TEXT_FIELDS:
        if tail not in LANGUAGES:
            languages = ", ".join(LANGUAGES)
            raise ReferenceProblem(name, "Texts are in one of: {languages}.", languages=languages)
        return _text(name, str(value), SHORT_LIMIT if head == "short" else LONG_LIMIT)
    if head == "policy":
        return _policy_value(name, tail, value)
    if name == APART:
        return _fingerprints(str(value))
    if name in _PLAIN:
        return _text(name, str(value), PLAIN_LIMIT)
    if name == "category":
        if not _CATEGORY.fullmatch(str(value)):
            raise ReferenceProblem(name, "Name the kind by one word, such as recipient_full.")
        return str(value)
    if name not in ("group", "who", "permanence"):
        raise ReferenceProblem(name, "An entry has no field of this name.")
    return value


def _text(name: str, value: str, limit: int) -> str:
    cleaned = "".join(c for c in value if c == "\n" or c >= " ").strip()
    cleaned = cleaned.encode("utf-8", "replace").decode()
    if len(cleaned) > limit:
        raise ReferenceProblem(name, "At most {limit} characters.", limit=limit)
    return cleaned


def _fingerprints(value: str) -> str:
    """Answers that were taken out of an entry, each once."""
    several = sorted(set(value.split()))
    if not all(_FINGERPRINT.match(each) for each in several):
        raise ReferenceProblem(APART, "This is no list of answers.")
    if len(several) > MOST_APART:
        raise ReferenceProblem(
            APART, "At most {limit} answers can be taken out of one entry.", limit=MOST_APART
        )
    return " ".join(several)


def _policy_value(name: str, field: str, value: Any) -> Any:
    if field == "action":
        if value not in list(PolicyAction):
            raise ReferenceProblem(name, "Choose what the program does.")
        return str(value)
    if field in SWITCHES:
        if not isinstance(value, bool | str) or value not in _YES_OR_NO:
            raise ReferenceProblem(name, "Choose yes or no.")
        return _YES_OR_NO[value]
    if field not in _POLICY:
        raise ReferenceProblem(name, "An entry has no field of this name.")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ReferenceProblem(name, "Give a number.") from None
    lowest, highest, whole = LIMITS[field]
    if not lowest <= number <= highest:
        raise ReferenceProblem(
            name, "Give a number from {lowest} to {highest}.", lowest=lowest, highest=highest
        )
    return int(number) if whole else number
