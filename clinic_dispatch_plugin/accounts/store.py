"""The SQL of accounts; every move is conditional, so that all workers see one breaker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    RowMapping,
    case,
    cast,
    extract,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from clinic_dispatch_plugin.accounts.rules import AccountState
from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.database.base import db_now

#: Seconds to wait at least for a rate that is used up.
_SHORTEST_WAIT = 0.001


def account_id(connection: Connection, channel: str, key: str) -> int:
    """The id of a channel's account; inserted when it is not there yet."""
    query = select(AccountRow.id).where(AccountRow.channel == channel, AccountRow.key == key)
    found = connection.execute(query).scalar()
    if found is None:
        try:
            with connection.begin_nested():
                connection.execute(
                    insert(AccountRow).values(
                        channel=channel, key=key, state=AccountState.READY.value, answer_text=""
                    )
                )
        except IntegrityError:
            pass
        found = connection.execute(query).scalar_one()
    return int(found)


def account(connection: Connection, row_id: int) -> RowMapping | None:
    """One account's row."""
    query = select(AccountRow.__table__).where(AccountRow.id == row_id)
    return connection.execute(query).mappings().first()


def accounts(connection: Connection) -> Sequence[RowMapping]:
    """All accounts' rows."""
    return connection.execute(select(AccountRow.__table__).order_by(AccountRow.id)).mappings().all()


def clear_suspicion(connection: Connection, row_id: int) -> None:
    """An acceptance: nothing is counted any more, and an account that was being checked is ready."""
    probing = AccountRow.state == AccountState.PROBING.value
    counted = (AccountRow.refusals > 0) | (AccountRow.failures > 0) | (AccountRow.rests > 0)
    connection.execute(
        update(AccountRow)
        .where(AccountRow.id == row_id, counted | probing)
        .ordered_values(
            (AccountRow.refusals, 0),
            (AccountRow.failures, 0),
            (AccountRow.rests, 0),
            # MariaDB sets one column after the other, so the state comes last.
            (AccountRow.rest_until, case((probing, null()), else_=AccountRow.rest_until)),
            (AccountRow.changed_at, case((probing, db_now()), else_=AccountRow.changed_at)),
            (AccountRow.state, case((probing, AccountState.READY.value), else_=AccountRow.state)),
        )
    )


def take_probe(connection: Connection, row_id: int, *, seconds: float) -> bool:
    """Be the one run that tries an account which is being checked, for so many seconds; False: another is."""
    free = AccountRow.rest_until.is_(None) | (AccountRow.rest_until <= db_now())
    done = connection.execute(
        update(AccountRow)
        .where(AccountRow.id == row_id, AccountRow.state == AccountState.PROBING.value, free)
        .values(rest_until=db_now(seconds))
    )
    return bool(done.rowcount)


def free_probe(connection: Connection, row_id: int) -> None:
    """Let another run try it: this one learnt nothing."""
    connection.execute(
        update(AccountRow)
        .where(AccountRow.id == row_id, AccountRow.state == AccountState.PROBING.value)
        .values(rest_until=None)
    )


def add_refusals(connection: Connection, row_id: int, number: int, *, from_zero: bool) -> int:
    """Count refusals, after an acceptance from zero; returns the count."""
    before: Any = 0 if from_zero else AccountRow.refusals
    connection.execute(
        update(AccountRow).where(AccountRow.id == row_id).values(refusals=before + number)
    )
    query = select(AccountRow.refusals).where(AccountRow.id == row_id)
    return int(connection.execute(query).scalar_one())


def add_failure(connection: Connection, row_id: int) -> tuple[int, int]:
    """Count a failed connection; returns failures and rests in a row."""
    connection.execute(
        update(AccountRow).where(AccountRow.id == row_id).values(failures=AccountRow.failures + 1)
    )
    query = select(AccountRow.failures, AccountRow.rests).where(AccountRow.id == row_id)
    row = connection.execute(query).one()
    return int(row.failures), int(row.rests)


def move(
    connection: Connection,
    row_id: int,
    from_states: Iterable[AccountState],
    to: AccountState,
    **values: Any,
) -> bool:
    """Change an account's state, if it is in one of these; True: this call did."""
    done = connection.execute(
        update(AccountRow)
        .where(AccountRow.id == row_id)
        .where(AccountRow.state.in_([state.value for state in from_states]))
        .values(state=to.value, rest_until=None, changed_at=db_now(), **values)
    )
    return bool(done.rowcount)


def hold_as(connection: Connection, row_id: int, state: str) -> bool:
    """A write that changes nothing, on an account in this state; False: it is in another."""
    done = connection.execute(
        update(AccountRow)
        .where(AccountRow.id == row_id, AccountRow.state == state)
        .values(rests=AccountRow.rests)
    )
    return bool(done.rowcount)


def rest(
    connection: Connection, row_id: int, *, seconds: float, answer_id: int, answer_text: str
) -> bool:
    """Let an account rest that is ready or being checked; True: this call did."""
    awake = [AccountState.READY.value, AccountState.PROBING.value]
    done = connection.execute(
        update(AccountRow)
        .where(AccountRow.id == row_id, AccountRow.state.in_(awake))
        .values(
            state=AccountState.RESTING.value,
            rest_until=db_now(seconds),
            rests=AccountRow.rests + 1,
            changed_at=db_now(),
            answer_id=answer_id,
            answer_text=answer_text,
        )
    )
    return bool(done.rowcount)


def wake(connection: Connection) -> int:
    """Accounts whose rest is over are checked: one message decides whether they are ready or rest on."""
    done = connection.execute(
        update(AccountRow)
        .where(AccountRow.state == AccountState.RESTING.value, AccountRow.rest_until <= db_now())
        .values(state=AccountState.PROBING.value, rest_until=None, changed_at=db_now())
    )
    return done.rowcount


def take_rate(
    connection: Connection, row_id: int, *, number: int, rate: float, burst: int
) -> float:
    """Take a portion of the account's rate (generic cell rate algorithm); 0: taken, else seconds until it may be.

    :param rate: messages a second.
    """
    gap = number / rate
    now = _epoch_now(connection.dialect.name)
    since = _greatest(connection.dialect.name, AccountRow.tat.expression, now)
    free_at = since + (number - burst) / rate
    done = connection.execute(
        update(AccountRow).where(AccountRow.id == row_id, free_at <= now).values(tat=since + gap)
    )
    if done.rowcount:
        return 0.0
    wait = connection.execute(select(free_at - now).where(AccountRow.id == row_id)).scalar()
    return max(_SHORTEST_WAIT, float(wait or 0.0))


def _epoch_now(dialect: str) -> ColumnElement[float]:
    """Seconds since 1970 by the database's clock."""
    if dialect == "postgresql":
        return cast(extract("epoch", func.clock_timestamp()), Float(53))
    if dialect in {"mysql", "mariadb"}:
        # Of UTC, for the local clock repeats an hour when summer time ends.
        since = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1000000.0"
        return literal_column(since, Float(53))
    return (func.julianday("now") - 2440587.5) * 86400.0


def _greatest(
    dialect: str, column: ColumnElement[Any], now: ColumnElement[float]
) -> ColumnElement[Any]:
    latest = func.max if dialect == "sqlite" else func.greatest
    return latest(func.coalesce(column, 0.0), now)
