"""Pieces several pages share: links that may be missing, the shares of a bar, the choices of filters, a row's note."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from werkzeug.routing import BuildError

from clinic_dispatch_plugin.error_reference.answers import Explained
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.messages import correction
from clinic_dispatch_plugin.messages.causes import Cause, Remedy, remedy
from clinic_dispatch_plugin.messages.lists import Line
from clinic_dispatch_plugin.messages.routes import order_of, silences_of
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.auth import allowed
from clinic_dispatch_plugin.web.i18n import N_, _, format_number, language, n_
from clinic_dispatch_plugin.web.layout import url

#: The bar's parts: states, colour, words for one and many.
_PARTS: Sequence[tuple[tuple[str, ...], str, str, str]] = (
    (("delivered",), "ok", N_("delivered"), N_("delivered")),
    (("sent",), "sent", N_("sent"), N_("sent")),
    (("queued", "leased", "sending"), "wait", N_("waits"), N_("wait")),
    (("undelivered",), "bad", N_("not delivered"), N_("not delivered")),
    (("uncertain",), "doubt", N_("uncertain"), N_("uncertain")),
    (("skipped",), "off", N_("not sent"), N_("not sent")),
)
_RETRYING = (N_("waits for another try"), N_("wait for another try"))


def link(endpoint: str, **values: Any) -> str:
    """The address of a page another part brings; empty where it does not."""
    try:
        return url(endpoint, **values)
    except BuildError:
        return ""


def shares(counts: Mapping[str, int], *, retrying: bool = False) -> list[dict[str, Any]]:
    """The parts of a mailing's bar and legend.

    :param retrying: every message was tried once, so what waits, waits for another try.
    """
    parts = []
    for states, css, one, many in _PARTS:
        n = sum(counts.get(state, 0) for state in states)
        if css == "wait" and retrying:
            one, many = _RETRYING
        parts.append({"n": n, "css": css, "label": _(one if n == 1 else many)})
    return parts


def spoken(parts: Sequence[Mapping[str, Any]]) -> str:
    """A bar for those who do not see it: ``347 delivered, 26 not delivered``."""
    return ", ".join(f"{format_number(part['n'])} {part['label']}" for part in parts if part["n"])


def state_choices(counts: Mapping[str, int] | None = None) -> list[tuple[str, str]]:
    """The filter by status, with numbers where they are known."""
    choices = [("", _("Any status"))]
    for state in ("undelivered", "uncertain", "queued", "sending", "skipped", "sent", "delivered"):
        label = words.message_state(state).label
        if counts is not None:
            n = counts.get(state, 0) + (counts.get("leased", 0) if state == "queued" else 0)
            if not n:
                continue
            label = f"{label} ({n})"
        choices.append((state, label))
    return choices


def channel_choices() -> list[tuple[str, str]]:
    """The filter by channel."""
    return [
        ("", _("All channels")),
        *((key, words.channel(key)) for key in current_dispatch().channels),
    ]


def cause_choices(causes: Sequence[Cause]) -> list[tuple[str, str]]:
    """The filter by cause."""
    return [
        ("", _("All causes")),
        *((cause.token, f"{heading(cause)} ({cause.count})") for cause in causes),
    ]


def heading(cause: Cause) -> str:
    """A cause's name in the list: its note, and of one that nobody described its code."""
    return _undescribed(cause.code) if cause.general else cause.note


def _undescribed(code: str) -> str:
    return _("Error {code}, not described yet", code=code)


def all_cause_choices(
    found: Sequence[tuple[str, Explained]], chosen: str, chosen_note: str
) -> list[tuple[str, str]]:
    """The filter by cause in the list of all messages; what is chosen is always among them.

    :param found: causes that occurred, with an answer that speaks for each.
    """
    choices = [
        (token, _undescribed(answer.code) if answer.general else note(answer))
        for token, answer in found
    ]
    if chosen and chosen not in dict(choices):
        choices.append((chosen, chosen_note or chosen))
    return [("", _("All causes")), *choices]


def note(answer: Explained) -> str:
    """What stands beside a failed message."""
    short = answer.text("short", language())
    entry = answer.entry
    if entry is not None and (entry.system, entry.code) == ("dispatch", "unknown_answer"):
        return f"{short} {answer.code}"
    return short


def ways(order: Sequence[str], silences: Mapping[str, int]) -> str:
    """The channels of a mailing: ``Viber (60 minutes at most) → SMS``."""
    return " → ".join(
        n_(
            "{channel} ({n} minute at most)",
            "{channel} ({n} minutes at most)",
            silences[key],
            channel=words.channel(key),
        )
        if silences.get(key)
        else words.channel(key)
        for key in order
    )


def ways_of(mailing: Mapping[Any, Any]) -> str:
    """The same for a mailing's row."""
    told = (mailing["channel"], mailing["fallbacks"])
    return ways(order_of(*told), silences_of(*told))


def left_behind(line: Line) -> str:
    """The ways a message left behind, and why: ``Viber: not registered``; empty where it had only one."""
    return " → ".join(
        f"{words.channel(channel)}: {note(answer) if answer else _('not possible')}"
        for channel, answer in line.passed
    )


def journey(line: Line) -> str:
    """Its way through the channels with the end: ``Viber: not registered → SMS: delivered``."""
    if not line.passed:
        return ""
    return (
        f"{left_behind(line)} → {words.channel(line.channel)}: "
        f"{words.message_said(line.state, line.report).label}"
    )


def hint(line: Line) -> str:
    """The small line under a note: the provider's words where nobody described them, else what helps."""
    answer = line.answer
    if answer is None or line.waits:
        return ""
    if answer.general and answer.sample:
        return _("The service wrote: “{words}”", words=answer.sample)
    return answer.text("what_helps", language())


def may_correct(ref: str) -> bool:
    """Whether who acts can give a message of this patient (or of none) another address."""
    if not allowed(Action.SEND):
        return False
    return correction.may_correct(current_dispatch(), ref, may_read=allowed(Action.VIEW_CONTENTS))


def address_helps(line: Line) -> bool:
    """Whether a new address is what puts this message right."""
    if line.answer is None or not line.can_be_corrected:
        return False
    found = remedy(line.answer, MessageState(line.state), account_held=False)
    return found is Remedy.CORRECT or (found is Remedy.DESCRIBE and line.state == "undelivered")


def workers_missing() -> bool:
    """Whether nobody sends at the moment; unknown counts as no."""
    seen: Callable[[], bool] | None = current_dispatch().cache.get("workers_seen")
    return seen is not None and not seen()


def can_be_asked_until(
    *,
    mailing_id: int | None = None,
    message_id: int | None = None,
    channels: Sequence[str] | None = None,
) -> datetime | None:
    """Until when a gateway can be asked what became of this; None: there is nothing to ask."""
    lent: Callable[..., datetime | None] | None = current_dispatch().cache.get("can_be_asked_until")
    if lent is None:
        return None
    return lent(mailing_id=mailing_id, message_id=message_id, channels=channels)


def waiting_text(waiting: int) -> str:
    """What the page says when every message was tried once and some wait for another try."""
    return n_(
        "The first pass is done; {n} message waits for another try.",
        "The first pass is done; {n} messages wait for another try.",
        waiting,
    )
