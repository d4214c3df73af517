"""Trying an answer: which entry would explain it, by which step, and what came close."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.likeness import similar
from clinic_dispatch_plugin.error_reference.normalising import anonymous
from clinic_dispatch_plugin.error_reference.policy import Policy, policy_of
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, Step
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What the look-up of an answer would find."""

    #: The answer as it would be kept: without what names a person.
    sample: str
    #: The step that decides; None: nothing matches.
    hit: Step | None
    #: Entries that would speak if it were not there, in their order.
    near: Sequence[Step]
    similar: Sequence[KnownEntry]
    #: What speaks where nothing matches.
    unknown: KnownEntry | None
    #: What the program would do about this very answer.
    policy: Policy


def tried(dispatch: Dispatch, *, system: str, code: str, text: str) -> Tried:
    """Look an answer up without gathering it."""
    answer = Answer(system=system, code=code, text=text)
    with dispatch.database.begin() as connection:
        known = reference(dispatch, connection)
        steps = [step for step in known.trace(answer) if step.entry is not None]
        like = similar(dispatch, known, answer, limit=3)
    speaks = steps[0].entry if steps else known.unknown_answer
    there = {step.entry.id for step in steps if step.entry is not None}
    return Tried(
        sample=anonymous(text),
        hit=steps[0] if steps else None,
        near=steps[1:],
        similar=[entry for entry in like if entry.id not in there],
        unknown=known.unknown_answer,
        policy=speaks.policy_for(answer) if speaks is not None else policy_of({}),
    )


class Reported(NamedTuple):
    """What a returned mail says of one recipient."""

    address: str
    code: str
    text: str


#: Reads a whole returned mail; lent by the concern of reports, which stands above this one.
ReadMail = Callable[[bytes], Sequence[Reported]]
#: Recipients of one mail that are shown.
MOST_RECIPIENTS = 20
_HEADER = re.compile(
    r"(?:received|return-path|delivered-to|from|to|subject|date|message-id|mime-version|content-type"
    r"|auto-submitted|reply-to|x-[\w-]+):",
    re.IGNORECASE,
)


def is_mail(text: str) -> bool:
    """Whether somebody pasted a whole mail: it begins with at least two of a mail's headers."""
    first = [line for line in text.lstrip().splitlines()[:12] if not line.startswith((" ", "\t"))]
    head = [bool(_HEADER.match(line)) for line in first]
    return head[:1] == [True] and sum(head) > 1


def tried_mail(dispatch: Dispatch, text: str) -> list[tuple[Reported, Tried]]:
    """Each recipient of a pasted mail with what the look-up of its answer would find; nothing is kept."""
    read: ReadMail | None = dispatch.cache.get("read_returned_mail")
    several = read(text.strip().encode("utf-8", "replace")) if read is not None else ()
    return [
        (each, tried(dispatch, system="smtp", code=each.code, text=each.text))
        for each in several[:MOST_RECIPIENTS]
    ]


def systems(dispatch: Dispatch) -> list[str]:
    """Whose codes the reference has entries for."""
    with dispatch.database.begin() as connection:
        return sorted({e.system for e in reference(dispatch, connection).entries.values()})
