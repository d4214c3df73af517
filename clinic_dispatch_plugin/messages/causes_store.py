"""The SQL of the causes that occurred: a few steps along one index, however many messages there are."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Select, func, literal, select, union_all

from clinic_dispatch_plugin.messages.tables import Message

#: Answers one statement counts (SQLite takes at most 500 parts).
PORTION = 100
#: Messages counted of one answer: from there on it is simply one of the frequent ones.
COUNTED = 1_000


def answers_that_occurred(connection: Connection, limit: int) -> list[int]:
    """The newest answers that explain a message now; each is one look into the index, not a walk through it."""
    return list(connection.scalars(occurred_query(limit)))


def occurred_query(limit: int) -> Select[tuple[int]]:
    """The statement of :func:`answers_that_occurred`."""
    newest = select(func.max(Message.answer_id).label("answer_id")).cte("seen", recursive=True)
    below = (
        select(func.max(Message.answer_id))
        .where(Message.answer_id < newest.c.answer_id)
        .scalar_subquery()
    )
    step = select(below).where(newest.c.answer_id.is_not(None))
    seen = newest.union_all(step)
    return select(seen.c.answer_id).where(seen.c.answer_id.is_not(None)).limit(limit)


def about_how_many(connection: Connection, answer_ids: Sequence[int]) -> dict[int, int]:
    """How many messages each answer explains, counted up to :data:`COUNTED`."""
    found: dict[int, int] = {}
    for start in range(0, len(answer_ids), PORTION):
        query = count_query(answer_ids[start : start + PORTION])
        found.update({row.answer_id: row.n for row in connection.execute(query)})
    return found


def count_query(answer_ids: Sequence[int]) -> Select[tuple[int, int]]:
    """The statement of :func:`about_how_many`."""
    parts = []
    for answer_id in answer_ids:
        some = select(Message.id).where(Message.answer_id == answer_id).limit(COUNTED).subquery()
        parts.append(
            select(literal(answer_id).label("answer_id"), func.count().label("n")).select_from(some)
        )
    whole = union_all(*parts).subquery()
    return select(whole.c.answer_id, whole.c.n)
