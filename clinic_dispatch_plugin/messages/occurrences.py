"""How often each answer came lately, for a person from whom the host hides single patients: bounded, and never more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import occurrences_store as store
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.registry import Dispatch

#: The latest messages the host is asked about: what came before them is not counted, so that a figure says "at least".
MOST = 3_000


def seen_lately(dispatch: Dispatch, actor: Actor, days: int) -> Mapping[int, int]:
    """By answer: messages of the last so many days that the actor may see. It asks the host: never in a transaction."""
    with dispatch.database.begin() as connection:
        rows = store.latest_with_answers(connection, days, MOST)
    seen = Sight(dispatch, actor).of(rows, lambda row: str(row.ref))
    return Counter(row.answer_id for row in seen)
