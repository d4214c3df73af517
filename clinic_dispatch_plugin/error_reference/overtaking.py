"""Two people at one form: the second sees what the first saved, and nothing typed is lost."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, request

from clinic_dispatch_plugin.error_reference import draft_reading, reading
from clinic_dispatch_plugin.error_reference.entry_page import entry_page
from clinic_dispatch_plugin.error_reference.forms import NewEntryForm, values_of
from clinic_dispatch_plugin.error_reference.overtaking_rules import joined, version_in
from clinic_dispatch_plugin.registry import current_dispatch


def is_overtaken(found: reading.Detail) -> bool:
    """Whether the entry was saved since the form was made."""
    return version_in(request.form.get("version", "")) != found.version


def page(found: reading.Detail, typed: Mapping[str, str]) -> Response:
    """The entry as it is now with this person's changes in its form, and what is saved beside them."""
    stored = values_of(found.entry.content)
    values, _differing = joined(request.form.get("version", ""), typed, stored)
    return entry_page(found, values=values, errors={}, status=409, overtaken=True)


def described_meanwhile(answer_id: int) -> Response | None:
    """For a description of a draft that somebody else described: their entry, with what was typed in its form."""
    entry_id = draft_reading.described_by(current_dispatch(), answer_id)
    found = reading.detail(current_dispatch(), entry_id) if entry_id is not None else None
    if found is None:
        return None
    typed = NewEntryForm({}, system=found.entry.system).values
    stored = values_of(found.entry.content)
    own = {name: value for name, value in typed.items() if name in stored and value}
    return entry_page(found, values={**stored, **own}, errors={}, status=409, overtaken=True)
