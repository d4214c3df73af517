"""What waits for an account that does not work goes through the next one that takes its purpose."""

from __future__ import annotations

import logging

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.messages import reroute_store
from clinic_dispatch_plugin.messages.blocks_store import write_audit
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Messages one transaction moves, and transactions of one round: the rest has its turn in the next.
PORTION = 500
PORTIONS = 20


def reroute(dispatch: Dispatch) -> None:
    """Move what waits for accounts that stopped, are switched off, or rest again and again."""
    with dispatch.database.begin() as connection:
        gone = accounts.left(connection)
        work = [
            (row, mailing)
            for row in gone
            for mailing in reroute_store.waiting_for(connection, row["id"])
        ]
    moved = [_move_all(dispatch, row, mailing) for row, mailing in work]
    if any(moved):
        dispatch.doorbell.ring()


def _move_all(dispatch: Dispatch, row: RowMapping, mailing: RowMapping) -> bool:
    """Move a mailing's messages; True: some were."""
    moved = 0
    for _ in range(PORTIONS):
        number = dispatch.database.run(lambda c: _move(dispatch, c, row, mailing))
        moved += number
        if number < PORTION:
            break
    if moved:
        log.info(
            "%d messages of mailing %s wait for another account than %s/%s",
            moved,
            mailing["id"],
            row["channel"],
            row["key"],
        )
    return bool(moved)


def _move(dispatch: Dispatch, connection: Connection, row: RowMapping, mailing: RowMapping) -> int:
    # First a write: the account stays as it is until these are moved, and one that works again keeps them.
    if not accounts.hold_as(connection, row["id"], row["state"]):
        return 0
    way = accounts.instead_of(dispatch, connection, row, mailing["purpose"])
    if way is None:
        return 0
    number = reroute_store.move(
        connection,
        mailing["id"],
        from_account=row["id"],
        to_account=way.row_id,
        limit=PORTION,
    )
    if number:
        write_audit(
            connection,
            actor_ref="system",
            actor_name="",
            action=reroute_store.ACTION,
            mailing_id=mailing["id"],
            details={
                "account": row["id"],
                "to": way.row_id,
                "channel": row["channel"],
                "number": number,
                "state": row["state"],
            },
        )
    return number
