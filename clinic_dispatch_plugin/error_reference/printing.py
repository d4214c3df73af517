"""The clinic's own reference on paper: what occurred here, what the clinic wrote, under the three headings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from babel.dates import format_date
from flask import Blueprint, Response

from clinic_dispatch_plugin.channels.reference import GROUPS, LANGUAGES
from clinic_dispatch_plugin.error_reference import listing, wording
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER
from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.registry import Dispatch, current_dispatch
from clinic_dispatch_plugin.web.auth import requires
from clinic_dispatch_plugin.web.i18n import N_, NAMES, _, language, zone
from clinic_dispatch_plugin.web.layout import render_page
from clinic_dispatch_plugin.web.memory import of_request
from clinic_dispatch_plugin.web.params import choice_arg

WHICH: Mapping[str, str] = {
    "clinic": N_("What occurred, and what we wrote or changed"),
    "seen": N_("Only what has been seen"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """One piece of the paper: entries that say the same stand together."""

    entry: KnownEntry
    codes: Sequence[str]
    what_program_does: str
    messages: int


def register(blueprint: Blueprint) -> None:
    """Add the page to the blueprint."""
    blueprint.add_url_rule("/errors/print", "print_reference", show_print)


@requires(Action.VIEW)
def show_print() -> Response:
    """The reference made for A4, without the host's page around it."""
    chosen = choice_arg("language", LANGUAGES, default=language())
    which = choice_arg("which", WHICH, default="clinic")
    memory = of_request()
    memory["force_plain"] = True
    memory["language"] = chosen
    groups = printed(current_dispatch(), seen_only=which == "seen", language=chosen)
    return render_page(
        f"{FOLDER}/print.html",
        active="reference",
        groups=groups,
        total=sum(len(several) for several in groups.values()),
        language_choices=[(code, NAMES[code]) for code in LANGUAGES],
        which_choices=[(key, _(text)) for key, text in WHICH.items()],
        chosen=chosen,
        which=which,
        wording=wording,
        today=format_date(datetime.now(tz=zone()), "long", locale=chosen),
    )


def printed(
    dispatch: Dispatch, *, seen_only: bool, language: str
) -> Mapping[str, Sequence[Printed]]:
    """What is printed, by heading; the most frequent first."""
    found = listing.notable(dispatch, seen_only=seen_only)
    return {group: _together(_by_number(found[group]), language) for group in GROUPS}


def _by_number(listed: Sequence[listing.Listed]) -> list[listing.Listed]:
    """Paper says how often a thing occurred ever, so that decides."""
    return sorted(listed, key=lambda item: -_messages(item))


def _messages(item: listing.Listed) -> int:
    return (item.occurred.ever or 0) if item.occurred is not None else 0


def _together(listed: Sequence[listing.Listed], language: str) -> list[Printed]:
    piles: dict[tuple[str, ...], list[listing.Listed]] = {}
    for item in listed:
        names = ("short", "what_happened", "what_helps", "tell_patient")
        said = [item.entry.text(name, language) for name in names]
        key = (*said, item.entry.who, wording.policy(item.entry.policy))
        piles.setdefault(key, []).append(item)
    return [
        Printed(
            entry=pile[0].entry,
            codes=list(dict.fromkeys(wording.code(item.entry) for item in pile)),
            what_program_does=key[-1],
            messages=sum(map(_messages, pile)),
        )
        for key, pile in piles.items()
    ]
