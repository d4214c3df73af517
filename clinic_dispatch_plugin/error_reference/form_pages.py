"""What the pages with an entry's fields share: who writes, and the choices the fields offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clinic_dispatch_plugin.channels.reference import GROUPS, LANGUAGES, WHO
from clinic_dispatch_plugin.error_reference import listing, wording
from clinic_dispatch_plugin.error_reference.checking import LONG_LIMIT, SHORT_LIMIT
from clinic_dispatch_plugin.error_reference.policy import usual
from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.auth import acting
from clinic_dispatch_plugin.web.i18n import NAMES, _, language

FOLDER = "clinic_dispatch/reference"


def who_acts() -> str:
    """The name under which a change is written down."""
    actor = acting()
    return (actor.name or actor.ref)[:255]


def cannot_be_asked(entry: KnownEntry) -> str:
    """Whose gateways cannot be asked, for an entry that asks first; empty: all that use it can be."""
    dispatch = current_dispatch()
    if not any(entry.policy_if(said).asks_first for said in ("temporary", "permanent")):
        return ""
    mine = listing.channel_of(entry.system)
    silent = [
        words.channel(key)
        for key, channel in sorted(dispatch.channels.items())
        if channel.capabilities.report_window <= 0 and mine in ("", "dispatch", key)
    ]
    if not silent:
        return ""
    return _(
        "Cannot be asked here: {names}. It has {time} to report by itself; then it goes on in the usual way.",
        names=", ".join(silent),
        time=patience(),
    )


def patience() -> str:
    """How long a service that cannot be asked has to report by itself."""
    return wording.span(current_dispatch().settings.quarantine_seconds)


def form_context(values: Mapping[str, str], errors: Mapping[str, str]) -> dict[str, Any]:
    """What the fields of an entry need, on all three pages that have them."""
    here = language()
    return {
        "values": values,
        "errors": errors,
        "wording": wording,
        "languages": [(code, NAMES[code]) for code in (here, *(c for c in LANGUAGES if c != here))],
        "limits": {"short": SHORT_LIMIT, "text": LONG_LIMIT},
        "who_choices": [(key, words.who(key)) for key in WHO],
        "group_choices": [(key, words.group(key)) for key in GROUPS],
        "category_choices": sorted(
            ((key, wording.category(key)) for key in {*wording.CATEGORIES, values["category"]}),
            key=lambda choice: choice[1].casefold(),
        ),
        "permanence_choices": [(key, _(text)) for key, text in wording.PERMANENCES.items()],
        "action_choices": [
            ("", _("As usual for this kind")),
            *((key, _(text)) for key, text in wording.ACTIONS.items()),
        ],
        "block_choices": [("", _("As usual for this kind")), ("yes", _("Yes")), ("no", _("No"))],
        "patience": patience(),
        "usual_policy": wording.policy(usual(values["category"], values["permanence"])),
    }
