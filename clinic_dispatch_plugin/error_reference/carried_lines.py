"""The reference as JSON Lines: one entry a line, the same bytes again after export and import."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.error_reference.bytes_read import MOST_ROWS, FileFault, too_many
from clinic_dispatch_plugin.error_reference.carrying import Here, Key, Refused, Standing, Wanted
from clinic_dispatch_plugin.error_reference.checking import (
    ReferenceProblem,
    check_has_note,
    check_key,
    check_pattern,
    checked_content,
)
from clinic_dispatch_plugin.error_reference.policy import LIMITS, SWITCHES, Policy
from clinic_dispatch_plugin.error_reference.rules import TEXT_FIELDS
from clinic_dispatch_plugin.error_reference.wording import CATEGORIES
from clinic_dispatch_plugin.web.i18n import N_

FORMAT = "clinic-dispatch-reference"
VERSION = 2
#: Every field that a clinic may have written.
FIELDS = frozenset(
    {
        *(f"{name}.{language}" for name in TEXT_FIELDS for language in LANGUAGES),
        *(f"policy.{each.name}" for each in fields(Policy)),
        *("category", "group", "permanence", "who", "provider", "source", "symbol", "cause"),
    }
)
_KEY = ("origin", "system", "code", "pattern", "unless")
_KNOWN = {*_KEY, "shipped", "own", "base", "same_as", "retired"}
#: Characters of a field that is no text for people.
_LONGEST_WORD = 500
_NOT_OURS = N_("This is no file of the reference.")
_OURS = N_("Choose a file that was exported on this page.")


def written(here: Here, *, own_only: bool = False) -> Iterator[str]:
    """The file, line by line.

    :param own_only: without entries that are as shipped, and without what was shipped.
    """
    yield _line({"format": FORMAT, "version": VERSION})
    for each in here.in_order(own_only=own_only):
        same = here.by_id.get(each.same_as or 0)
        said: dict[str, Any] = _key_json(each.key)
        if not own_only and each.shipped:
            said["shipped"] = _sorted(each.shipped)
        said["own"] = _sorted(each.own)
        said["base"] = _sorted(each.base)
        said["same_as"] = _key_json(same.key) if same else None
        said["retired"] = each.retired
        yield _line(said)


def _line(said: Mapping[str, Any]) -> str:
    return json.dumps(said, ensure_ascii=False) + "\n"


def _sorted(content: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(content.items()))


def _key_json(key: Key) -> dict[str, Any]:
    return {name: getattr(key, name) for name in _KEY}


def read(lines: Iterable[str], here: Here) -> Iterator[Wanted | Refused]:
    """What each line wants; a line that cannot be taken is refused by itself.

    :raises FileFault: the file is not of this kind.
    """
    several = enumerate(lines, start=1)
    for _number, line in several:
        if line.strip():
            _check_head(_loaded(line))
            break
    rows = 0
    for number, line in several:
        if not line.strip():
            continue
        rows += 1
        if rows > MOST_ROWS:
            raise too_many()
        yield _row(number, line, here)


def _check_head(said: Any) -> None:
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise FileFault(_NOT_OURS, _OURS)
    if said.get("version") != VERSION:
        raise FileFault(
            N_("The file was written by another version of this program."),
            N_("Bring both installations to the same version, and export it again."),
        )


def _loaded(line: str) -> Any:
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _row(number: int, line: str, here: Here) -> Wanted | Refused:
    said = _loaded(line)
    label = ""
    try:
        if not isinstance(said, dict):
            raise ReferenceProblem(
                "row", "This line cannot be read. Perhaps it was cut off or changed by hand."
            )
        if unknown := sorted(set(said) - _KNOWN):
            raise ReferenceProblem(unknown[0][:60], "There is no such field.")
        key = _key(said)
        label = key.label
        return _wanted(number, key, said, here)
    except ReferenceProblem as why:
        return Refused(line=number, label=label or _guessed(said), why=why)


def _guessed(said: Any) -> str:
    if not isinstance(said, dict):
        return ""
    return f"{said.get('system', '')} {said.get('code', '')}".strip()[:100]


def _key(said: Any, field: str = "") -> Key:
    if not isinstance(said, dict):
        raise ReferenceProblem(field, "This must name an entry.")
    texts: dict[str, str] = {}
    for name in _KEY:
        value = said.get(name, "")
        if not isinstance(value, str):
            raise ReferenceProblem(field or name, "This must be a text.")
        texts[name] = value
    return checked_key(field=field, **texts)


def checked_key(
    *, origin: str, system: str, code: str, pattern: str, unless: str, field: str = ""
) -> Key:
    """A key whose every part can be stored.

    :param field: the one field all this stands in; empty: each part has its own.
    :raises ReferenceProblem: it cannot.
    """
    if origin not in ("clinic", "shipped"):
        raise ReferenceProblem(
            field or "origin", "Choose one of: {choices}.", choices="clinic, shipped"
        )
    try:
        system, code = check_key(system, code)
        for name, value in (("pattern", pattern), ("unless", unless)):
            if not value.isprintable():
                raise ReferenceProblem(name, "A pattern is one line without invisible characters.")
            if origin == "clinic":  # shipped ones are as long as they must, and found as they are
                check_pattern(name, value)
    except ReferenceProblem as why:
        if field:
            why.field = field
        raise
    return Key(origin=origin, system=system, code=code, pattern=pattern, unless=unless)


def _wanted(number: int, key: Key, said: Mapping[str, Any], here: Here) -> Wanted:
    own = _content(said.get("own"), "own")
    base = _content(said.get("base"), "base")
    same_as = _key(said["same_as"], "same_as") if said.get("same_as") else None
    retired = said.get("retired", False)
    if not isinstance(retired, bool):
        raise ReferenceProblem("retired", "This must be yes or no.")
    check_own(own, here)
    own = checked_content(own, complete=False)
    there = here.find(key)
    if key.origin == "clinic":
        if same_as is None:
            check_has_note(own)
        return Wanted(line=number, key=key, own=own, base=base, same_as=same_as, retired=retired)
    if there is None:
        raise not_shipped()
    return _over(
        there,
        Wanted(line=number, key=key, own=own, base=base, same_as=same_as, retired=retired),
        here,
    )


def _over(there: Standing, wanted: Wanted, here: Here) -> Wanted:
    """What a file does not mention of a shipped entry stays as it stands here."""
    kept = here.by_id.get(there.same_as or 0)
    own = {**there.own, **wanted.own}
    base = {**there.base, **{name: v for name, v in wanted.base.items() if name in wanted.own}}
    return Wanted(
        line=wanted.line,
        key=there.key,
        own=own,
        base={name: value for name, value in base.items() if name in own},
        same_as=wanted.same_as or (kept.key if kept else None),
        retired=wanted.retired or there.retired,
    )


def not_shipped() -> ReferenceProblem:
    """The fault of words for an entry that does not exist here."""
    return ReferenceProblem(
        "code",
        "The program installed here does not ship this entry. Update it, or add an entry of your own for this code.",
    )


def _content(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ReferenceProblem(name, "This must be an object of fields.")
    for field, each in value.items():
        if field not in FIELDS:
            raise ReferenceProblem(field[:60], "There is no such field.")
        if each is not None and not isinstance(each, str | int | float):
            raise ReferenceProblem(field, "This must be a text or a number.")
        if isinstance(each, str) and len(each) > 20_000:
            raise ReferenceProblem(field, "At most {limit} characters.", limit=20_000)
    return value


def check_own(own: Mapping[str, Any], here: Here) -> None:
    """See that each value is of the right kind; how long or large it may be is checked with all others.

    :raises ReferenceProblem: names the field.
    """
    for name, value in own.items():
        head, _dot, tail = name.partition(".")
        if head == "policy" and tail in SWITCHES:
            if not isinstance(value, bool):
                raise ReferenceProblem(name, "This must be yes or no.")
        elif head == "policy" and tail in LIMITS:
            if isinstance(value, bool | str) or value is None or abs(value) > 1e15:
                raise ReferenceProblem(name, "Give a number.")
        elif not isinstance(value, str):
            raise ReferenceProblem(name, "This must be a text.")
        elif head not in TEXT_FIELDS and (len(value) > _LONGEST_WORD or not value.isprintable()):
            raise ReferenceProblem(
                name, "At most {limit} characters, in one line.", limit=_LONGEST_WORD
            )
    if (category := own.get("category")) is not None:
        choices = {*CATEGORIES, *here.categories}
        if category not in choices:
            raise ReferenceProblem(
                "category", "Choose one of: {choices}.", choices=", ".join(sorted(choices))
            )
