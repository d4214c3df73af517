"""The words for bounce mails on pages: their kinds and states, and what each recipient's line says."""

from __future__ import annotations

from collections.abc import Mapping

from clinic_dispatch_plugin.reports.service import Understood
from clinic_dispatch_plugin.web.i18n import N_, _, language
from clinic_dispatch_plugin.web.words import Word

STATES: Mapping[str, tuple[str, str, str]] = {
    "tied": (N_("Assigned"), "✓", "ok"),
    "early": (N_("Just being sent"), "↻", "wait"),
    "unknown": (N_("Belongs to no message"), "?", "doubt"),
    "unreadable": (N_("Could not be read"), "–", "off"),
}
KINDS: Mapping[str, str] = {
    "bounce": N_("Delivery report"),
    "complaint": N_("Complaint about unwanted mail"),
    "auto-reply": N_("Automatic reply"),
    "other": N_("Some other mail"),
}
ACTIONS: Mapping[str, str] = {
    "failed": N_("not delivered"),
    "delayed": N_("delayed, it is still being tried"),
    "delivered": N_("delivered"),
    "relayed": N_("passed on, no report to come"),
    "expanded": N_("passed on to several"),
    "complained": N_("called it unwanted"),
    "replied": N_("replied automatically"),
}
SOURCES: Mapping[str, str] = {
    "pasted": N_("pasted"),
    "uploaded": N_("uploaded"),
    "command": N_("read from a file"),
    "mailbox": N_("from the mailbox"),
}


def state(key: str) -> Word:
    """A mail's state as pages show it."""
    label, icon, css = STATES.get(key, (key, "–", "off"))
    return Word(key=key, label=_(label), icon=icon, css=css)


def state_choices(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """The filter by state, with numbers where they are known."""
    labels = [
        (key, _(label) + (f" ({counts[key]})" if key in counts else ""))
        for key, (label, _icon, _css) in STATES.items()
    ]
    return [("", _("All states")), *labels]


def kind(key: str) -> str:
    """What a mail is."""
    return _(KINDS.get(key, key))


def action(key: str) -> str:
    """What became of a recipient."""
    return _(ACTIONS.get(key, key))


def source(key: str) -> str:
    """How a mail came here."""
    return _(SOURCES.get(key, key))


def note(one: Understood) -> str:
    """The reference's note of a recipient's answer; empty where there is nothing to explain."""
    if one.said.action not in ("failed", "delayed") or one.explanation.entry is None:
        return ""
    return one.explanation.entry.text("short", language())
