"""The SQL by which messages follow their patients to another address."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, update

from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.tables import Message


def readdress(connection: Connection, addresses: Mapping[int, str], *, run_id: int) -> None:
    """Leased messages of a run go to other addresses; what was found about the old ones holds no longer."""
    if not addresses:
        return
    connection.execute(
        update(Message)
        .where(
            Message.id == bindparam("b_message"),
            Message.run_id == run_id,
            Message.state == MessageState.LEASED.value,
        )
        .values(address=bindparam("b_address"), duplicate_key=None),
        [
            {"b_message": message_id, "b_address": address}
            for message_id, address in addresses.items()
        ],
    )
