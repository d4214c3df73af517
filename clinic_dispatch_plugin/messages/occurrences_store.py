"""How often each answer explains a message, ever and lately: one walk through an index, no table of counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, case, func, select

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.tables import Message

DAY = 86_400.0


def count_occurrences(connection: Connection, days: int) -> dict[int, tuple[int, int]]:
    """By answer: its messages ever, and those made in the last so many days."""
    first = first_of_last(connection, days)
    lately = func.sum(case((Message.id >= first, 1), else_=0))
    query = select(Message.answer_id, func.count(), lately)
    query = query.where(Message.answer_id.is_not(None)).group_by(Message.answer_id)
    # MariaDB adds whole numbers up to a decimal one.
    return {answer_id: (n, int(late)) for answer_id, n, late in connection.execute(query).all()}


def latest_with_answers(
    connection: Connection, days: int, most: int
) -> Sequence[Row[*tuple[Any, ...]]]:
    """The answers and patients of the latest messages of the last so many days that an answer explains."""
    query = select(Message.answer_id, Message.ref).where(
        Message.id >= first_of_last(connection, days), Message.answer_id.is_not(None)
    )
    return connection.execute(query.order_by(Message.id.desc()).limit(most)).all()


def first_of_last(connection: Connection, days: int) -> int:
    """The first id of the last so many days.

    Ids grow with time, so halving finds it in some twenty looks by primary key, and the walk above reads nothing but
    the index of answer and id.
    """
    made_lately = (Message.created_at >= db_now(-days * DAY)).label("made_lately")
    query = select(Message.id, made_lately).order_by(Message.id).limit(1)
    low = 0
    high = int(connection.execute(select(func.max(Message.id))).scalar() or 0) + 1
    # Mostly the whole list is young, or nothing is: the first look often is the last one.
    probe = 0
    while low < high:
        row = connection.execute(query.where(Message.id >= probe)).first()
        if row is None or row.made_lately:
            high = probe
        else:
            low = row.id + 1
        probe = (low + high) // 2
    return low
