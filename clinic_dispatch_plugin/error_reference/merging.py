"""Which entries one may mean the same as: those near by words, or those somebody searches for."""

from __future__ import annotations

from collections.abc import Sequence

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.likeness import similar
from clinic_dispatch_plugin.error_reference.listing import has_words, words_of
from clinic_dispatch_plugin.error_reference.reading import Detail
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, Reference
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch

#: Entries offered at once.
MOST = 12


def candidates(dispatch: Dispatch, found: Detail, query: str) -> Sequence[KnownEntry]:
    """Entries that may mean the same as one, of its own service first."""
    mine = found.entry
    with dispatch.database.begin() as connection:
        known = reference(dispatch, connection)
    if query:
        near = [entry for entry in known.entries.values() if has_words(query, words_of(entry))]
        near.sort(key=lambda entry: (entry.system != mine.system, entry.code))
    else:
        said = " ".join(
            [*found.samples, mine.text("short", "en"), mine.text("what_happened", "en")]
        )
        near = similar(
            dispatch, known, Answer(system=mine.system, code=mine.code, text=said), limit=6
        )
        near = [*near, *_of_its_kind(known, mine)]
    others = {entry.id: entry for entry in near if entry.id != mine.id and entry.same_as is None}
    return list(others.values())[:MOST]


def _of_its_kind(known: Reference, mine: KnownEntry) -> list[KnownEntry]:
    """Entries of the same service with the same kind of trouble, each note once."""
    by_note = {
        entry.text("short", "en"): entry
        for entry in known.entries.values()
        if (entry.system, entry.category) == (mine.system, mine.category)
        and entry.text("short", "en") != mine.text("short", "en")
    }
    return list(by_note.values())
