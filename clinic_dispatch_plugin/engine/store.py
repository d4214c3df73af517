"""The SQL of runs, workers and locks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.engine.tables import Lock, Run, Worker

#: Seconds for which an account goes at half its rate after its gateway said that we are too fast.
SLOWED_SECONDS = 600.0


def start_run(connection: Connection, *, worker: str, host: str, boot_id: str, lease: float) -> int:
    """A new run with a fresh lease; returns its id."""
    done = connection.execute(
        insert(Run).values(
            worker=worker,
            host=host,
            boot_id=boot_id,
            state="live",
            started_at=db_now(),
            live_until=db_now(lease),
        )
    )
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def run_row(connection: Connection, run_id: int) -> RowMapping | None:
    """One run; None: it was never here, or is forgotten."""
    query = select(Run.__table__).where(Run.id == run_id)
    return connection.execute(query).mappings().first()


def newest_run(connection: Connection) -> int | None:
    """The highest run there is; None: none ever ran."""
    return connection.execute(select(func.max(Run.id))).scalar()


def lose_all_runs(connection: Connection) -> int:
    """Every run that is thought to live is over, with nothing left to decide; returns how many."""
    done = connection.execute(
        update(Run)
        .where(Run.state == "live")
        .values(state="lost", ended_at=db_now(), settled_at=db_now())
    )
    return done.rowcount


def number_runs_from(connection: Connection, run_id: int, *, worker: str, host: str) -> None:
    """A run of this number that did nothing: all later ones are numbered above it."""
    connection.execute(
        insert(Run).values(
            id=run_id,
            worker=worker,
            host=host,
            boot_id="",
            state="ended",
            started_at=db_now(),
            live_until=db_now(),
            ended_at=db_now(),
            settled_at=db_now(),
        )
    )
    if connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(Run.__tablename__, "id")
        connection.execute(select(func.setval(sequence, run_id)))


def renew(connection: Connection, run_id: int, lease: float) -> bool:
    """Renew a lease that still holds: the fence before everything a run does. False: this run is over."""
    done = connection.execute(
        update(Run)
        .where(Run.id == run_id, Run.state == "live", Run.live_until > db_now())
        .values(live_until=db_now(lease))
    )
    return bool(done.rowcount)


def renew_and_tell(connection: Connection, run_id: int, lease: float) -> tuple[bool, datetime]:
    """The same, with the database's time, in one statement where the database can."""
    if connection.dialect.name in {"mysql", "mariadb"}:
        return renew(connection, run_id, lease), now(connection)
    query = (
        update(Run)
        .where(Run.id == run_id, Run.state == "live", Run.live_until > db_now())
        .values(live_until=db_now(lease))
        .returning(db_now())
    )
    told = connection.execute(query).scalar_one_or_none()
    return (True, told) if told is not None else (False, now(connection))


def end_run(connection: Connection, run_id: int) -> None:
    """A run that ended by itself, with everything recorded."""
    connection.execute(
        update(Run)
        .where(Run.id == run_id, Run.state == "live")
        .values(state="ended", ended_at=db_now(), settled_at=db_now())
    )


def note_crash_suspect(connection: Connection, run_id: int, message_id: int | None) -> None:
    """Remember which message is prepared alone, should it take the run with it."""
    connection.execute(update(Run).where(Run.id == run_id).values(crashing_message_id=message_id))


def lose_run(connection: Connection, run_id: int) -> bool:
    """Declare a run lost whose process is dead; True: what follows is ours to do.

    A run whose row is locked is left for the next round: its process may be frozen inside a transaction.
    """
    if connection.dialect.name != "sqlite":
        free = select(Run.id).where(Run.id == run_id).with_for_update(skip_locked=True)
        if connection.execute(free).first() is None:
            return False
    done = connection.execute(
        update(Run)
        .where(Run.id == run_id, Run.state == "live")
        .values(state="lost", ended_at=db_now())
    )
    return bool(done.rowcount)


def expired_runs(connection: Connection) -> list[int]:
    """Live runs whose lease ran out."""
    query = select(Run.id).where(Run.state == "live", Run.live_until < db_now())
    return list(connection.scalars(query))


def settle_silent(connection: Connection, seconds: float) -> int:
    """Settle lost runs that stayed silent for so many seconds; returns how many."""
    done = connection.execute(
        update(Run)
        .where(Run.state == "lost", Run.settled_at.is_(None), Run.ended_at < db_now(-seconds))
        .values(settled_at=db_now())
    )
    return done.rowcount


