"""How long a text is where length costs money, and what would make it shorter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clinic_dispatch_plugin.channels.types import Cheaper, Content, Measure
from clinic_dispatch_plugin.mailings import drafts
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.drafts import Draft
from clinic_dispatch_plugin.mailings.order import own_or_first
from clinic_dispatch_plugin.mailings.trial import Preview
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


def counts(dispatch: Dispatch, draft: Draft, shown: Preview | None) -> dict[str, Counted]:
    """The texts of a draft whose length matters, by channel."""
    previews = {draft.channel: shown, **dict(shown.further)} if shown else {}
    if shown is not None and shown.invented:
        previews = {}
    found = {}
    for channel in draft.order:
        counted = _counted(dispatch, channel, _content(draft, channel).text, previews.get(channel))
        if counted is not None:
            found[channel] = counted
    return found


def _content(draft: Draft, channel: str) -> MailingContent:
    """What goes out by this channel: its own words, or the first one's."""
    if channel not in draft.further:
        return draft.content
    return own_or_first(draft.further[channel], draft.content)


def _counted(
    dispatch: Dispatch, channel: str, text: str, preview: Preview | None
) -> Counted | None:
    found = dispatch.channels.get(channel)
    if found is None or not found.fields.counter:
        return None
    return Counted(
        measure=found.measure(Content(text=with_values(text))),
        has_values=_VALUES.search(text) is not None,
        sent=found.measure(Content(text=preview.text)) if preview else None,
        offers=found.cheaper(text),
    )


def with_values(text: str) -> str:
    """The text with something of usual length for each value; what is conditional counts in full."""
    return _VALUES.sub(VALUE, _CONDITIONS.sub("", text))


def write_cheaper(dispatch: Dispatch, draft: Draft, field: str, kind: str) -> None:
    """Write a text as an offer of this kind has it; nothing changes where there is none any more.

    :param field: ``text``, or ``text.`` and a channel after the first.
    """
    later = field.partition(".")[2]
    channel = later if later in draft.further else draft.channel
    found = dispatch.channels.get(channel)
    offers = found.cheaper(_content(draft, channel).text) if found else ()
    text = next((each.text for each in offers if each.kind == kind), None)
    if text is None:
        return
    content, further = draft.content, dict(draft.further)
    if channel in further:
        further[channel] = replace(further[channel], text=text)
    else:
        content = replace(content, text=text)
    drafts.write(
        dispatch,
        draft,
        name=draft.name,
        content=content,
        template_id=draft.template_id,
        further=further,
    )


def odd_shown(measure: Measure) -> str:
    """The characters for whose sake a part holds less."""
    more = " …" if len(measure.odd) > MOST_ODD else ""
    return " ".join(measure.odd[:MOST_ODD]) + more
