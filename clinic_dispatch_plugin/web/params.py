"""Reading what a browser sends: each rubbish value becomes a clear 400 page or words beside the field, never a 500."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from flask import abort, request

from clinic_dispatch_plugin.web.i18n import _, n_

LARGEST_ID = 2**63 - 1
#: Most ids one form may choose; a page shows far fewer.
MOST_IDS = 10_000


def clean(value: str, *, multiline: bool = False) -> str:
    """Text a database can hold: no NUL, no control characters, no lone surrogates, no blanks around it."""
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    value = value.encode("utf-8", "replace").decode("utf-8")
    keep = {"\n", "\t"} if multiline else set()
    value = "".join(c for c in value if c in keep or unicodedata.category(c) != "Cc")
    return value.strip()


def number_in(value: str, *, least: int = 0, most: int = LARGEST_ID) -> int | None:
    """A whole number of plain digits in these bounds, else None."""
    value = value.strip()
    if not (value.isascii() and value.isdigit()) or len(value) > 19:
        return None
    number = int(value)
    return number if least <= number <= most else None


def text_arg(name: str, *, limit: int = 200) -> str:
    """A text of the address (a search); control characters go, what is too long is cut."""
    return clean(request.args.get(name, ""))[:limit]


def over(length: int, limit: int) -> str:
    """What is said of a text that is too long; empty where it is not."""
    if length <= limit:
        return ""
    return n_(
        "{n} character too many; at most {limit} are possible.",
        "{n} characters too many; at most {limit} are possible.",
        length - limit,
        limit=limit,
    )


def int_arg(name: str, default: int, *, least: int = 0, most: int = LARGEST_ID) -> int:
    """A number of the address.

    :raises BadRequest: it is there and no number in these bounds.
    """
    raw = request.args.get(name, "")
    if raw.strip() == "":
        return default
    number = number_in(raw, least=least, most=most)
    return number if number is not None else _refuse(name)


def id_arg(name: str) -> int | None:
    """An id of the address; None when it is absent.

    :raises BadRequest: it is there and no id.
    """
    raw = request.args.get(name, "")
    if raw.strip() == "":
        return None
    number = number_in(raw, least=1)
    return number if number is not None else _refuse(name)


def choice_arg(name: str, choices: Collection[str], *, default: str = "") -> str:
    """One of a few words of the address.

    :raises BadRequest: it is there and none of them.
    """
    raw = request.args.get(name, "")
    if raw == "":
        return default
    return raw if raw in choices else _refuse(name)


#: Years a filter may name; databases and time zones have trouble at both ends of the calendar.
FIRST_YEAR, LAST_YEAR = 1971, 2200


def date_arg(name: str) -> date | None:
    """A day of the address, ISO 8601; None when it is absent.

    :raises BadRequest: it is there and no day.
    """
    raw = request.args.get(name, "").strip()
    if raw == "":
        return None
    try:
        day = date.fromisoformat(raw)
    except ValueError:
        return _refuse(name)
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else _refuse(name)


def ids_in_form(name: str) -> list[int]:
    """Ids ticked in a form, each once, in their order.

    :raises BadRequest: one is no id, or there are more than 10,000.
    """
    found = [number_in(raw, least=1) for raw in request.form.getlist(name)]
    if len(found) > MOST_IDS or None in found:
        _refuse(name)
    return list(dict.fromkeys(number for number in found if number is not None))


def local_path(value: str | None) -> str | None:
    """A way back: a path of this host, or None for anything that leads elsewhere."""
    if not value or not value.startswith("/") or len(value) > 2_000:
        return None
    if any(c in value for c in "\\\r\n\t\0") or value.startswith("//"):
        return None
    parts = urlsplit(value)
    return value if not parts.scheme and not parts.netloc else None


def _refuse(name: str) -> NoReturn:
    abort(400, _("The value of “{name}” in the address cannot be used.", name=name))


class Form:
    """A submitted form: each reader gives a usable value and notes what is wrong beside its field."""

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        self._data: Mapping[str, Any] = request.form if data is None else data
        self.errors: dict[str, str] = {}

    def __bool__(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors

    def fault(self, name: str, message: str) -> None:
        """Note what is wrong with a field; its first fault is the one shown."""
        self.errors.setdefault(name, message)

    def raw(self, name: str) -> str:
        """What was typed, made harmless, for showing it again."""
        value = self._data.get(name, "")
        return clean(value, multiline=True)[:100_000] if isinstance(value, str) else ""

    def text(
        self, name: str, *, limit: int = 200, required: bool = False, multiline: bool = False
    ) -> str:
        """A text of at most ``limit`` characters."""
        typed = self._data.get(name, "")
        value = clean(typed, multiline=multiline) if isinstance(typed, str) else ""
        if required and not value:
            self.fault(name, _("Please fill this in."))
        if fault := over(len(value), limit):
            self.fault(name, fault)
            return value[:limit]
        return value

    def choice(self, name: str, choices: Iterable[str], *, default: str | None = None) -> str:
        """One of a few words; without a default it has to be chosen."""
        value = self._data.get(name, "")
        if value in set(choices):
            return str(value)
        if value in ("", None) and default is not None:
            return default
        self.fault(name, _("Please choose one of the options."))
        return default or ""

    def number(
        self, name: str, *, least: float, most: float, default: float | None = None
    ) -> float:
        """A number; a comma is as good as a point."""
        raw = str(self._data.get(name, "")).strip().replace(",", ".")
        if raw == "" and default is not None:
            return default
        try:
            value = float(raw) if len(raw) <= 30 else float("nan")
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            fault = _(
                "Please enter a number from {least} to {most}.",
                least=f"{least:g}",
                most=f"{most:g}",
            )
            self.fault(name, fault)
            return default if default is not None else least
        return value

    def flag(self, name: str) -> bool:
        """A tick."""
        return self._data.get(name) in ("1", "on", "yes", "true")

    def moment(self, name: str, *, zone: ZoneInfo, required: bool = False) -> datetime | None:
        """Day and time as ``<input type="datetime-local">`` sends them, in the clinic's zone."""
        raw = str(self._data.get(name, "")).strip()
        if raw == "":
            if required:
                self.fault(name, _("Please fill this in."))
            return None
        try:
            value = datetime.fromisoformat(raw[:40])
        except ValueError:
            self.fault(name, _("Please enter day and time, such as 2026-11-24 07:00."))
            return None
        if not 1971 <= value.year <= 2200:
            self.fault(name, _("Please enter day and time, such as 2026-11-24 07:00."))
            return None
        return value if value.tzinfo else value.replace(tzinfo=zone)

    def day(self, name: str, *, required: bool = False) -> date | None:
        """A day as ``<input type="date">`` sends it."""
        raw = str(self._data.get(name, "")).strip()
        if raw == "":
            if required:
                self.fault(name, _("Please fill this in."))
            return None
        try:
            return date.fromisoformat(raw[:20])
        except ValueError:
            self.fault(name, _("Please enter a day, such as 2026-11-24."))
            return None
