"""Brings the packs of all plugins into the database: what the clinic wrote stays, field by field."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.reference import ReferenceEntry, ReferencePack
from clinic_dispatch_plugin.error_reference import store
from clinic_dispatch_plugin.error_reference.again import explain_again, finish
from clinic_dispatch_plugin.error_reference.rules import flat, pattern_digest
from clinic_dispatch_plugin.registry import Dispatch


def install_packs(dispatch: Dispatch) -> dict[str, int]:
    """Bring in every pack that is newer than what is there; an older one never overwrites a newer.

    :returns: entries written by pack.
    """
    found = dispatch.reference_packs()

    def work(connection: Connection) -> dict[str, int]:
        store.bump(connection)
        there = store.packs(connection)
        done = {}
        for pack in found:
            if is_news(pack, there.get(pack.key)):
                done[pack.key] = _install(connection, pack)
                there[pack.key] = {"version": pack.version, "digest": digest_of(pack)}
        if done:
            store.set_packs(connection, there)
            if store.has_answers(connection):
                explain_again(connection)
        return done

    brought = dispatch.database.run(work)
    if brought:
        finish(dispatch)
    return brought


def is_news(pack: ReferencePack, there: dict[str, Any] | None) -> bool:
    """Whether a pack is newer than the one that is in; of the same version, whether it says something else."""
    if there is None:
        return True
    if pack.version == there["version"]:
        return bool(digest_of(pack) != there["digest"])
    return pack.version > int(there["version"])


def packs_are_current(dispatch: Dispatch, connection: Connection) -> bool:
    """Whether every installed pack is in the database, in this version or a newer one."""
    there = store.packs(connection)
    return not any(is_news(pack, there.get(pack.key)) for pack in dispatch.reference_packs())


def digest_of(pack: ReferencePack) -> str:
    """The fingerprint of everything a pack says."""
    said = [(entry.code, entry.pattern, entry.unless, flat(entry)) for entry in pack.entries]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _install(connection: Connection, pack: ReferencePack) -> int:
    rows = {
        (row["code"], row["pattern_digest"]): row
        for row in store.entries_of_pack(connection, pack.key)
        if row["system"] == pack.system
    }
    found = [
        (position, entry, rows.pop((entry.code, pattern_digest(entry.pattern, entry.unless)), None))
        for position, entry in enumerate(pack.entries)
    ]
    reworded = _reworded([entry for _, entry, row in found if row is None], list(rows.values()))
    new = []
    for position, entry, same in found:
        row = same or reworded.get(entry.code)
        if row is None:
            new.append(_new(pack, entry, position))
        else:
            rows.pop((row["code"], row["pattern_digest"]), None)
            _update(connection, entry, position, row)
    store.add_entries(connection, new)
    for row in rows.values():  # the pack no longer brings these; the clinic's words are kept
        if not row["own"]:
            store.change_entry(connection, row["id"], {"withdrawn": True})
    return len(pack.entries)


def _reworded(
    entries: Sequence[ReferenceEntry], rows: Sequence[RowMapping]
) -> dict[str, RowMapping]:
    """By code: the row whose pattern the pack says in other words now. What the clinic wrote there stays with it.

    Only where one of each is left over; among several nobody can tell which became which.
    """
    here = Counter(entry.code for entry in entries if entry.pattern)
    there = Counter(row["code"] for row in rows if row["pattern"])
    return {
        row["code"]: row
        for row in rows
        if row["pattern"] and here[row["code"]] == 1 and there[row["code"]] == 1
    }


def _new(pack: ReferencePack, entry: ReferenceEntry, position: int) -> dict[str, Any]:
    return {
        "origin": "shipped",
        "system": pack.system,
        "code": entry.code,
        "pattern": entry.pattern,
        "unless": entry.unless,
        "position": position,
        "shipped": flat(entry),
        "pack": pack.key,
        "withdrawn": False,
        "updated_by": "",
    }


def _update(connection: Connection, entry: ReferenceEntry, position: int, row: RowMapping) -> None:
    change = {
        "pattern": entry.pattern,
        "unless": entry.unless,
        "shipped": flat(entry),
        "position": position,
        "withdrawn": False,
    }
    if any(row[name] != value for name, value in change.items()):
        store.change_entry(connection, row["id"], change)
