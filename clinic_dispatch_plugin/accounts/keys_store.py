"""The SQL of the keys this installation made for itself."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from clinic_dispatch_plugin.accounts.tables import KeptKey


def value(connection: Connection, name: str) -> str | None:
    """A key as it is kept; None: the tables were made without."""
    return connection.scalar(select(KeptKey.value).where(KeptKey.name == name))


def all_values(connection: Connection) -> dict[str, str]:
    """Every key as it is kept, by name."""
    rows = connection.execute(select(KeptKey.name, KeptKey.value).order_by(KeptKey.name))
    return {row.name: row.value for row in rows}


def keep(connection: Connection, name: str, value: str, *, was: str) -> bool:
    """Keep it so from now on; False: it is not as it ``was`` any more."""
    query = update(KeptKey).where(KeptKey.name == name, KeptKey.value == was)
    return bool(connection.execute(query.values(value=value)).rowcount)
