"""The SQL of what was decided on the settings page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.settings.tables import KeptSetting


def kept(connection: Connection, name: str) -> RowMapping | None:
    """What was decided; None: nothing."""
    query = select(KeptSetting.__table__).where(KeptSetting.name == name)
    return connection.execute(query).mappings().first()


def keep(
    connection: Connection, name: str, value: Mapping[str, Any], *, by: str, was: RowMapping | None
) -> bool:
    """Decide; False: somebody else did since it was read as it ``was``."""
    values = {"value": dict(value), "changed_at": db_now(), "changed_by": by[:255]}
    if was is not None:
        done = connection.execute(
            update(KeptSetting)
            .where(KeptSetting.name == name, KeptSetting.changed_at == was["changed_at"])
            .values(**values)
        )
        return bool(done.rowcount)
    try:
        with connection.begin_nested():
            connection.execute(insert(KeptSetting).values(name=name, **values))
    except IntegrityError:
        return False
    return True


def forget(connection: Connection, name: str) -> bool:
    """What the configuration says holds again. False: it did already."""
    return bool(connection.execute(delete(KeptSetting).where(KeptSetting.name == name)).rowcount)
