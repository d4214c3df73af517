"""How often each entry occurred here, as the list of the reference shows and sorts it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from clinic_dispatch_plugin.error_reference import reading_store, store
from clinic_dispatch_plugin.registry import Dispatch

#: Messages by answer, ever and of the last days; brought by the concern that holds messages.
CountOccurrences = Callable[[Connection, int], Mapping[int, tuple[int, int]]]
#: What "lately" means in the list.
LATELY_DAYS = 30
#: Seconds for which what was counted holds; an answer that is new here and a changed entry are seen at once.
FRESH_SECONDS = 2.0

_CACHE = "reference.occurring"


class Occurred(NamedTuple):
    """How often an entry explained something, or, where nobody counts, when it did last."""

    ever: int | None = None
    lately: int | None = None
    last_seen_at: datetime | None = None

    @property
    def frequency(self) -> tuple[int, int]:
        """What the list is sorted by."""
        return self.lately or 0, self.ever or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """What was counted, for whom nothing changed since but messages themselves."""

    mark: tuple[Any, ...]
    #: By the process's monotonic clock.
    at: float
    #: Every answer that has an entry, with the entry.
    explained: Sequence[tuple[int, int]]
    #: Messages by answer, ever and lately.
    counted: Mapping[int, tuple[int, int]]
    found: Mapping[int, Occurred]


def counts(dispatch: Dispatch) -> bool:
    """Whether anybody counts: a count must not tell of messages the reader may not see."""
    return dispatch.cache.get("count_occurrences") is not None


def occurrences(dispatch: Dispatch, connection: Connection) -> Mapping[int, Occurred]:
    """What occurred, by entry; figures are a few seconds old at most, as those of a page that stands open."""
    count: CountOccurrences | None = dispatch.cache.get("count_occurrences")
    if count is None:
        return dict.fromkeys(reading_store.entries_seen(connection), Occurred())
    mark = (
        count,
        store.revision(connection),
        reading_store.newest_answer(connection),
        store.left_over(connection),
    )
    kept = dispatch.cache.get(_CACHE)
    if not isinstance(kept, _Counted) or kept.mark != mark:
        kept = None
    if kept is not None and _is_fresh(kept):
        return kept.found
    counted = count(connection, LATELY_DAYS)
    explained = kept.explained if kept else reading_store.explained(connection)
    # Where no message came the very same is given again: what was put in order by it stays so.
    same = kept is not None and kept.counted == counted
    found = kept.found if kept and same else _added_up(counted, explained)
    dispatch.cache[_CACHE] = _Counted(
        mark=mark, at=time.monotonic(), explained=explained, counted=counted, found=found
    )
    return found


def _is_fresh(kept: _Counted) -> bool:
    return time.monotonic() - kept.at < FRESH_SECONDS


def _added_up(
    counted: Mapping[int, tuple[int, int]], explained: Iterable[tuple[int, int]]
) -> dict[int, Occurred]:
    found: dict[int, Occurred] = {}
    for answer_id, entry_id in explained:
        ever, lately = counted.get(answer_id, (0, 0))
        before = found.get(entry_id)
        if before is not None:
            ever, lately = ever + (before.ever or 0), lately + (before.lately or 0)
        found[entry_id] = Occurred(ever, lately)
    return found
