"""Every SQL statement of the error reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.error_reference.rules import (
    Explanation,
    KnownEntry,
    merge,
    pattern_digest,
)
from clinic_dispatch_plugin.error_reference.tables import AnswerRow, Entry, ReferenceState

STATE_ID = 1


def revision(connection: Connection) -> int:
    """The number that grows with every change of the reference."""
    found = connection.execute(
        select(ReferenceState.revision).where(ReferenceState.id == STATE_ID)
    ).scalar()
    return int(found or 0)


def bump(connection: Connection) -> None:
    """Say that something changed; the first statement of every writing transaction, so that writers queue up."""
    changed = connection.execute(
        update(ReferenceState)
        .where(ReferenceState.id == STATE_ID)
        .values(revision=ReferenceState.revision + 1)
    )
    if not changed.rowcount:
        connection.execute(insert(ReferenceState).values(id=STATE_ID, revision=1, packs={}))


def packs(connection: Connection) -> dict[str, Any]:
    """Version and digest of each pack that is in."""
    found = connection.execute(
        select(ReferenceState.packs).where(ReferenceState.id == STATE_ID)
    ).scalar()
    return dict(found or {})


def set_packs(connection: Connection, value: Mapping[str, Any]) -> None:
    """Remember which packs are in."""
    connection.execute(
        update(ReferenceState).where(ReferenceState.id == STATE_ID).values(packs=dict(value))
    )


def entries(connection: Connection, *, withdrawn: bool = False) -> Sequence[RowMapping]:
    """All rows of entries; those a pack no longer brings only on demand."""
    query = select(Entry.__table__)
    if not withdrawn:
        query = query.where(Entry.withdrawn.is_(False))
    return connection.execute(query).mappings().all()


def entry(connection: Connection, entry_id: int) -> RowMapping | None:
    """One entry's row."""
    query = select(Entry.__table__).where(Entry.id == entry_id)
    return connection.execute(query).mappings().first()


def known(row: RowMapping) -> KnownEntry:
    """A row as the entry that holds now."""
    return KnownEntry(
        id=row["id"],
        origin=row["origin"],
        system=row["system"],
        code=row["code"],
        pattern=row["pattern"],
        unless=row["unless"],
        position=row["position"],
        content=merge(row["shipped"], row["own"]),
        changed=row["origin"] == "clinic" or bool(row["own"]),
    )


def add_entry(connection: Connection, values: Mapping[str, Any]) -> int:
    """Insert one entry; returns its id."""
    digest = pattern_digest(values.get("pattern", ""), values.get("unless", ""))
    done = connection.execute(
        insert(Entry).values(**values, pattern_digest=digest, updated_at=db_now())
    )
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def change_entry(connection: Connection, entry_id: int, values: Mapping[str, Any]) -> None:
    """Change one entry."""
    connection.execute(
        update(Entry).where(Entry.id == entry_id).values(**values, updated_at=db_now())
    )


def remove_entry(connection: Connection, entry_id: int) -> None:
    """Remove an entry no answer points to any more."""
    connection.execute(
        update(AnswerRow).where(AnswerRow.entry_id == entry_id).values(entry_id=None)
    )
    connection.execute(delete(Entry).where(Entry.id == entry_id))


def answers(
    connection: Connection, *, systems: Iterable[str] | None = None
) -> Sequence[RowMapping]:
    """Every distinct answer ever seen."""
    query = select(AnswerRow.__table__).order_by(AnswerRow.id)
    if systems is not None:
        query = query.where(AnswerRow.system.in_(list(systems)))
    return connection.execute(query).mappings().all()


def answers_by_id(connection: Connection, ids: Iterable[int]) -> dict[int, RowMapping]:
    """Some answers by their ids."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    query = select(AnswerRow.__table__).where(AnswerRow.id.in_(wanted))
    return {row["id"]: row for row in connection.execute(query).mappings()}


def answer_by_digest(connection: Connection, digest: str) -> RowMapping | None:
    """The answer of this fingerprint."""
    query = select(AnswerRow.id, AnswerRow.entry_id).where(AnswerRow.digest == digest)
    return connection.execute(query).mappings().first()


def add_answer(connection: Connection, values: Mapping[str, Any]) -> int:
    """Insert a distinct answer; returns its id. Two at once: the unique digest decides, the loser raises."""
    done = connection.execute(
        insert(AnswerRow).values(**values, first_seen_at=db_now(), last_seen_at=db_now())
    )
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def explain_answer(
    connection: Connection, answer_id: int, found: Explanation, *, draft: bool
) -> None:
    """Write down what now explains an answer."""
    connection.execute(
        update(AnswerRow)
        .where(AnswerRow.id == answer_id)
        .values(
            entry_id=found.entry.id if found.entry else None,
            matched=found.matched.value,
            draft=draft,
        )
    )


def settle_drafts(connection: Connection, ids: Iterable[int]) -> None:
    """The general description of these will do."""
    connection.execute(
        update(AnswerRow).where(AnswerRow.id.in_(list(ids))).values(draft=False, settled=True)
    )


def draft_count(connection: Connection) -> int:
    """How many answers wait for a description."""
    query = select(func.count()).select_from(AnswerRow).where(AnswerRow.draft.is_(True))
    return int(connection.execute(query).scalar_one())


def drafts(connection: Connection) -> Sequence[RowMapping]:
    """The answers that wait for a description, the latest first."""
    query = select(AnswerRow.__table__).where(AnswerRow.draft.is_(True))
    return connection.execute(query.order_by(AnswerRow.last_seen_at.desc())).mappings().all()
