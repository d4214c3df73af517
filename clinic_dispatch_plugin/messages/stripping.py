"""Takes what is personal out of messages that are over; each function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.messages import stripping_store as store
from clinic_dispatch_plugin.messages.routes import legs_of
from clinic_dispatch_plugin.messages.rules import SETTLED

#: What stays of how a mailing's people were chosen: nothing that names one of them.
_KEPT = ("audience", "rows", "trial")


def due_mailings(
    connection: Connection, *, purposes: Sequence[str], days: int, limit: int
) -> Sequence[RowMapping]:
    """Mailings of these purposes that ended so many days ago and whose contents are still there."""
    return store.due_mailings(connection, purposes=purposes, seconds=days * 86_400.0, limit=limit)


def strip_some(
    connection: Connection, mailing_id: int, *, days: int, after: int, limit: int
) -> list[int] | None:
    """Strip a mailing's next messages behind ``after``; their ids, empty at its end; None: it is under way again."""
    if not store.hold_mailing(connection, mailing_id, seconds=days * 86_400.0):
        return None
    rows = store.next_messages(connection, mailing_id=mailing_id, after=after, limit=limit)
    ids = [row["id"] for row in rows]
    if ids:
        store.strip_messages(connection, rows)
        store.quiet_audit(connection, ids)
    return ids


def finish(connection: Connection, mailing: Mapping[Any, Any], *, days: int, alone: bool) -> None:
    """All of a mailing's messages are stripped: its words go, too."""
    if store.hold_mailing(connection, mailing["id"], seconds=days * 86_400.0):
        selection = mailing["selection"] or {}
        store.strip_mailing(
            connection,
            mailing["id"],
            revisions=[leg.revision_id for leg in legs_of(mailing) if leg.revision_id],
            selection={name: selection[name] for name in _KEPT if name in selection},
            alone=alone,
        )


def of_patient(connection: Connection, ref: str, *, after: int, limit: int) -> list[RowMapping]:
    """A patient's messages behind ``after``, by id."""
    return store.messages_of_ref(connection, ref, after=after, limit=limit)


def erase(connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> tuple[int, int]:
    """Strip these messages because their patient wants it; how many were, and how many are still under way."""
    under_way = [row for row in rows if row["state"] not in SETTLED]
    done = store.strip_messages(connection, rows)
    store.quiet_audit(connection, [row["id"] for row in rows], everything=True)
    return done, len(under_way)


def attempts_of(connection: Connection, ids: Sequence[int]) -> Sequence[RowMapping]:
    """The attempts of these messages."""
    return store.attempts_of(connection, ids)
