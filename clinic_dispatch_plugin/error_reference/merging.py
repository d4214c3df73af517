"""Which entries one may mean the same as: those near by words, or those somebody searches for."""

from __future__ import annotations

from collections.abc import Sequence

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.likeness import similar
from clinic_dispatch_plugin.error_reference.reading import Detail, has_words
from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch

#: Entries offered at once.
MOST = 20


def candidates(dispatch: Dispatch, found: Detail, query: str) -> Sequence[KnownEntry]:
    """Entries that may mean the same as one, of its own service first."""
    mine = found.entry
    with dispatch.database.begin() as connection:
        known = reference(dispatch, connection)
    if query:
        near = [
            entry
            for entry in known.entries.values()
            if has_words(query, entry.key, entry.code, *map(str, entry.content.values()))
        ]
        near.sort(key=lambda entry: (entry.system != mine.system, entry.code))
    else:
        said = " ".join(
            [*found.samples, mine.text("short", "en"), mine.text("what_happened", "en")]
        )
        near = similar(
            dispatch, known, Answer(system=mine.system, code=mine.code, text=said), limit=6
        )
    return [entry for entry in near if entry.id != mine.id and entry.same_as is None][:MOST]
