"""The eight filters a text may use: dates, times, money in the recipient's language, letters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Final, Literal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.numbers import format_currency, is_currency

#: Takes a cleaned value and the recipient's locale, gives the text to insert. Blank stays blank
#: (except for ``default``), and what a filter cannot read it leaves as it is.
ValueFilter = Callable[[str, str], str]

_FALLBACK_LOCALE: Final = "en"
_DATE_FORMATS: Final[Mapping[str, Literal["short", "medium", "long", "full"]]] = MappingProxyType(
    {"": "medium", "short": "short", "long": "long", "weekday": "full"}
)
_WORD: Final = re.compile(r"[^\s\-]+")
_LONGEST_CUT: Final = 10_000
#: Longer figures are no amount of money, and formatting them costs time.
_LONGEST_AMOUNT: Final = 40
_AMOUNT: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?\Z")
_NARROW_SPACES: Final = str.maketrans({"\u202f": " ", "\u00a0": " "})


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterKind:
    """One filter: what may stand after its colon and how it is made.

    :ivar argument: whether a value in quotes is needed, possible or forbidden.
    :ivar example: a correct use, for error messages.
    :ivar make: gives the filter for an argument; ``ValueError`` when the argument is not suitable.
    """

    argument: Literal["needed", "possible", "forbidden"]
    example: str
    make: Callable[[str], ValueFilter]


@lru_cache(maxsize=256)
def babel_locale(name: str) -> Locale:
    """The locale for ``de``, ``de-AT`` or ``de_AT``; if unknown its language, then English."""
    parts = name.replace("-", "_").split("_")
    for candidate in ("_".join(parts), parts[0]):
        try:
            return Locale.parse(candidate)
        except (ValueError, TypeError, UnknownLocaleError):
            continue
    return Locale.parse(_FALLBACK_LOCALE)


def _plain_spaces(text: str) -> str:
    # The no-break spaces of the locale data are outside the SMS alphabet: one of them would halve
    # the room in a text message.
    return text.translate(_NARROW_SPACES)


@lru_cache(maxsize=4096)
def _date_text(value: str, locale: str, style: Literal["short", "medium", "long", "full"]) -> str:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        try:
            day = datetime.fromisoformat(value)
        except ValueError:
            return value
    return _plain_spaces(format_date(day, format=style, locale=babel_locale(locale)))


@lru_cache(maxsize=4096)
def _time_text(value: str, locale: str) -> str:
    if ":" not in value:  # a day alone would be read as midnight
        return value
    moment: datetime | time
    try:
        moment = time.fromisoformat(value)
    except ValueError:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
    # Only the clock time: an offset in the value is the clinic's own, and nothing is converted.
    clock = time(moment.hour, moment.minute, moment.second)
    return _plain_spaces(format_time(clock, format="short", locale=babel_locale(locale)))


def _make_date(argument: str) -> ValueFilter:
    if argument not in _DATE_FORMATS:
        raise ValueError(argument)
    style = _DATE_FORMATS[argument]
    return lambda value, locale: _date_text(value.strip(), locale, style) if value else value


def _make_time(_argument: str) -> ValueFilter:
    return lambda value, locale: _time_text(value.strip(), locale) if value else value


def _default(value: str, _locale: str, *, instead: str) -> str:
    return value if value and not value.isspace() else instead


def _title(value: str, _locale: str) -> str:
    return _WORD.sub(lambda word: word[0][:1].title() + word[0][1:].lower(), value)


def _truncate(value: str, _locale: str, *, length: int) -> str:
    value = value.strip()
    if len(value) <= length:
        return value
    # Three points, not an ellipsis: the ellipsis is outside the SMS alphabet.
    ending = "..." if length > len("...") else ""
    cut = length - len(ending)
    while cut > 1 and unicodedata.combining(value[cut]):
        cut -= 1
    return value[:cut].rstrip() + ending


def _make_truncate(argument: str) -> ValueFilter:
    if not (argument.isascii() and argument.isdigit() and len(argument) <= 5):
        raise ValueError(argument)
    length = int(argument)
    if not 1 <= length <= _LONGEST_CUT:
        raise ValueError(argument)
    return partial(_truncate, length=length)


def _money(value: str, locale: str, *, currency: str) -> str:
    figure = value.strip()
    if len(figure) > _LONGEST_AMOUNT or not _AMOUNT.match(figure):
        return value
    try:
        amount = Decimal(figure)
        return _plain_spaces(format_currency(amount, currency, locale=babel_locale(locale)))
    except (InvalidOperation, ValueError):
        return value


def _make_money(argument: str) -> ValueFilter:
    if not is_currency(argument):
        raise ValueError(argument)
    return partial(_money, currency=argument)


#: Name of each filter and what it does; the order is the one shown to people.
FILTERS: Final[Mapping[str, FilterKind]] = MappingProxyType(
    {
        "date": FilterKind(
            argument="possible",
            example='{{ day | date }}, or date: "short", "long" or "weekday"',
            make=_make_date,
        ),
        "time": FilterKind(argument="forbidden", example="{{ starts_at | time }}", make=_make_time),
        "default": FilterKind(
            argument="needed",
            example='{{ title | default: "patient" }}',
            make=lambda argument: partial(_default, instead=argument),
        ),
        "upper": FilterKind(
            argument="forbidden",
            example="{{ name | upper }}",
            make=lambda _argument: lambda value, _locale: value.upper(),
        ),
        "lower": FilterKind(
            argument="forbidden",
            example="{{ name | lower }}",
            make=lambda _argument: lambda value, _locale: value.lower(),
        ),
        "title": FilterKind(
            argument="forbidden", example="{{ name | title }}", make=lambda _argument: _title
        ),
        "truncate": FilterKind(
            argument="needed", example='{{ note | truncate: "20" }}', make=_make_truncate
        ),
        "money": FilterKind(
            argument="needed", example='{{ amount | money: "EUR" }}', make=_make_money
        ),
    }
)
