"""Decides what each column of a recipient file is: the address, something personal, or a value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

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


#: The column's own word first; the others stand in for it where it is missing. The patient's ref has no other word:
#: a "reference" may be anything, and a row with a ref nobody knows gets nothing.
_PERSON_WORDS: Final[Mapping[Role, tuple[str, ...]]] = MappingProxyType(
    {
        Role.REF: ("ref",),
        Role.NAME: ("name", "fullname", "имя", "фио"),
        Role.LOCALE: ("locale", "language", "lang", "sprache", "язык"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its header as it was written, and the placeholder it fills.

    The columns ``email``, ``ref``, ``name`` and ``locale`` fill none; one that stands in for them stays a value too.
    """

    header: str
    role: Role
    placeholder: str | None = None

    @property
    def is_strict(self) -> bool:
        """Whether a cell that does not suit the role spoils its row: a value that stands in may be anything."""
        stands_in = self.role in _PERSON_WORDS and self.placeholder is not None
        return self.role not in (Role.VALUE, Role.IGNORED) and not stands_in


def columns_of(
    headers: Sequence[str], *, channel_key: str, line: int, further: Sequence[str] = ()
) -> tuple[Column, ...]:
    """What each header means; upper and lower case, spaces and hyphens make no difference.

    :param line: the physical line of the headers, for errors.
    :param further: the channels that follow: a file without a column for the first may have one for these.
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
    if Role.ADDRESS not in roles.values() and not _has_place(keys, further):
        raise RecipientFileError(
            FileProblem.NO_ADDRESS_COLUMN, headers=_listed(names), example=channel_key
        )
    own = _own_words(channel_key)
    columns = tuple(
        _column(index, name, roles.get(index, Role.VALUE), is_own_word=keys[index] in own)
        for index, name in enumerate(names)
    )
    _refuse_twins(columns, keys)
    return columns


#: Where a row has an address: :attr:`Role.ADDRESS` for its own, or the placeholder whose value it is; None: nowhere.
Place: TypeAlias = Role | str | None


def address_place(columns: Sequence[Column], *, channel_key: str) -> Place:
    """Where the rows of a file that was opened for one channel have their addresses for another."""
    keys = [_key(column.header) for column in columns]
    found = next((keys.index(word) for word in _address_words(channel_key) if word in keys), None)
    if found is None:
        return None
    column = columns[found]
    return Role.ADDRESS if column.role is Role.ADDRESS else column.placeholder


def _has_place(keys: Sequence[str], channels: Sequence[str]) -> bool:
    """Whether one of these channels has a column."""
    return any(word in keys for channel in channels for word in _address_words(channel))


def best_delimiter(header_line: str, *, channel_key: str, further: Sequence[str] = ()) -> str:
    """Comma, semicolon or tab: the one that sets an address column free, else the commonest."""
    outside = re.sub(r'"[^"]*"', "", header_line)
    counts = {delimiter: outside.count(delimiter) for delimiter in _DELIMITERS}

    def rank(delimiter: str) -> tuple[bool, int]:
        keys = [_key(cell.strip(' "\r\n')) for cell in header_line.split(delimiter)]
        return _has_place(keys, (channel_key, *further)), counts[delimiter]

    return max(_DELIMITERS, key=rank)


def _key(name: str) -> str:
    return _FILLERS.sub("", unicodedata.normalize("NFC", _INVISIBLE.sub("", name)).casefold())


def _address_words(channel_key: str) -> tuple[str, ...]:
    own = _key(channel_key)
    if own in _ADDRESS_WORDS:
        return own, *_ADDRESS_WORDS[own]
    return own, _PHONE, *_ADDRESS_WORDS[_PHONE]


def _own_words(channel_key: str) -> frozenset[str]:
    """The names that mean one thing in every file; all others are placeholders."""
    address = _key(channel_key)
    phone = () if address in _ADDRESS_WORDS else (_PHONE,)
    return frozenset((address, *phone, *(words[0] for words in _PERSON_WORDS.values())))


def _roles(keys: Sequence[str], channel_key: str) -> dict[int, Role]:
    roles: dict[int, Role] = {}
    for role, words in ((Role.ADDRESS, _address_words(channel_key)), *_PERSON_WORDS.items()):
        found = next((keys.index(word) for word in words if word in keys), None)
        if found is not None:
            roles.setdefault(found, role)
    return roles


def _column(index: int, name: str, role: Role, *, is_own_word: bool) -> Column:
    if not name:
        return Column(header="", role=Role.IGNORED)
    if role is not Role.VALUE and is_own_word:
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
        for mark in _marks(column, key, special):
            if mark in seen:
                raise RecipientFileError(
                    FileProblem.DUPLICATE_HEADER, headers=_listed([seen[mark], column.header])
                )
            seen[mark] = column.header


def _marks(column: Column, key: str, special: Collection[str]) -> Iterator[tuple[bool, str]]:
    """What no second column may have."""
    if (
        key in special
    ):  # beside a column with a meaning, any other spelling of its name is a twin as well
        yield True, key
    if column.placeholder is not None:
        yield False, column.placeholder.casefold()


def _listed(names: Sequence[str]) -> str:
    shown = [name[:_SHOWN_LETTERS] for name in names if name]
    more = ", …" if len(shown) > _SHOWN_NAMES else ""
    return ", ".join(f"“{name}”" for name in shown[:_SHOWN_NAMES]) + more
