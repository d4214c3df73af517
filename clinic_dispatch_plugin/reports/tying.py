"""Finds the attempt a gateway's report speaks of: never one of another account, and none where two could be meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.messages import reported_store

#: How ids of several parts stand in one column.
BETWEEN_IDS = ".."
#: Seconds in which a part's report is looked for among messages of several parts; no network reports later.
PARTS_WITHIN = 4 * 86_400.0
MOST_IN_PARTS = 50_000


class Contradiction(Exception):
    """A report could mean two messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """An attempt, and the part of it that is spoken of; empty: the whole."""

    attempt: RowMapping
    part: str = ""


@dataclass(slots=True)
class Parts:
    """Which attempt each part belongs to, read once a round and account, for reports that nothing else explains."""

    _of_account: dict[int, Mapping[str, set[int]]] = field(default_factory=dict)

    def attempts(self, connection: Connection, account_id: int, ids: Iterable[str]) -> set[int]:
        """The attempts one of whose parts has one of these ids."""
        if account_id not in self._of_account:
            self._of_account[account_id] = self._read(connection, account_id)
        known = self._of_account[account_id]
        return {attempt_id for each in ids for attempt_id in known.get(each, ())}

    def _read(self, connection: Connection, account_id: int) -> Mapping[str, set[int]]:
        found: dict[str, set[int]] = {}
        rows = reported_store.in_parts(
            connection,
            account_id,
            between=BETWEEN_IDS,
            within=PARTS_WITHIN,
            limit=MOST_IN_PARTS,
        )
        for attempt_id, provider_id in rows:
            for part in parts_of(provider_id):
                found.setdefault(part, set()).add(attempt_id)
        return found


def parts_of(provider_id: str | None) -> list[str]:
    """The ids of a message's parts; one where it has one."""
    return [each for each in (provider_id or "").split(BETWEEN_IDS) if each]


def named(connection: Connection, row: Mapping[Any, Any], parts: Parts) -> Named | None:
    """The attempt a report names; None: there is none yet.

    By our own key, else by the gateway's id, else by one of its other spellings, else by the id of one part.

    :raises Contradiction: it names two.
    """
    account_id, ids = row["account_id"], _ids(row)
    by_key = _by_key(connection, account_id, row["attempt_key"])
    if by_key is not None:
        own = set(ids[:1]) & {row["provider_id"]}
        if {each["id"] for each in _by_ids(connection, account_id, own)} - {by_key["id"]}:
            raise Contradiction
        return _part_of(by_key, ids)
    for several in (ids[:1], ids[1:]):
        found = _only(_by_ids(connection, account_id, several))
        if found is not None:
            return Named(attempt=found)
    in_parts = parts.attempts(connection, account_id, ids)
    one = _only(reported_store.attempts_by_id(connection, in_parts)) if in_parts else None
    return None if one is None else _part_of(one, ids)


def _ids(row: Mapping[Any, Any]) -> list[str]:
    given = [row["provider_id"], *(row["also"] or ())]
    return [str(each) for each in given if each]


def _by_key(connection: Connection, account_id: int, key: str) -> RowMapping | None:
    found = reported_store.attempts_by_key(connection, [key]) if key else []
    return next((each for each in found if each["account_id"] == account_id), None)


def _by_ids(connection: Connection, account_id: int, ids: Iterable[str]) -> Sequence[RowMapping]:
    wanted = list(ids)
    if not wanted:
        return []
    return reported_store.attempts_by_provider_id(connection, account_id, wanted)


def _only(found: Sequence[RowMapping]) -> RowMapping | None:
    if len(found) > 1:
        raise Contradiction
    return found[0] if found else None


def _part_of(attempt: RowMapping, ids: Sequence[str]) -> Named:
    """The part a report is about; of an attempt with another id it is some part nobody wrote down."""
    whole = attempt["provider_id"]
    if not whole or not ids or whole in ids:
        return Named(attempt=attempt)
    known = parts_of(whole)
    return Named(attempt=attempt, part=next((each for each in ids if each in known), ids[0]))
