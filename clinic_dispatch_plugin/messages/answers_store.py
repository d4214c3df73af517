"""SQL that tells the reference where answers came: which mailings one touched."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from clinic_dispatch_plugin.error_reference.counting import Touched
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.tables import Message


def mailings_of_answer(
    connection: Connection, answer_id: int, limit: int, *, counted: bool = True
) -> Sequence[Touched]:
    """The mailings in which messages have this answer, the newest first, each with how many unless nobody counts."""
    several = (
        select(Message.mailing_id, func.count().label("messages"))
        .where(Message.answer_id == answer_id)
        .group_by(Message.mailing_id)
        .subquery()
    )
    query = (
        select(Mailing.id, Mailing.name, Mailing.created_at, several.c.messages)
        .join(several, several.c.mailing_id == Mailing.id)
        .order_by(Mailing.id.desc())
        .limit(limit)
    )
    found = [Touched(*row) for row in connection.execute(query)]
    return found if counted else [each._replace(messages=None) for each in found]
