"""How often what failed, for whoever asks: without patients that the asker may not see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import failures_store as store
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.registry import Dispatch


def failures_by_answer(
    dispatch: Dispatch, actor: Actor, starts: Sequence[datetime]
) -> list[tuple[int, int, int]]:
    """``(answer, stretch, failures)`` since the last of these times.

    :param starts: where each stretch of time begins, the latest first.
    """
    sight = Sight(dispatch, actor)
    with dispatch.database.begin() as connection:
        rows = store.failures(connection, starts, by_ref=not sight.everything)
    return [(row.answer_id, row.stretch, row.n) for row in sight.of(rows, lambda row: str(row.ref))]
