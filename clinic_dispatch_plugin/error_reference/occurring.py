"""How often each entry occurred here, as the list of the reference shows and sorts it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from clinic_dispatch_plugin.error_reference import reading_store, store
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.asking import HostFailed

#: Messages by answer, ever and of the last days; brought by the concern that holds messages.
CountOccurrences = Callable[[Connection, int], Mapping[int, tuple[int, int]]]
#: Messages by answer of the last days that a person may see; brought by the same concern.
SeenLately = Callable[[Actor, int], Mapping[int, int]]
#: What "lately" means in the list.
LATELY_DAYS = 30
#: Seconds for which what was counted holds; an answer that is new here and a changed entry are seen at once.
FRESH_SECONDS = 2.0

#: Seconds for which holds what one person may see, and persons it is kept of.
SEEN_SECONDS = 60.0
_MOST_PERSONS = 200

_CACHE = "reference.occurring"
_SEEN_CACHE = "reference.seen"


class Occurred(NamedTuple):
    """How often an entry explained something; where patients are hidden lately at least, and when it did last."""

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


def seen_by(dispatch: Dispatch, actor: Actor | None) -> Mapping[int, int] | None:
    """Messages by answer that a person may see, of the last days; None: everything is counted, or nothing can be.

    It asks the host about many patients: never inside a transaction, and once a minute for each person.
    """
    seen: SeenLately | None = dispatch.cache.get("seen_lately")
    if seen is None or actor is None:
        return None
    kept: dict[str, tuple[float, Mapping[int, int]]] = dispatch.cache.setdefault(_SEEN_CACHE, {})
    at, found = kept.get(actor.ref, (0.0, None))
    if found is None or time.monotonic() - at >= SEEN_SECONDS:
        try:
            found = seen(actor, LATELY_DAYS)
        except HostFailed:
            return None  # the list stands without figures
        if len(kept) >= _MOST_PERSONS:
            kept.clear()
        kept[actor.ref] = time.monotonic(), found
    return found


def occurrences(
    dispatch: Dispatch, connection: Connection, seen: Mapping[int, int] | None = None
) -> Mapping[int, Occurred]:
    """What occurred, by entry; figures are a few seconds old at most, as those of a page that stands open."""
    count: CountOccurrences | None = dispatch.cache.get("count_occurrences")
    if count is None:
        occurred = dict.fromkeys(reading_store.entries_seen(connection), Occurred())
        lately: Counter[int] = Counter()
        for answer_id, entry_id in reading_store.explained(connection) if seen else ():
            lately[entry_id] += (seen or {}).get(answer_id, 0)
        return {**occurred, **{entry: Occurred(lately=n) for entry, n in lately.items() if n}}
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
