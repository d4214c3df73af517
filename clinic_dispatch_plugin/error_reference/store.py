"""Every SQL statement of the error reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Executable,
    RowMapping,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.error_reference.rules import (
    Explanation,
    pattern_digest,
)
from clinic_dispatch_plugin.error_reference.tables import (
    AnswerRow,
    Entry,
    EntryChange,
    ReferenceState,
)

STATE_ID = 1
#: The second row of the state: which answers are still to be looked up again.
AGAIN_ID = 2
#: The row that remembers which changed policies are still being applied.
ORDERS_ID = 3


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


def hold(connection: Connection) -> None:
    """Let no change of the reference be committed between now and the end of this transaction."""
    if connection.dialect.name != "sqlite":  # there whoever writes is alone
        query = select(ReferenceState.id).where(ReferenceState.id == STATE_ID)
        connection.execute(query.with_for_update(read=True))


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


def entries(connection: Connection, *, all_of_them: bool = False) -> Sequence[RowMapping]:
    """All rows of entries; those a pack no longer brings and those out of use only on demand."""
    query = select(Entry.__table__)
    if not all_of_them:
        query = query.where(Entry.withdrawn.is_(False), Entry.retired_at.is_(None))
    return connection.execute(query).mappings().all()


def shipped_and_changed(connection: Connection) -> list[RowMapping]:
    """Rows of shipped entries in use in which the clinic has fields of its own."""
    query = select(Entry.__table__).where(
        Entry.origin == "shipped",
        Entry.withdrawn.is_(False),
        Entry.retired_at.is_(None),
        Entry.own.is_not(None),
    )
    rows = connection.execute(query.order_by(Entry.system, Entry.position, Entry.id)).mappings()
    return [row for row in rows if row["own"]]


def entries_of_pack(connection: Connection, pack: str) -> Sequence[RowMapping]:
    """All rows of entries that a pack brought, also those it no longer brings."""
    query = select(Entry.__table__).where(Entry.origin == "shipped", Entry.pack == pack)
    return connection.execute(query).mappings().all()


def entry(connection: Connection, entry_id: int) -> RowMapping | None:
    """One entry's row."""
    query = select(Entry.__table__).where(Entry.id == entry_id)
    return connection.execute(query).mappings().first()


