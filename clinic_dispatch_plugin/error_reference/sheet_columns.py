"""The columns of the reference as a spreadsheet: their headings, and each cell from a value and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.error_reference import wording
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.forms import NUMBERS
from clinic_dispatch_plugin.error_reference.policy import LIMITS, SWITCHES, Policy
from clinic_dispatch_plugin.error_reference.rules import TEXT_FIELDS
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.i18n import N_, translate

#: A spreadsheet runs a cell that begins so as a formula (OWASP, CSV injection); quotes before it are counted.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")
_YES = {"yes", "ja", "да", "true", "wahr", "истина", "1", "x"}
_NO = {"no", "nein", "нет", "false", "falsch", "ложь", "0"}
_KEY_HEADINGS: Mapping[str, str] = {
    "system": N_("Service"),
    "code": N_("Code"),
    "pattern": N_("Text that must occur (search pattern)"),
    "unless": N_("Text that must not occur (search pattern)"),
    "origin": N_("Origin"),
    "retired": N_("Out of use?"),
    "same_as": N_("The same as"),
}
_ORIGINS: Mapping[str, str] = {"shipped": N_("Shipped"), "clinic": N_("Own entry of the clinic")}
_UNITS: Mapping[float, str] = {
    60: N_("minutes"),
    3_600: N_("hours"),
    0.01: N_("per cent"),
}
#: Where the words beside a field say too little above a column.
_HEADINGS: Mapping[str, str] = {
    "policy.factor": N_("Each wait longer by this factor"),
    "policy.block_days": N_("End of the block after (days)"),
    "policy.pause_least": N_("Put the mailing list on hold only from (messages)"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: of the key, a text, a choice, a yes or no, or a number."""

    name: str
    kind: str

    def heading(self, language: str) -> str:
        """What stands above it."""
        own = _KEY_HEADINGS.get(self.name) or _HEADINGS.get(self.name)
        if own is not None:
            return translate(own, language)
        head, _dot, tail = self.name.partition(".")
        known = self.name if self.name in wording.FIELDS else head
        label = translate(wording.FIELDS.get(known, self.name), language)
        if head in TEXT_FIELDS:
            return f"{label} ({tail.upper()})"
        if unit := _UNITS.get(NUMBERS.get(self.name, 1)):
            return f"{label} ({translate(unit, language)})"
        return label


def _policy_kind(name: str) -> str:
    if name == "action":
        return "choice"
    if name in SWITCHES:
        return "switch"
    return "number" if name in LIMITS else "word"


COLUMNS: Sequence[Column] = (
    Column("system", "key"),
    Column("code", "key"),
    *(Column(f"{name}.{language}", "text") for language in LANGUAGES for name in TEXT_FIELDS),
    *(Column(name, "choice") for name in ("group", "category", "permanence", "who")),
    *(Column(f"policy.{each.name}", _policy_kind(each.name)) for each in fields(Policy)),
    *(Column(name, "key") for name in ("origin", "same_as", "retired", "pattern", "unless")),
)
BY_NAME = {column.name: column for column in COLUMNS}
NEEDED = ("system", "code")


@cache
def _choices(name: str) -> Mapping[str, str]:
    return {
        "group": words.GROUPS,
        "who": words.WHO,
        "category": wording.CATEGORIES,
        "permanence": wording.PERMANENCES,
        "policy.action": wording.ACTIONS,
        "origin": _ORIGINS,
    }[name]


@cache
def _words_of(name: str) -> Mapping[str, str]:
    """What may stand in a cell of a choice, in any language and capitals, and what it means."""
    found = {key.casefold(): key for key in _choices(name)}
    for key, text in _choices(name).items():
        found.update({translate(text, language).casefold(): key for language in LANGUAGES})
    return found


@cache
def headings() -> Mapping[str, Column]:
    """Each column by what may stand above it, in any language."""
    found = {column.name.casefold(): column for column in COLUMNS}
    for column in COLUMNS:
        found.update({column.heading(language).casefold(): column for language in LANGUAGES})
    return found


def choices_in_words(name: str, language: str) -> str:
    """Everything that may stand in a column of choices."""
    return ", ".join(translate(text, language) for text in _choices(name).values())


def choice(name: str, value: str, language: str) -> str:
    """The word of a choice."""
    text = _choices(name).get(value)
    return translate(text, language) if text is not None else value


def choice_meant(name: str, cell: str, *, also: str = "") -> str:
    """What a word of a choice stands for.

    :param also: a value that is there now and has no word.
    :raises ReferenceProblem: none of the words.
    """
    if cell == also:
        return cell
    meant = _words_of(name).get(cell.casefold())
    if meant is None:
        choices = ", ".join(_choices(name))
        raise ReferenceProblem(name, "Choose one of: {choices}.", choices=choices)
    return meant


def yes_or_no(name: str, cell: str) -> bool:
    """A yes or no in any language; an empty cell is a no.

    :raises ReferenceProblem: neither.
    """
    said = cell.casefold()
    if said in _YES:
        return True
    if said in _NO or not said:
        return False
    raise ReferenceProblem(name, "This must be yes or no.")


def switch(value: bool, language: str) -> str:
    """A yes or no as a cell."""
    return translate("Yes" if value else "No", language)


def number(name: str, value: Any, language: str) -> str:
    """A number in the unit of its column, with the comma of the language: a point would be read as a date."""
    said = f"{float(value) / NUMBERS.get(name, 1):.10g}"
    return said if language == "en" else said.replace(".", ",")


def number_meant(name: str, cell: str) -> float:
    """A number of its column, in the unit that is stored.

    :raises ReferenceProblem: none.
    """
    try:
        value = float(cell.replace(",", ".").removesuffix("%").strip())
    except ValueError:
        raise ReferenceProblem(name, "Give a number.") from None
    if abs(value) > 1e12 or value != value:
        raise ReferenceProblem(name, "Give a number.")
    meant = value * NUMBERS.get(name, 1)
    return round(meant) if LIMITS[name.partition(".")[2]][2] else round(meant, 6)


def cell(column: Column, value: Any, language: str) -> str:
    """A field's value as people read it."""
    if value is None or value == "":
        return ""
    if column.kind == "number":
        return number(column.name, value, language)
    if column.kind == "switch":
        return switch(bool(value), language)
    if column.kind == "choice":
        return choice(column.name, str(value), language)
    return str(value)


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """The text as it was before it was guarded."""
    return text[1:] if _GUARDED.match(text) else text
