"""The causes a list of all messages can be filtered by: those that occurred, the most frequent first."""

from __future__ import annotations

import time
from collections import Counter

from clinic_dispatch_plugin.error_reference.answers import JOINT, Explained, explained
from clinic_dispatch_plugin.messages import causes_store as store
from clinic_dispatch_plugin.messages.causes import said_of
from clinic_dispatch_plugin.registry import Dispatch

#: Answers looked at, the newest first, and causes offered.
MOST_ANSWERS = 300
MOST_CAUSES = 100
_CACHE = "messages.causes"
#: Looking is kept so many times as long as it took.
_KEPT = 20.0


def causes_that_occurred(dispatch: Dispatch, language: str) -> list[tuple[str, Explained]]:
    """Tokens of causes, each with an answer that speaks for it; counts are not told, as they hold hidden patients."""
    counts = _counts(dispatch)
    with dispatch.database.begin() as connection:
        answers = explained(dispatch, connection, counts)
    tokens: dict[str | tuple[str, ...], set[str]] = {}
    speaks: dict[str | tuple[str, ...], Explained] = {}
    often: Counter[str | tuple[str, ...]] = Counter()
    for answer_id, n in counts.items():
        if (answer := answers.get(answer_id)) is None:
            continue
        said = said_of(answer, language)
        tokens.setdefault(said, set()).add(answer.token)
        speaks.setdefault(said, answer)
        often[said] += n
    return [
        (JOINT.join(sorted(tokens[said])), speaks[said])
        for said, _n in often.most_common(MOST_CAUSES)
    ]


def _counts(dispatch: Dispatch) -> dict[int, int]:
    """About how many messages each answer explains."""
    began = time.monotonic()
    until, known = dispatch.cache.get(_CACHE, (0.0, {}))
    if began < until:
        return dict(known)
    with dispatch.database.begin() as connection:
        ids = store.answers_that_occurred(connection, MOST_ANSWERS)
        known = store.about_how_many(connection, ids)
    took = time.monotonic() - began
    dispatch.cache[_CACHE] = (began + took * _KEPT, known)
    return known
