"""The form in which a plugin brings entries for the error reference."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources.abc import Traversable
from typing import Any

LANGUAGES = ("de", "en", "ru")


class Permanence(StrEnum):
    """Whether the same message may succeed later; unknown: the answer's own class decides."""

    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What an entry says to a person in one language."""

    #: The note beside the message.
    short: str
    what_happened: str
    what_helps: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceEntry:
    """What one answer of a provider means and what the program does about it."""

    code: str
    category: str
    permanence: Permanence
    #: One of ``service``, ``sending``, ``delivery``: the heading it stands under.
    group: str
    #: ``recipient``, ``reception``, ``administration``, ``provider`` or ``nobody``: who can mend it.
    who: str
    texts: Mapping[str, Texts]
    #: RE2 syntax, searched without regard to case in the answer's text; empty: the code alone decides.
    pattern: str = ""
    #: RE2; where this matches too, the pattern does not count.
    unless: str = ""
    #: What differs from the category's usual policy.
    policy: Mapping[str, Any] | None = None
    provider: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePack:
    """Entries of one system with a version; a higher version replaces the lower, never what staff wrote."""

    key: str
    system: str
    version: int
    entries: Sequence[ReferenceEntry]


def load_pack(file: Traversable) -> ReferencePack:
    """Read a pack from TOML: ``system``, ``version``, shared texts under ``meaning``, and ``entry`` tables.

    :raises ValueError: an entry lacks a text in one of the languages; the message names it.
    """
    raw = tomllib.loads(file.read_text(encoding="utf-8"))
    meanings = raw.get("meaning", {})
    entries = [_entry(item, meanings.get(item.get("meaning", ""), {})) for item in raw["entry"]]
    key = file.name.removesuffix(".toml")
    return ReferencePack(
        key=key, system=raw["system"], version=int(raw["version"]), entries=entries
    )


def _entry(item: Mapping[str, Any], meaning: Mapping[str, Any]) -> ReferenceEntry:
    texts = {}
    for language in LANGUAGES:
        said = {**meaning.get(language, {}), **item.get(language, {})}
        try:
            texts[language] = Texts(**said)
        except TypeError as error:
            raise ValueError(f"entry {item['code']}, language {language}: {error}") from error
    return ReferenceEntry(
        code=item["code"],
        category=item["category"],
        permanence=Permanence(item["permanence"]),
        group=item["group"],
        who=item.get("who", meaning.get("who", "administration")),
        texts=texts,
        pattern=item.get("pattern", ""),
        unless=item.get("unless", ""),
        policy=item.get("policy"),
        provider=item.get("provider", ""),
        source=item.get("source", ""),
    )