def add_entry(connection: Connection, values: Mapping[str, Any]) -> int:
    """Insert one entry; returns its id."""
    digest = pattern_digest(values.get("pattern", ""), values.get("unless", ""))
    done = connection.execute(
        insert(Entry).values(**values, pattern_digest=digest, updated_at=db_now())
    )
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def add_entries(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many entries at once."""
    values = [
        {**row, "pattern_digest": pattern_digest(row["pattern"], row["unless"])} for row in rows
    ]
    if values:
        connection.execute(insert(Entry).values(updated_at=db_now()), values)


def change_entry(connection: Connection, entry_id: int, values: Mapping[str, Any]) -> None:
    """Change one entry."""
    if "pattern" in values:
        values = {**values, "pattern_digest": pattern_digest(values["pattern"], values["unless"])}
    connection.execute(
        update(Entry).where(Entry.id == entry_id).values(**values, updated_at=db_now())
    )


def add_change(connection: Connection, values: Mapping[str, Any]) -> int:
    """Write down one change of an entry; returns its id."""
    done = connection.execute(insert(EntryChange).values(**values, at=db_now()))
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def changes(connection: Connection, entry_id: int) -> Sequence[RowMapping]:
    """An entry's history, the latest change first."""
    query = select(EntryChange.__table__).where(EntryChange.entry_id == entry_id)
    return connection.execute(query.order_by(EntryChange.id.desc())).mappings().all()


def change(connection: Connection, change_id: int) -> RowMapping | None:
    """One change."""
    query = select(EntryChange.__table__).where(EntryChange.id == change_id)
    return connection.execute(query).mappings().first()


def answers(
    connection: Connection, *, systems: Iterable[str] | None = None
) -> Sequence[RowMapping]:
    """Every distinct answer ever seen."""
    query = select(AnswerRow.__table__).order_by(AnswerRow.id)
    if systems is not None:
        query = query.where(AnswerRow.system.in_(list(systems)))
    return connection.execute(query).mappings().all()


def latest_answers(
    connection: Connection,
    *,
    systems: Iterable[str] | None,
    limit: int,
    entry_id: int | None = None,
    drafts_first: bool = False,
) -> Sequence[RowMapping]:
    """The answers that came last.

    :param entry_id: what this entry explains goes before all others, and so does, on demand, every draft.
    """
    first = case((or_(AnswerRow.entry_id == entry_id, AnswerRow.draft.is_(True)), 0), else_=1)
    last = (AnswerRow.last_seen_at.desc(), AnswerRow.id.desc())
    query = select(AnswerRow.__table__).order_by(*((first, *last) if drafts_first else last))
    if systems is not None:
        query = query.where(AnswerRow.system.in_(list(systems)))
    return connection.execute(query.limit(limit)).mappings().all()


def answers_after(
    connection: Connection, after: int, *, systems: Iterable[str] | None, limit: int
) -> Sequence[RowMapping]:
    """A portion of all answers in the order of their ids."""
    query = select(AnswerRow.__table__).where(AnswerRow.id > after).order_by(AnswerRow.id)
    if systems is not None:
        query = query.where(AnswerRow.system.in_(list(systems)))
    return connection.execute(query.limit(limit)).mappings().all()


def answer_count(connection: Connection, *, systems: Iterable[str] | None) -> int:
    """How many distinct answers there are."""
    query = select(func.count()).select_from(AnswerRow)
    if systems is not None:
        query = query.where(AnswerRow.system.in_(list(systems)))
    return int(connection.execute(query).scalar_one())


def left_over(connection: Connection) -> Mapping[str, Any] | None:
    """Which answers are still to be looked up again, as :func:`leave` wrote it; None: none."""
    query = select(ReferenceState.packs).where(ReferenceState.id == AGAIN_ID)
    return connection.execute(query).scalar()


def left_over_alone(connection: Connection) -> Mapping[str, Any] | None:
    """The same, while every other worker that asks so waits until this transaction ends."""
    row = ReferenceState.id == AGAIN_ID
    connection.execute(
        update(ReferenceState).where(row).values(revision=ReferenceState.revision + 1)
    )
    return left_over(connection)


def leave(connection: Connection, rest: Mapping[str, Any] | None) -> None:
    """Remember which answers are still to be looked up again; None: all are done."""
    row = ReferenceState.id == AGAIN_ID
    if rest is None:
        connection.execute(delete(ReferenceState).where(row))
        return
    changed = connection.execute(update(ReferenceState).where(row).values(packs=dict(rest)))
    if not changed.rowcount:
        connection.execute(insert(ReferenceState).values(id=AGAIN_ID, revision=0, packs=dict(rest)))


def orders(connection: Connection) -> Mapping[str, Any] | None:
    """Orders of changed policies that workers carry out, as :func:`leave_orders` wrote them; None: none."""
    query = select(ReferenceState.packs).where(ReferenceState.id == ORDERS_ID)
    return connection.execute(query).scalar()


def orders_alone(connection: Connection) -> Mapping[str, Any] | None:
    """The same, while everybody else that asks so waits until this transaction ends."""
    row = ReferenceState.id == ORDERS_ID
    changed = connection.execute(
        update(ReferenceState).where(row).values(revision=ReferenceState.revision + 1)
    )
    if not changed.rowcount:
        connection.execute(insert(ReferenceState).values(id=ORDERS_ID, revision=0, packs={}))
    return orders(connection)


def leave_orders(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Remember these orders."""
    connection.execute(
        update(ReferenceState)
        .where(ReferenceState.id == ORDERS_ID)
        .values(packs={"orders": [dict(row) for row in rows]})
    )


def has_answers(connection: Connection) -> bool:
    """Whether any answer was ever noted."""
    return connection.execute(select(AnswerRow.id).limit(1)).first() is not None


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


def answers_by_digest(
    connection: Connection, digests: Iterable[str], seconds: float
) -> dict[str, RowMapping]:
    """The answers of these fingerprints, each with whether it was last noted more than so many seconds ago."""
    found = connection.execute(_by_digest(seconds), {"digests": sorted(digests)})
    return {row["digest"]: row for row in found.mappings()}


@cache
def _by_digest(seconds: float) -> Executable:
    return select(
        AnswerRow.id,
        AnswerRow.digest,
        (AnswerRow.last_seen_at < db_now(-seconds)).label("long_ago"),
    ).where(AnswerRow.digest.in_(bindparam("digests", expanding=True)))


def seen_again(connection: Connection, ids: Iterable[int]) -> None:
    """These answers came once more."""
    wanted = sorted(ids)
    if wanted:
        connection.execute(
            update(AnswerRow).where(AnswerRow.id.in_(wanted)).values(last_seen_at=db_now())
        )


def add_answer(connection: Connection, values: Mapping[str, Any]) -> int:
    """Insert a distinct answer; returns its id. Two at once: the unique digest decides, the loser raises."""
    done = connection.execute(
        insert(AnswerRow).values(
            **values, first_seen_at=db_now(), last_seen_at=db_now(), explained_at=db_now()
        )
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
            explained_at=db_now(),
        )
    )


def wait_again(connection: Connection, answer_id: int) -> None:
    """Whatever was said of the general description: this answer waits for its own again."""
    connection.execute(update(AnswerRow).where(AnswerRow.id == answer_id).values(settled=False))


def settle_drafts(connection: Connection, ids: Iterable[int]) -> None:
    """The general description of these will do."""
    connection.execute(
        update(AnswerRow).where(AnswerRow.id.in_(list(ids))).values(draft=False, settled=True)
    )


def draft_count(connection: Connection) -> int:
    """How many answers wait for a description."""
    query = select(func.count()).select_from(AnswerRow).where(AnswerRow.draft.is_(True))
    return int(connection.execute(query).scalar_one())


def drafts(connection: Connection, limit: int | None = None) -> Sequence[RowMapping]:
    """The answers that wait for a description, the latest first; all of them, or so many."""
    query = select(AnswerRow.__table__).where(AnswerRow.draft.is_(True))
    query = query.order_by(AnswerRow.last_seen_at.desc(), AnswerRow.id.desc()).limit(limit)
    return connection.execute(query).mappings().all()


def answers_of_entries(connection: Connection, entry_ids: Iterable[int]) -> Sequence[RowMapping]:
    """The answers that these entries explain."""
    query = select(AnswerRow.__table__).where(AnswerRow.entry_id.in_(list(entry_ids)))
    return connection.execute(query.order_by(AnswerRow.id)).mappings().all()
