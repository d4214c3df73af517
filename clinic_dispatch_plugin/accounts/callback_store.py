"""The SQL of the secrets in the addresses that gateways call."""

from __future__ import annotations

from sqlalchemy import Connection, RowMapping, delete, insert, select

from clinic_dispatch_plugin.accounts.tables import AccountCallback
from clinic_dispatch_plugin.database.base import db_now


def secret(connection: Connection, account_id: int) -> RowMapping | None:
    """What is known of an account's secret; None: it has none."""
    query = select(AccountCallback.__table__).where(AccountCallback.account_id == account_id)
    return connection.execute(query).mappings().first()


def replace(connection: Connection, account_id: int, *, digest: str, by: str) -> None:
    """Another secret from now on."""
    forget(connection, account_id)
    connection.execute(
        insert(AccountCallback).values(
            account_id=account_id, digest=digest, changed_at=db_now(), changed_by=by[:255]
        )
    )


def forget(connection: Connection, account_id: int) -> None:
    """No secret is good any more."""
    connection.execute(delete(AccountCallback).where(AccountCallback.account_id == account_id))
