"""A plugin whose pack of the reference a test may change."""

from __future__ import annotations

from clinic_dispatch_plugin.channels.reference import (
    Permanence,
    ReferenceEntry,
    ReferencePack,
    Texts,
)
from clinic_dispatch_plugin.hookspecs import hookimpl


def texts(short: str) -> dict[str, Texts]:
    """The same words in three languages."""
    said = Texts(short=short, what_happened="Es geschah.", what_helps="Das hilft.")
    return {"de": said, "en": said, "ru": said}


def entry(code: str, short: str) -> ReferenceEntry:
    """An entry of a pigeon pack."""
    return ReferenceEntry(
        code=code,
        category="unknown",
        permanence=Permanence.PERMANENT,
        group="delivery",
        who="nobody",
        texts=texts(short),
    )


class Pigeons:
    """A plugin whose pack a test may change."""

    def __init__(self) -> None:
        self.pack = ReferencePack(
            key="pigeon",
            system="pigeon",
            version=1,
            entries=[entry("1", "Falke"), entry("2", "Nebel")],
        )

    def ship(self, version: int, *entries: ReferenceEntry) -> None:
        """Bring another pack from now on."""
        self.pack = ReferencePack(key="pigeon", system="pigeon", version=version, entries=entries)

    @hookimpl
    def clinic_dispatch_reference_packs(self) -> list[ReferencePack]:
        """The one pack."""
        return [self.pack]
