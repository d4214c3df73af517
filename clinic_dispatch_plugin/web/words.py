"""The words that mean the same on every page: states, purposes, channels, who can mend it, the three headings."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.i18n import N_, _, language

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A state as pages show it: never by colour alone."""

    key: str
    label: str
    icon: str
    #: ``ok``, ``wait``, ``bad``, ``doubt`` or ``off``.
    css: str

    def __str__(self) -> str:
        return self.label


MESSAGE_STATES: Mapping[str, tuple[str, str, str]] = {
    "queued": (N_("Waiting"), "↻", "wait"),
    "leased": (N_("Waiting"), "↻", "wait"),
    "sending": (N_("Being sent"), "↻", "wait"),
    "sent": (N_("Sent"), "✓", "ok"),
    "delivered": (N_("Delivered"), "✓", "ok"),
    "undelivered": (N_("Not delivered"), "✕", "bad"),
    "uncertain": (N_("Uncertain"), "?", "doubt"),
    "skipped": (N_("Not sent"), "–", "off"),
}
#: What a report adds to a message's state.
REPORTED_STATES: Mapping[tuple[str, str], tuple[str, str, str]] = {
    ("sent", "no_report"): (N_("Sent, no report came"), "–", "off"),
    ("delivered", "read"): (N_("Delivered and read"), "✓", "ok"),
}
#: What gateways and mail servers report of a try.
REPORTS: Mapping[str, str] = {
    "delayed": N_("reported: delayed"),
    "no_report": N_("no report came in time"),
    "failed": N_("reported: not delivered"),
    "delivered": N_("reported: delivered"),
    "read": N_("reported: read"),
}
MAILING_STATES: Mapping[str, tuple[str, str, str]] = {
    "draft": (N_("Draft"), "–", "off"),
    "scheduled": (N_("Scheduled"), "↻", "wait"),
    "planning": (N_("Being prepared"), "↻", "wait"),
    "running": (N_("Running"), "↻", "wait"),
    "paused": (N_("On hold"), "–", "off"),
    "finished": (N_("Finished"), "✓", "ok"),
    "cancelled": (N_("Cancelled"), "✕", "off"),
}
ATTEMPT_STATES: Mapping[str, tuple[str, str, str]] = {
    "open": (N_("Under way"), "↻", "wait"),
    "accepted": (N_("Accepted"), "✓", "ok"),
    "refused": (N_("Refused"), "✕", "bad"),
    "uncertain": (N_("Uncertain"), "?", "doubt"),
    "withdrawn": (N_("Never handed over"), "–", "off"),
}
TAKEN_IN_VAIN = N_("Accepted, but not delivered")
#: What was taken and did not arrive, or of which nobody knows, has no sign of success.
_REPORTED_SIGNS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("accepted", "failed"): ("✕", "bad"),
    ("accepted", "no_report"): ("–", "off"),
    ("accepted", "delayed"): ("↻", "wait"),
}
ACCOUNT_STATES: Mapping[str, tuple[str, str, str]] = {
    "ready": (N_("Ready"), "✓", "ok"),
    "resting": (N_("Resting"), "↻", "wait"),
    "probing": (N_("Being checked"), "↻", "wait"),
    "stopped": (N_("Stopped"), "✕", "bad"),
    "disabled": (N_("Switched off"), "–", "off"),
}
PURPOSES: Mapping[str, str] = {
    "service": N_("Service message"),
    "reminder": N_("Appointment reminder"),
    "results": N_("Test results"),
    "promotion": N_("Offers and promotions"),
    "greeting": N_("Greetings"),
}
CHANNELS: Mapping[str, str] = {
    "email": N_("E-mail"),
    "sms": N_("SMS"),
    "voice": N_("Voice call"),
    "viber": N_("Viber"),
}
WHO: Mapping[str, str] = {
    "recipient": N_("The patient"),
    "reception": N_("Reception"),
    "administration": N_("Administration"),
    "provider": N_("The provider"),
    "nobody": N_("Nobody"),
}
GROUPS: Mapping[str, str] = {
    "service": N_("Mailing service errors"),
    "sending": N_("Errors when sending messages"),
    "delivery": N_("Checking message delivery"),
}
GROUP_HINTS: Mapping[str, str] = {
    "service": N_("The service does not work for us at the moment: log-in, credit, limits."),
    "sending": N_("The service does not take this one message."),
    "delivery": N_("Accepted at first, and not delivered later."),
}


def _word(table: Mapping[str, tuple[str, str, str]], key: str) -> Word:
    label, icon, css = table.get(str(key), (str(key), "–", "off"))
    return Word(key=str(key), label=_(label), icon=icon, css=css)


def message_state(key: str) -> Word:
    """A message's state in the reader's language."""
    return _word(MESSAGE_STATES, key)


def message_said(state: str, report: str) -> Word:
    """A message's state with what was reported of it: accepted, delivered, read and no report are different words."""
    found = REPORTED_STATES.get((str(state), report))
    if found is None:
        return message_state(state)
    label, icon, css = found
    return Word(key=report, label=_(label), icon=icon, css=css)


def report(key: str) -> str:
    """What was reported of a try; empty: nothing."""
    return _(REPORTS[key]) if key in REPORTS else ""


def mailing_state(key: str) -> Word:
    """A mailing's state in the reader's language."""
    return _word(MAILING_STATES, key)


def attempt_state(key: str, report: str = "") -> Word:
    """An attempt's state in the reader's language; its sign says what was reported of it later, where that is worse."""
    word = _word(ATTEMPT_STATES, key)
    icon, css = _REPORTED_SIGNS.get((key, report), (word.icon, word.css))
    label = _(TAKEN_IN_VAIN) if (key, report) == ("accepted", "failed") else word.label
    return replace(word, label=label, icon=icon, css=css)


def reported_beside(key: str, reported: str) -> str:
    """What was reported of a try, where its state does not say it."""
    return "" if (key, reported) == ("accepted", "failed") else report(reported)


def account_state(key: str) -> Word:
    """An account's state in the reader's language."""
    return _word(ACCOUNT_STATES, key)


def purpose(key: str) -> str:
    """What a mailing is for."""
    return _(PURPOSES.get(str(key), str(key)))


def channel(key: str) -> str:
    """A channel's name: ours, else the channel's own label by its own catalogue alone, else its key.

    A name is no word of the page's: what ours says for the same letters may mean something else.
    """
    if key in CHANNELS:
        return _(CHANNELS[key])
    known = current_dispatch().channels.get(key)
    return own_word(key, str(known.label)) or str(known.label) if known is not None else str(key)


def of_channel(key: str, text: str) -> str:
    """What a channel itself says, in the reader's language: by its own catalogue, else by ours, else as it is."""
    return own_word(key, text) or _(text)


def own_word(key: str, text: str) -> str:
    """The same by its own catalogue alone; empty: that has no word for it, or fails."""
    known = current_dispatch().channels.get(key)
    try:
        return str(known.translations.get(language(), {}).get(text, "")) if known else ""
    except Exception as error:
        log.error("the translations of channel %s cannot be used: %s", key, places(error))
        return ""


def who(key: str) -> str:
    """Who can mend it."""
    return _(WHO.get(str(key), str(key)))


def group(key: str) -> str:
    """One of the three headings of the reference."""
    return _(GROUPS.get(str(key), str(key)))


def group_hint(key: str) -> str:
    """What stands under that heading."""
    return _(GROUP_HINTS.get(str(key), ""))
