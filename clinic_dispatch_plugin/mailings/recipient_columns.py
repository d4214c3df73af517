"""Decides what each column of a recipient file is: the address, something personal, or a value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from clinic_dispatch_plugin.channels.text import placeholder_name
from clinic_dispatch_plugin.mailings.recipient_problems import FileProblem, RecipientFileError

MOST_COLUMNS: Final = 500
#: Characters of a header; it is stored with every recipient as the key of a value.
LONGEST_NAME: Final = 200
_SHOWN_NAMES: Final = 20
_SHOWN_LETTERS: Final = 60
_FILLERS: Final = re.compile(r"[\s_.\-]+")
_INVISIBLE: Final = re.compile("[\u200b\u2060\ufeff]")
_DELIMITERS: Final = (",", ";", "\t")

#: The column that holds the addresses of channels that have no words of their own here.
_PHONE: Final = "phone"
#: Other words for an address column, best first; written as ``_key`` writes them.
_ADDRESS_WORDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "email": (
            "mail",
            "emailadresse",
            "mailadresse",
            "emailaddress",
            "почта",
            "электроннаяпочта",
            "элпочта",
            "имейл",
        ),
        # A mobile number comes before one of which that is not said.
        _PHONE: (
            "handy",
            "handynummer",
            "mobil",
            "mobile",
            "mobiltelefon",
            "мобильный",
            "мобильныйтелефон",
            "telefon",
            "telefonnummer",
            "rufnummer",
            "phonenumber",
            "телефон",
            "номертелефона",
        ),
    }
)


class Role(StrEnum):
    """What a column is for."""

    ADDRESS = "address"
    REF = "ref"
    NAME = "name"
    LOCALE = "locale"
    VALUE = "value"
    #: Its header is empty: what stands in it is not used.
    IGNORED = "ignored"


_PERSON_WORDS: Final[Mapping[Role, tuple[str, ...]]] = MappingProxyType(
    {
        Role.REF: ("ref", "patientref", "reference", "referenz"),
        Role.NAME: ("name", "fullname", "имя", "фио"),
        Role.LOCALE: ("locale", "language", "lang", "sprache", "язык"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its header as it was written, and the placeholder it fills if it is a value."""

    header: str
    role: Role
    placeholder: str | None = None


def columns_of(headers: Sequence[str], *, channel_key: str, line: int) -> tuple[Column, ...]:
    """What each header means; upper and lower case, spaces and hyphens make no difference.

    :param line: the physical line of the headers, for errors.
    :raises RecipientFileError: no names, too many or too long, two alike, or no address column.
    """
    names = [_INVISIBLE.sub("", header).strip() for header in headers]
    if not any(names):
        raise RecipientFileError(FileProblem.NO_HEADER, line=line, example=f"{channel_key};name")
    if len(names) > MOST_COLUMNS:
        raise RecipientFileError(FileProblem.TOO_MANY_COLUMNS, found=len(names), limit=MOST_COLUMNS)
    if longest := next((name for name in names if len(name) > LONGEST_NAME), None):
        raise RecipientFileError(
            FileProblem.LONG_HEADER, headers=_listed([longest]), limit=LONGEST_NAME
        )
    keys = [_key(name) for name in names]
    roles = _roles(keys, channel_key)
    if Role.ADDRESS not in roles.values():
        raise RecipientFileError(
            FileProblem.NO_ADDRESS_COLUMN, headers=_listed(names), example=channel_key
        )
    columns = tuple(
        _column(index, name, roles.get(index, Role.VALUE)) for index, name in enumerate(names)
    )
    _refuse_twins(columns, keys)
    return columns


def best_delimiter(header_line: str, *, channel_key: str) -> str:
    """Comma, semicolon or tab: the one that sets an address column free, else the commonest."""
    outside = re.sub(r'"[^"]*"', "", header_line)
    counts = {delimiter: outside.count(delimiter) for delimiter in _DELIMITERS}

    def rank(delimiter: str) -> tuple[bool, int]:
        keys = [_key(cell.strip(' "\r\n')) for cell in header_line.split(delimiter)]
        return Role.ADDRESS in _roles(keys, channel_key).values(), counts[delimiter]

    return max(_DELIMITERS, key=rank)


def _key(name: str) -> str:
    return _FILLERS.sub("", unicodedata.normalize("NFC", _INVISIBLE.sub("", name)).casefold())


def _address_words(channel_key: str) -> tuple[str, ...]:
    own = _key(channel_key)
    if own in _ADDRESS_WORDS:
        return own, *_ADDRESS_WORDS[own]
    return own, _PHONE, *_ADDRESS_WORDS[_PHONE]


def _roles(keys: Sequence[str], channel_key: str) -> dict[int, Role]:
    roles: dict[int, Role] = {}
    for role, words in ((Role.ADDRESS, _address_words(channel_key)), *_PERSON_WORDS.items()):
        found = next((keys.index(word) for word in words if word in keys), None)
        if found is not None:
            roles.setdefault(found, role)
    return roles


def _column(index: int, name: str, role: Role) -> Column:
    if not name:
        return Column(header="", role=Role.IGNORED)
    if role is not Role.VALUE:
        return Column(header=name, role=role)
    return Column(
        header=name, role=role, placeholder=placeholder_name(name) or f"column_{index + 1}"
    )


def _refuse_twins(columns: tuple[Column, ...], keys: Sequence[str]) -> None:
    seen: dict[tuple[bool, str], str] = {}
    special = {
        key
        for column, key in zip(columns, keys, strict=True)
        if column.role not in (Role.VALUE, Role.IGNORED)
    }
    for column, key in zip(columns, keys, strict=True):
        if column.role is Role.IGNORED:
            continue
        # Beside a column with a meaning, any other spelling of its name is a twin as well.
        own = key if key in special else (column.placeholder or "").casefold()
        mark = (key in special, own)
        if mark in seen:
            raise RecipientFileError(
                FileProblem.DUPLICATE_HEADER, headers=_listed([seen[mark], column.header])
            )
        seen[mark] = column.header


def _listed(names: Sequence[str]) -> str:
    shown = [name[:_SHOWN_LETTERS] for name in names if name]
    more = ", …" if len(shown) > _SHOWN_NAMES else ""
    return ", ".join(f"“{name}”" for name in shown[:_SHOWN_NAMES]) + more
