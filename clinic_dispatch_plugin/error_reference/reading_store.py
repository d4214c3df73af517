"""SQL of the reference's pages: which answers point to which entry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, or_, select

from clinic_dispatch_plugin.database.base import UtcDateTime
from clinic_dispatch_plugin.error_reference.tables import AnswerRow, Entry


def answer(connection: Connection, answer_id: int) -> RowMapping | None:
    """One distinct answer."""
    query = select(AnswerRow.__table__).where(AnswerRow.id == answer_id)
    return connection.execute(query).mappings().first()


def explained(connection: Connection) -> Sequence[Any]:
    """Every answer that has an entry: its id and the entry's."""
    query = select(AnswerRow.id, AnswerRow.entry_id)
    return connection.execute(query.where(AnswerRow.entry_id.is_not(None))).all()


def newest_answer(connection: Connection) -> int:
    """The id of the answer that came last."""
    return int(connection.execute(select(func.max(AnswerRow.id))).scalar() or 0)


def entries_seen(connection: Connection) -> list[int]:
    """Every entry that explains an answer which came."""
    query = select(AnswerRow.entry_id).where(AnswerRow.entry_id.is_not(None)).distinct()
    return [found for found in connection.scalars(query) if found is not None]


def last_seen(connection: Connection, entry_ids: Sequence[int]) -> dict[int, datetime]:
    """When each of these entries explained an answer last."""
    latest = func.max(AnswerRow.last_seen_at, type_=UtcDateTime)
    query = select(AnswerRow.entry_id, latest).where(AnswerRow.entry_id.in_(entry_ids))
    found = connection.execute(query.group_by(AnswerRow.entry_id))
    return {row[0]: row[1] for row in found if row[0] is not None}


def answers_of(connection: Connection, entry_id: int) -> Sequence[RowMapping]:
    """The answers one entry explains, the latest first."""
    query = select(AnswerRow.__table__).where(AnswerRow.entry_id == entry_id)
    return connection.execute(query.order_by(AnswerRow.last_seen_at.desc())).mappings().all()


def out_of_use(connection: Connection) -> Sequence[RowMapping]:
    """Entries that the clinic retired or that their pack no longer brings."""
    query = select(Entry.__table__).where(
        or_(Entry.withdrawn.is_(True), Entry.retired_at.is_not(None))
    )
    return connection.execute(query).mappings().all()


def other_drafts(
    connection: Connection, answer_id: int, system: str, limit: int
) -> Sequence[RowMapping]:
    """Drafts of a system beside one, the latest first."""
    query = select(AnswerRow.__table__).where(
        AnswerRow.draft.is_(True), AnswerRow.system == system, AnswerRow.id != answer_id
    )
    query = query.order_by(AnswerRow.last_seen_at.desc()).limit(limit)
    return connection.execute(query).mappings().all()
