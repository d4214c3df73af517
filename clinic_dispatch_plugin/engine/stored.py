"""A result that comes after its run: what is known of its message is read back from the rows."""

from __future__ import annotations

from sqlalchemy import RowMapping

from clinic_dispatch_plugin.channels.types import SendResult
from clinic_dispatch_plugin.engine.onward import stuck
from clinic_dispatch_plugin.engine.recorder import Result
from clinic_dispatch_plugin.engine.rules import Facts
from clinic_dispatch_plugin.messages.routes import order_of


def result_of(said: SendResult, row: RowMapping, *, asked: bool = False) -> Result:
    """What was said of an attempt, with what decides about its message.

    :param row: with the columns of ``messages.tries_store.DECIDING``.
    :param asked: the gateway was asked, or could not be.
    """
    return Result(
        said=said,
        facts=Facts(
            message_id=row["message_id"],
            attempt_id=row["id"],
            number=row["number"],
            tries=row["tries"],
            attempts=row["attempts"],
            not_after=row["not_after"],
            created_at=row["created_at"],
            set_aside=row["estimate"] is not None,
            asked=asked,
        ),
        channel=row["channel"],
        address=row["address"],
        name=row["name"],
        stuck=stuck(
            {"id": row["message_id"], "route": row["route"]},
            order=order_of(row["first"], row["fallbacks"]),
            purpose=row["purpose"],
            channel=row["channel"],
        ),
    )