def settle_run(connection: Connection, run_id: int) -> None:
    """Everything of a lost run is decided."""
    connection.execute(update(Run).where(Run.id == run_id).values(settled_at=db_now()))


def live_runs(connection: Connection) -> int:
    """How many runs are at work."""
    query = (
        select(func.count()).select_from(Run).where(Run.state == "live", Run.live_until > db_now())
    )
    return int(connection.execute(query).scalar_one())


def live_run_ids(connection: Connection) -> list[int]:
    """The runs that are at work."""
    query = select(Run.id).where(Run.state == "live", Run.live_until > db_now())
    return [int(run_id) for run_id in connection.scalars(query)]


def silent_runs(
    connection: Connection, run_ids: Iterable[int], *, within: float
) -> dict[int, datetime]:
    """Those of these runs that were lost within so many seconds and are not proved dead, with when that was."""
    query = select(Run.id, Run.ended_at).where(
        Run.id.in_(list(run_ids)),
        Run.state == "lost",
        Run.settled_at.is_(None),
        Run.ended_at > db_now(-within),
    )
    return {row.id: row.ended_at for row in connection.execute(query)}


def forget_old_runs(connection: Connection, *, older_than: float) -> int:
    """Remove runs settled so many seconds ago; the newest stays, so that nothing is numbered twice."""
    newest = connection.execute(select(func.max(Run.id))).scalar()
    if newest is None:
        return 0
    done = connection.execute(
        delete(Run).where(Run.settled_at < db_now(-older_than), Run.id < newest)
    )
    return done.rowcount


def sign_of_life(
    connection: Connection, *, name: str, host: str, version: str, concurrency: int
) -> None:
    """A worker is here."""
    changed = connection.execute(update(Worker).where(Worker.name == name).values(seen_at=db_now()))
    if not changed.rowcount:
        try:
            with connection.begin_nested():
                connection.execute(
                    insert(Worker).values(
                        name=name,
                        host=host,
                        version=version,
                        concurrency=concurrency,
                        started_at=db_now(),
                        seen_at=db_now(),
                    )
                )
        except IntegrityError:
            pass


def sign_off(connection: Connection, name: str) -> None:
    """A worker goes."""
    connection.execute(delete(Worker).where(Worker.name == name))


def forget_workers(connection: Connection, older_than: float) -> None:
    """Remove workers silent for so many seconds."""
    connection.execute(delete(Worker).where(Worker.seen_at < db_now(-older_than)))


def workers(connection: Connection, *, within: float) -> Sequence[RowMapping]:
    """Workers seen within so many seconds."""
    query = select(Worker.__table__).where(Worker.seen_at > db_now(-within)).order_by(Worker.name)
    return connection.execute(query).mappings().all()


def take_lock(connection: Connection, name: str, owner: str, lease: float) -> bool:
    """Take or keep a lock for so many seconds; False: somebody else has it."""
    done = connection.execute(
        update(Lock)
        .where(Lock.name == name, (Lock.owner == owner) | (Lock.live_until < db_now()))
        .values(owner=owner, live_until=db_now(lease))
    )
    if done.rowcount:
        return True
    try:
        with connection.begin_nested():
            connection.execute(
                insert(Lock).values(name=name, owner=owner, live_until=db_now(lease))
            )
    except IntegrityError:
        return False
    return True


def slow_down(connection: Connection, account_id: int) -> None:
    """A gateway said that we are too fast: for a while an account goes at half its rate."""
    take_lock(connection, f"slow-{account_id}", "rate", SLOWED_SECONDS)


def slowed(connection: Connection, account_id: int) -> bool:
    """Whether an account goes at half its rate."""
    return locked_until(connection, f"slow-{account_id}") is not None


def hold_lock(connection: Connection, name: str, seconds: float) -> None:
    """Let nobody take a lock for so many seconds, whoever has it now."""
    connection.execute(
        update(Lock).where(Lock.name == name).values(owner="", live_until=db_now(seconds))
    )


def locked_until(connection: Connection, name: str) -> datetime | None:
    """Until when nobody else may take a lock; None: it is free."""
    query = select(Lock.live_until).where(Lock.name == name, Lock.live_until > db_now())
    return connection.execute(query).scalar_one_or_none()


def drop_lock(connection: Connection, name: str) -> None:
    """Nobody holds this lock any more."""
    connection.execute(delete(Lock).where(Lock.name == name))
