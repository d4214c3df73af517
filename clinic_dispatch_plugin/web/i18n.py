"""The words of our pages in the reader's language: catalogues of our own, so that the host's are never touched."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date as babel_date
from babel.dates import format_time as babel_time
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, get_currency_precision
from flask import has_request_context, request
from markupsafe import Markup, escape

from clinic_dispatch_plugin.channels.types import Money
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.memory import of_request

log = logging.getLogger(__name__)

LANGUAGES = ("de", "en", "ru")
#: What each language calls itself.
NAMES: Mapping[str, str] = {"de": "Deutsch", "en": "English", "ru": "Русский"}


class _Fields(dict[str, Any]):
    """A field that is missing stays visible instead of ending the page."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


@cache
def catalogue(language: str) -> Mapping[str, str | tuple[str, ...]]:
    """Every text of one language by its English id, merged from the ``.po`` files of all concerns."""
    found: dict[str, str | tuple[str, ...]] = {}
    folder = files("clinic_dispatch_plugin") / "translations" / language
    if language == "en" or not folder.is_dir():
        return found
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".po"):
            continue
        with file.open("rb") as stream:
            parsed = read_po(stream, locale=language)
        for message in parsed:
            if not message.id or message.fuzzy:
                continue
            name: Any = message.id
            text: Any = message.string
            if isinstance(name, str) and text:
                found[name] = text
            elif not isinstance(name, str) and all(text):
                found[name[0]] = tuple(text)
    return found


def plural_index(language: str, n: int) -> int:
    """Which of a language's plural forms counts ``n`` things (CLDR; Russian: 1, 2–4, the rest)."""
    n = abs(n)
    if language != "ru":
        return 0 if n == 1 else 1
    if n % 10 == 1 and n % 100 != 11:
        return 0
    return 1 if 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14 else 2


def translate(text: str, language: str, /, **fields: Any) -> str:
    """A text in a language, English where it is missing, with ``{named}`` fields filled in.

    Safe in HTML: with a field that is ``Markup`` all else is escaped and the result is ``Markup`` too.
    """
    found = catalogue(language).get(text, text)
    return _filled(found if isinstance(found, str) else found[-1], fields)


def translate_many(one: str, many: str, n: int, language: str, /, **fields: Any) -> str:
    """The form of a text that fits ``n``; ``{n}`` is written as the language writes numbers."""
    found = catalogue(language).get(one)
    index = plural_index(language, n)
    forms = found if isinstance(found, tuple) else (found,) if found else (one, many)
    text = forms[min(index if found else (n != 1), len(forms) - 1)]
    return _filled(text, {"n": format_decimal(n, locale=language), **fields})


def _filled(text: str, fields: Mapping[str, Any]) -> str:
    if not fields:
        return text
    if any(hasattr(value, "__html__") for value in fields.values()):
        safe = {name: escape(value) for name, value in fields.items()}
        return Markup(str(escape(text)).format_map(_Fields(safe)))
    return text.format_map(_Fields(fields))


def language() -> str:
    """The language of this request: the host's word, else the browser's, else the setting. Never raises."""
    if not has_request_context():
        return "en"
    memory = of_request()
    if "language" not in memory:
        memory["language"] = _language()
    return str(memory["language"])


def _language() -> str:
    dispatch = current_dispatch()
    try:
        said = dispatch.host.locale()
    except Exception as error:
        log.error(
            "the host adapter's locale() failed; the browser's language is used: %s", places(error)
        )
        said = None
    short = (said or "").replace("_", "-").split("-")[0].lower()
    if short in LANGUAGES:
        return short
    ours = (dispatch.settings.locale, *LANGUAGES)  # the first wins where the browser takes any
    return request.accept_languages.best_match(ours) or dispatch.settings.locale


def _(text: str, /, **fields: Any) -> str:
    """A text in the language of this request."""
    return translate(text, language(), **fields)


def n_(one: str, many: str, n: int, /, **fields: Any) -> str:
    """A counted text in the language of this request."""
    return translate_many(one, many, n, language(), **fields)


def N_(text: str) -> str:
    """Mark a text for translation where it stands; it is translated when shown."""
    return text


def zone() -> ZoneInfo:
    """The time zone of the clinic."""
    return current_dispatch().settings.timezone


def format_number(value: float) -> str:
    """A number as the reader's language writes it."""
    return format_decimal(value, locale=language())


def format_money(money: Money) -> str:
    """An amount as the reader's language writes it, with every figure that counts: ``0.075 €``."""
    return format_currency(
        money.amount.normalize(),
        money.currency,
        locale=language(),
        currency_digits=False,
        decimal_quantization=False,
    )


def format_sum(money: Money) -> str:
    """A sum or a balance, to the last coin there is: ``0.23 €``; less than half a coin with every figure."""
    coin = Decimal(1).scaleb(-get_currency_precision(money.currency))
    rounded = money.amount.quantize(coin, ROUND_HALF_UP)
    if not rounded and money.amount:
        return format_money(money)
    return format_currency(rounded, money.currency, locale=language())


def format_clock(value: datetime | None) -> str:
    """The time of day alone: ``14:05``."""
    if value is None:
        return ""
    return babel_time(value.astimezone(zone()), "short", locale=_region())


def format_day(value: datetime | date | None, *, now: datetime | None = None) -> str:
    """A day in the clinic's zone: ``today``, ``yesterday``, ``4 May``, with the year when it is another one."""
    if value is None:
        return ""
    today = (now or datetime.now(tz=zone())).astimezone(zone()).date()
    day = value.astimezone(zone()).date() if isinstance(value, datetime) else value
    near = {
        today: _("today"),
        today - timedelta(days=1): _("yesterday"),
        today + timedelta(days=1): _("tomorrow"),
    }
    if day in near:
        return near[day]
    if day.year != today.year:
        return babel_date(day, "medium", locale=_region())
    shape = {"de": "d. MMMM", "ru": "d MMMM", "en": "d MMMM"}[language()]
    return babel_date(day, shape, locale=_region())


def format_time(value: datetime | None, *, now: datetime | None = None) -> str:
    """Day and time of day in the clinic's zone: ``today 14:05``, ``4 May, 14:05``."""
    if value is None:
        return ""
    day = format_day(value, now=now)
    today = (now or datetime.now(tz=zone())).astimezone(zone()).date()
    near = abs((value.astimezone(zone()).date() - today).days) <= 1
    return f"{day}{'' if near else ','} {format_clock(value)}"


def _region() -> str:
    return {"de": "de_DE", "ru": "ru_RU", "en": "en_GB"}[language()]
