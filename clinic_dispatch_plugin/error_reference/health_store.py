"""The SQL of the reference's state: what was ever seen."""

from __future__ import annotations

from sqlalchemy import Connection, select

from clinic_dispatch_plugin.error_reference.tables import AnswerRow


def seen_entries(connection: Connection) -> frozenset[int]:
    """Entries that ever explained an answer."""
    query = select(AnswerRow.entry_id).where(AnswerRow.entry_id.is_not(None)).distinct()
    return frozenset(found for found in connection.scalars(query) if found is not None)
