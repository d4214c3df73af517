"""The clinic's own reference on paper: what occurred here, what the clinic wrote, under the three headings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from babel.dates import format_date
from flask import Blueprint, Response

from clinic_dispatch_plugin.channels.reference import GROUPS, LANGUAGES
from clinic_dispatch_plugin.error_reference import reading, wording
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
    found = reading.overview(dispatch)
    return {
        group: _together(
            [
                item
                for item in found.groups[group]
                if item.occurred or (item.stands_out and not seen_only)
            ],
            language,
        )
        for group in GROUPS
    }


def _together(listed: Sequence[reading.Listed], language: str) -> list[Printed]:
    piles: dict[tuple[str, ...], list[reading.Listed]] = {}
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
            messages=sum(item.messages or 0 for item in pile),
        )
        for key, pile in piles.items()
    ]
