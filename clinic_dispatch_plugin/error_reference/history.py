"""An entry's history: who changed what, when, and what can be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clinic_dispatch_plugin.error_reference import store
from clinic_dispatch_plugin.error_reference.editing import still_holds
from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One change of an entry, for its history."""

    id: int
    at: datetime
    by: str
    action: str
    #: Names of the fields that differ.
    fields: Sequence[str]
    #: The latest one that changed something can be taken back.
    can_be_undone: bool


def history(dispatch: Dispatch, entry_id: int) -> list[Changed]:
    """Who changed what of an entry and when, the latest first."""
    with dispatch.database.begin() as connection:
        row = store.entry(connection, entry_id)
        rows = store.changes(connection, entry_id)
    return [
        Changed(
            id=change["id"],
            at=change["at"],
            by=change["by"],
            action=change["action"],
            fields=_fields_that_differ(change["before"], change["after"]),
            can_be_undone=place == 0 and row is not None and still_holds(row, change["after"]),
        )
        for place, change in enumerate(rows)
    ]


def entry_of(dispatch: Dispatch, change_id: int) -> KnownEntry | None:
    """The entry that was changed, as it is in use; None: it is not, or there is no such change."""
    with dispatch.database.begin() as connection:
        change = store.change(connection, change_id)
        known = reference(dispatch, connection).entries
    return None if change is None else known.get(int(change["entry_id"]))


def _fields_that_differ(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> list[str]:
    old, new = _flat(before), _flat(after)
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def _flat(kept: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of a state; what says which answers are meant is no field where an entry begins or ends."""
    kept = kept or {}
    key = {name: kept[name] for name in ("pattern", "unless") if kept.get(name)}
    return {**key, **(kept.get("own") or {})}
