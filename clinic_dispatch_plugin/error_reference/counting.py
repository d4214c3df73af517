"""How often answers came, and in which mailings: lent by the concern that holds messages, for it stands above."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from clinic_dispatch_plugin.registry import Dispatch

#: Messages by answer, for all answers or some.
CountByAnswer = Callable[[Connection, Sequence[int] | None], Mapping[int, int]]


class Touched(NamedTuple):
    """A mailing in which an answer came."""

    id: int
    name: str
    created_at: datetime
    #: None: a count would tell of messages the reader may not see.
    messages: int | None


#: The mailings with messages of an answer, the newest first, at most so many.
MailingsOfAnswer = Callable[[Connection, int, int], Sequence[Touched]]


def count_messages(
    dispatch: Dispatch, connection: Connection, ids: Sequence[int] | None
) -> Mapping[int, int] | None:
    """Messages by answer; None where nobody counts."""
    counter: CountByAnswer | None = dispatch.cache.get("count_by_answer")
    return counter(connection, ids) if counter is not None else None


def mailings_touched(
    dispatch: Dispatch, connection: Connection, answer_id: int, *, limit: int
) -> Sequence[Touched]:
    """The latest mailings in which an answer came; empty where nobody says."""
    lent: MailingsOfAnswer | None = dispatch.cache.get("mailings_of_answer")
    return lent(connection, answer_id, limit) if lent is not None else ()
