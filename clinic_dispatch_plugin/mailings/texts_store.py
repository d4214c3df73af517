"""The SQL of templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, insert, select, update

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.mailing_tables import Revision, TemplateRow


def _with_text() -> Select[Any]:
    return select(
        TemplateRow.__table__,
        Revision.subject,
        Revision.body,
        Revision.html,
        Revision.created_by,
    ).outerjoin(Revision, Revision.id == TemplateRow.revision_id)


def templates(
    connection: Connection, *, channel: str | None, archived: bool
) -> Sequence[RowMapping]:
    """Templates with their present text, by name."""
    put_away = TemplateRow.archived_at
    query = _with_text().where(put_away.is_not(None) if archived else put_away.is_(None))
    if channel is not None:
        query = query.where(TemplateRow.channel == channel)
    return connection.execute(query.order_by(TemplateRow.name, TemplateRow.id)).mappings().all()


def template(connection: Connection, template_id: int) -> RowMapping | None:
    """One template with its present text."""
    query = _with_text().where(TemplateRow.id == template_id)
    return connection.execute(query).mappings().first()


def template_by_name(connection: Connection, name: str) -> RowMapping | None:
    """The newest template in use of this name."""
    query = (
        _with_text()
        .where(TemplateRow.name == name, TemplateRow.archived_at.is_(None))
        .order_by(TemplateRow.id.desc())
    )
    return connection.execute(query).mappings().first()


def add_template(connection: Connection, values: Mapping[str, Any]) -> int:
    """A new template without a text; returns its id."""
    done = connection.execute(insert(TemplateRow).values(updated_at=db_now(), **values))
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def change_template(connection: Connection, template_id: int, values: Mapping[str, Any]) -> bool:
    """Change a template; False: there is none."""
    done = connection.execute(
        update(TemplateRow)
        .where(TemplateRow.id == template_id)
        .values(updated_at=db_now(), **values)
    )
    return bool(done.rowcount)


def archive(connection: Connection, template_id: int, *, archived: bool) -> bool:
    """Put a template away or take it back; False: there is none."""
    done = connection.execute(
        update(TemplateRow)
        .where(TemplateRow.id == template_id)
        .values(archived_at=db_now() if archived else None)
    )
    return bool(done.rowcount)
