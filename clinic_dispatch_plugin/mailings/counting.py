"""How long a text is where length costs money, and what would make it shorter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clinic_dispatch_plugin.channels.types import Cheaper, Content, Measure
from clinic_dispatch_plugin.registry import Dispatch

#: Characters that make a text dear, of which no more are shown.
MOST_ODD = 6
#: What a value counts for while it is not known.
VALUE = "x" * 8
_VALUES = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_CONDITIONS = re.compile(r"\{%.*?%\}", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A text of a channel whose length is billed.

    :ivar measure: of the text as it is written, each value counted for eight letters.
    :ivar has_values: whether there are any.
    :ivar sent: of what one recipient gets; None: there is nobody to show it with.
    """

    measure: Measure
    has_values: bool
    sent: Measure | None
    offers: Sequence[Cheaper]


def counted(dispatch: Dispatch, channel: str, text: str, *, sent: str | None) -> Counted | None:
    """The length of a text and of what a recipient gets of it; None: it does not matter on this channel."""
    found = dispatch.channels.get(channel)
    if found is None or not found.fields.counter:
        return None
    return Counted(
        measure=found.measure(Content(text=with_values(text))),
        has_values=_VALUES.search(text) is not None,
        sent=None if sent is None else found.measure(Content(text=sent)),
        offers=found.cheaper(text),
    )


def with_values(text: str) -> str:
    """The text with something of usual length for each value; what is conditional counts in full."""
    return _VALUES.sub(VALUE, _CONDITIONS.sub("", text))


def cheaper_text(dispatch: Dispatch, channel: str, text: str, kind: str) -> str:
    """The text as an offer of this kind writes it; unchanged where there is no such offer any more."""
    found = dispatch.channels.get(channel)
    offers = found.cheaper(text) if found else ()
    return next((each.text for each in offers if each.kind == kind), text)


def odd_shown(measure: Measure) -> str:
    """The characters for whose sake a part holds less."""
    more = " …" if len(measure.odd) > MOST_ODD else ""
    return " ".join(measure.odd[:MOST_ODD]) + more
