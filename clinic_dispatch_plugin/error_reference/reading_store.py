"""SQL of the reference's pages: which answers point to which entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from clinic_dispatch_plugin.error_reference.tables import AnswerRow


def answer(connection: Connection, answer_id: int) -> RowMapping | None:
    """One distinct answer."""
    query = select(AnswerRow.__table__).where(AnswerRow.id == answer_id)
    return connection.execute(query).mappings().first()


def explained(connection: Connection) -> Sequence[Any]:
    """Every answer that has an entry: its id, the entry's, and when it was last seen."""
    query = select(AnswerRow.id, AnswerRow.entry_id, AnswerRow.last_seen_at)
    return connection.execute(query.where(AnswerRow.entry_id.is_not(None))).all()


def answers_of(connection: Connection, entry_id: int) -> Sequence[RowMapping]:
    """The answers one entry explains, the latest first."""
    query = select(AnswerRow.__table__).where(AnswerRow.entry_id == entry_id)
    return connection.execute(query.order_by(AnswerRow.last_seen_at.desc())).mappings().all()


def other_drafts(
    connection: Connection, answer_id: int, system: str, limit: int
) -> Sequence[RowMapping]:
    """Drafts of a system beside one, the latest first."""
    query = select(AnswerRow.__table__).where(
        AnswerRow.draft.is_(True), AnswerRow.system == system, AnswerRow.id != answer_id
    )
    query = query.order_by(AnswerRow.last_seen_at.desc()).limit(limit)
    return connection.execute(query).mappings().all()
