"""An account's connections, shared by all runs on all machines: what one holds open, no other does."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, func, insert, select

from clinic_dispatch_plugin.accounts import store
from clinic_dispatch_plugin.accounts.tables import AccountShare


def take(
    connection: Connection,
    row_id: int,
    run_id: int,
    *,
    limit: int,
    live: Collection[int],
    hands: int,
) -> int:
    """Hold as many of an account's connections as fall to one run, until it ends.

    :param limit: connections over all runs.
    :param live: the runs that are at work; what others held is free.
    :param hands: how many runs may be at work: each gets its part, so that none waits for another's end.
    :returns: how many; 0: others hold them all.
    """
    # Everybody writes this row first, so that two who ask at once do so one after the other.
    row = store.account(connection, row_id)
    if row is None or not store.hold_as(connection, row_id, row["state"]):
        return 0
    mine = (AccountShare.account_id == row_id) & (AccountShare.run_id == run_id)
    connection.execute(
        delete(AccountShare).where(
            AccountShare.account_id == row_id, AccountShare.run_id.not_in(sorted(live)) | mine
        )
    )
    free = limit - held(connection, row_id, live=live)
    many = max(0, min(free, -(-limit // max(1, hands))))
    if many:
        connection.execute(
            insert(AccountShare).values(account_id=row_id, run_id=run_id, connections=many)
        )
    return many


def held(connection: Connection, row_id: int, *, live: Collection[int], without: int = 0) -> int:
    """How many are held.

    :param without: a run that is not counted.
    """
    query = select(func.coalesce(func.sum(AccountShare.connections), 0)).where(
        AccountShare.account_id == row_id,
        AccountShare.run_id.in_(sorted(live)),
        AccountShare.run_id != without,
    )
    return int(connection.execute(query).scalar_one())


def give_back(connection: Connection, run_id: int) -> None:
    """The run ended, and its connections with it."""
    connection.execute(delete(AccountShare).where(AccountShare.run_id == run_id))
