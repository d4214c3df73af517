"""What the core would make of a refusal, by the entries a plugin brings and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from clinic_dispatch_plugin.api import Answer, ReferencePack, Refused
from clinic_dispatch_plugin.engine.rules import Facts, Outcome, decide
from clinic_dispatch_plugin.error_reference.rules import Explanation, KnownEntry, Reference, flat
from clinic_dispatch_plugin.error_reference.shipped import CorePacks

_NOW = datetime(2024, 1, 15, 12, tzinfo=UTC)


def explained(answer: Answer, packs: Sequence[ReferencePack]) -> Explanation:
    """What these packs, with the core's own, say of an answer."""
    several = [*CorePacks().clinic_dispatch_reference_packs(), *packs]
    found = [(pack, place, entry) for pack in several for place, entry in enumerate(pack.entries)]
    return Reference(
        KnownEntry(
            id=number,
            origin="shipped",
            system=pack.system,
            code=entry.code,
            pattern=entry.pattern,
            unless=entry.unless,
            position=place,
            content=flat(entry),
        )
        for number, (pack, place, entry) in enumerate(found, 1)
    ).explain(answer)


def judged(result: Refused, packs: Sequence[ReferencePack]) -> Outcome:
    """What becomes of a message at its first refusal."""
    facts = Facts(message_id=1, attempt_id=result.attempt_id, number=1, tries=0, attempts=1)
    explanation = explained(result.answer, packs)
    return decide(result, facts, now=_NOW, scale=1.0, explanation=explanation)
