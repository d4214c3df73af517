"""Messages in doubt whose worker may still come back: nobody decides about them yet."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from clinic_dispatch_plugin.messages import moves_store
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.registry import Dispatch


def awaited_messages(
    dispatch: Dispatch, connection: Connection, ids: Iterable[int]
) -> dict[int, datetime]:
    """Those of these uncertain messages that may not be decided before a time, held until the transaction ends."""
    wanted = list(ids)
    moves_store.hold(connection, wanted)
    found = moves_store.locked(connection, wanted, frozenset([MessageState.UNCERTAIN]))
    message_of = {row["attempt_id"]: row["id"] for row in found if row["attempt_id"]}
    until = dispatch.awaited_until(connection, message_of)
    return {message_of[attempt_id]: moment for attempt_id, moment in until.items()}
