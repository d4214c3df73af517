"""The form in which a plugin brings entries for the error reference: codes, each with the cause that explains it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

LANGUAGES = ("de", "en", "ru")
#: The headings of the reference.
GROUPS = ("service", "sending", "delivery")
#: Who can mend it.
WHO = ("recipient", "reception", "administration", "provider", "nobody")

#: The file of a package's packs that holds causes alone.
CAUSES = "causes.toml"

_SORTING = ("category", "permanence", "group", "who", "policy")
_ENTRY_KEYS = {"code", "symbol", "cause", "pattern", "unless", "provider", "source"}


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
    #: What reception may say to the patient; empty where there is nothing to tell.
    tell_patient: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What many codes mean alike: the texts, and how such an entry is sorted and treated unless it says otherwise."""

    key: str
    category: str
    permanence: Permanence
    #: One of :data:`GROUPS`.
    group: str
    #: One of :data:`WHO`.
    who: str
    texts: Mapping[str, Texts]
    #: What differs from the category's usual policy.
    policy: Mapping[str, Any] | None = None


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
    #: The provider's own name of the code, such as ``ESME_RINVDSTADR``.
    symbol: str = ""
    #: The cause whose texts these are; empty for an entry with words of its own.
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePack:
    """Entries of one system with a version; a higher version replaces the lower, never what staff wrote."""

    key: str
    system: str
    version: int
    entries: Sequence[ReferenceEntry] = field(repr=False)


def load_causes(*sources: Traversable) -> dict[str, Cause]:
    """Read causes from TOML: one table ``cause.KEY`` each, with its texts in every language.

    :raises ValueError: a cause is incomplete, unknown words stand in it, or two have the same key.
    """
    found: dict[str, Cause] = {}
    for source in sources:
        for key, raw in _read(source).get("cause", {}).items():
            if key in found:
                raise ValueError(f"{source.name}: the cause {key} is there twice")
            found[key] = _cause(f"{source.name}, cause {key}", key, raw)
    return found


@cache
def shared_causes() -> Mapping[str, Cause]:
    """The causes of channels that reach a telephone, for everybody's packs."""
    folder = files("clinic_dispatch_plugin.channels") / "causes"
    return load_causes(
        *sorted(
            (file for file in folder.iterdir() if file.name.endswith(".toml")),
            key=lambda file: file.name,
        )
    )


def load_pack(file: Traversable, causes: Mapping[str, Cause] | None = None) -> ReferencePack:
    """Read a pack from TOML: ``system``, ``version`` and ``entry`` tables that name a cause or bring texts.

    A cause is looked for in the file itself (``cause.KEY`` tables), then in ``causes``, then among the shared ones.

    :raises ValueError: an entry names no known cause or is incomplete; the message says which and what.
    """
    raw = _read(file)
    there = {**shared_causes(), **(causes or {}), **load_causes(file)}
    if unknown := set(raw) - {"system", "version", "cause", "entry"}:
        raise ValueError(f"{file.name}: nobody reads {', '.join(sorted(unknown))}")
    entries = [_entry(f"{file.name}, entry {number}", item, there) for number, item in _rows(raw)]
    key = file.name.removesuffix(".toml")
    return ReferencePack(
        key=key, system=raw["system"], version=int(raw["version"]), entries=entries
    )


@cache
def load_packs(package: str) -> Sequence[ReferencePack]:
    """Read every pack in a package's folder ``packs``, once a process; causes may stand in ``causes.toml`` there.

    :raises ValueError: as :func:`load_pack`.
    """
    folder = files(package) / "packs"
    found = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".toml")),
        key=lambda file: file.name,
    )
    causes = load_causes(*(file for file in found if file.name == CAUSES))
    return [load_pack(file, causes) for file in found if file.name != CAUSES]


def _read(file: Traversable) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _rows(raw: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    rows = raw.get("entry", [])
    return [(str(row.get("code", f"number {place}")), row) for place, row in enumerate(rows, 1)]


def _cause(place: str, key: str, raw: Mapping[str, Any]) -> Cause:
    if unknown := set(raw) - {*_SORTING, *LANGUAGES}:
        raise ValueError(f"{place}: nobody reads {', '.join(sorted(unknown))}")
    sorting = _sorting(place, raw)
    return Cause(key=key, texts=_texts(place, raw, {}), **sorting)


def _entry(place: str, item: Mapping[str, Any], causes: Mapping[str, Cause]) -> ReferenceEntry:
    if unknown := set(item) - {*_ENTRY_KEYS, *_SORTING, *LANGUAGES}:
        raise ValueError(f"{place}: nobody reads {', '.join(sorted(unknown))}")
    if not item.get("code"):
        raise ValueError(f"{place}: it has no code")
    cause = causes.get(item.get("cause", ""))
    if "cause" in item and cause is None:
        raise ValueError(f"{place}: there is no cause {item['cause']}")
    usual = {} if cause is None else {name: getattr(cause, name) for name in _SORTING}
    policy = {**(usual.get("policy") or {}), **item.get("policy", {})}
    sorting = _sorting(place, {**usual, **item, "policy": policy or None})
    return ReferenceEntry(
        code=item["code"],
        texts=_texts(place, item, cause.texts if cause else {}),
        pattern=item.get("pattern", ""),
        unless=item.get("unless", ""),
        provider=item.get("provider", ""),
        source=item.get("source", ""),
        symbol=item.get("symbol", ""),
        cause=item.get("cause", ""),
        **sorting,
    )


def _sorting(place: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    if missing := [name for name in ("category", "permanence", "group") if name not in raw]:
        raise ValueError(f"{place}: it lacks {', '.join(missing)}")
    done = {name: raw.get(name) for name in _SORTING}
    done["permanence"] = Permanence(raw["permanence"])
    done["who"] = raw.get("who", "administration")
    for name, allowed in (("group", GROUPS), ("who", WHO)):
        if done[name] not in allowed:
            raise ValueError(f"{place}: {name} is one of {', '.join(allowed)}")
    return done


def _texts(place: str, raw: Mapping[str, Any], shared: Mapping[str, Texts]) -> dict[str, Texts]:
    found = {}
    for language in LANGUAGES:
        inherited = shared.get(language)
        usual = {name: getattr(inherited, name) for name in Texts.__slots__} if inherited else {}
        try:
            found[language] = Texts(**{**usual, **raw.get(language, {})})
        except TypeError as error:
            raise ValueError(f"{place}, language {language}: {error}") from error
    return found
