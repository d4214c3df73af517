"""Two people at one form: what the second changed, told from what only looked different because of the first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

#: Signs of a field's fingerprint: enough to tell what was shown from what was typed.
_SIGNS = 6


def token(version: str, shown: Mapping[str, str]) -> str:
    """What a form carries along: the entry's version, and a fingerprint of each field as it was shown."""
    return f"{version}.{''.join(_sign(shown[name]) for name in sorted(shown))}"


def version_in(carried: str) -> str:
    """The version of the entry that a form was made from."""
    return carried.partition(".")[0]


def joined(
    carried: str, typed: Mapping[str, str], stored: Mapping[str, str]
) -> tuple[dict[str, str], set[str]]:
    """What a form should hold after somebody else saved: their fields, with what this person changed over them.

    :param typed: everything the form brought.
    :param stored: what is saved now.
    :returns: the values, and the names of fields that both changed or this person alone.
    """
    signs = carried.partition(".")[2]
    names = sorted(stored)
    shown = {name: signs[place * _SIGNS :][:_SIGNS] for place, name in enumerate(names)}
    if (
        len(signs) != len(names) * _SIGNS
    ):  # an older page, or no page of ours: nothing typed is dropped
        shown = {}
    mine = {name for name in names if name in typed and _sign(typed[name]) != shown.get(name, "")}
    values = {**typed, **{name: stored[name] for name in names if name not in mine}}
    return values, {name for name in mine if typed[name] != stored[name]}


def _sign(value: str) -> str:
    plain = value.replace("\r\n", "\n").strip().replace(",", ".")
    return hashlib.sha256(plain.encode(errors="replace")).hexdigest()[:_SIGNS]
