"""The SQL of accounts that were set up on the settings page, and of their trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from clinic_dispatch_plugin.accounts.tables import AccountRow, AccountSetup, AccountTest
from clinic_dispatch_plugin.database.base import db_now


def setups(connection: Connection) -> Sequence[RowMapping]:
    """All of them with channel and key, in their order."""
    query = (
        select(AccountSetup.__table__, AccountRow.channel, AccountRow.key)
        .join(AccountRow, AccountRow.id == AccountSetup.account_id)
        .order_by(AccountRow.channel, AccountSetup.position, AccountSetup.account_id)
    )
    return connection.execute(query).mappings().all()


def add(
    connection: Connection, account_id: int, *, channel: str, values: Mapping[str, Any]
) -> None:
    """Set an account up, behind all others of its channel."""
    last = (
        select(func.max(AccountSetup.position))
        .join(AccountRow, AccountRow.id == AccountSetup.account_id)
        .where(AccountRow.channel == channel)
    )
    position = int(connection.execute(last).scalar() or 0) + 1
    connection.execute(
        insert(AccountSetup).values(
            account_id=account_id, position=position, changed_at=db_now(), **values
        )
    )


def change(connection: Connection, account_id: int, *, was: str, values: Mapping[str, Any]) -> bool:
    """Set it up anew; False: somebody else did meanwhile.

    :param was: the sealed URL as it was read.
    """
    done = connection.execute(
        update(AccountSetup)
        .where(AccountSetup.account_id == account_id, AccountSetup.url == was)
        .values(changed_at=db_now(), **values)
    )
    return bool(done.rowcount)


def reseal(connection: Connection, account_id: int, *, was: str, **values: Any) -> bool:
    """The same URL by another key, or with another address in it; False: it was changed meanwhile."""
    done = connection.execute(
        update(AccountSetup)
        .where(AccountSetup.account_id == account_id, AccountSetup.url == was)
        .values(**values)
    )
    return bool(done.rowcount)


def place(connection: Connection, account_id: int, position: int) -> None:
    """Where it stands in its channel's order."""
    connection.execute(
        update(AccountSetup).where(AccountSetup.account_id == account_id).values(position=position)
    )


def remove(connection: Connection, account_id: int) -> bool:
    """Forget how to sign in; what went through the account keeps it. False: it was gone already."""
    connection.execute(delete(AccountTest).where(AccountTest.account_id == account_id))
    done = connection.execute(delete(AccountSetup).where(AccountSetup.account_id == account_id))
    return bool(done.rowcount)


def begin_trial(connection: Connection, account_id: int, *, token: str, by: str) -> None:
    """A trial begins; what the last one found is over."""
    connection.execute(delete(AccountTest).where(AccountTest.account_id == account_id))
    connection.execute(
        insert(AccountTest).values(
            account_id=account_id,
            token=token,
            started_at=db_now(),
            outcome="",
            answer_text="",
            started_by=by[:255],
        )
    )


def end_trial(connection: Connection, account_id: int, *, token: str, **found: Any) -> None:
    """What a trial found, unless another one has begun since."""
    connection.execute(
        update(AccountTest)
        .where(AccountTest.account_id == account_id, AccountTest.token == token)
        .values(ended_at=db_now(), **found)
    )


def trials(connection: Connection) -> dict[int, RowMapping]:
    """The last trial of each account."""
    rows = connection.execute(select(AccountTest.__table__)).mappings()
    return {row["account_id"]: row for row in rows}
