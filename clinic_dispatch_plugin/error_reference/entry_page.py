"""The page of one entry, which several forms come back to."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, abort, request

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.error_reference import (
    again,
    following,
    following_views,
    history,
    overtaking_rules,
    reading,
)
from clinic_dispatch_plugin.error_reference.differences import by_words
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER, form_context
from clinic_dispatch_plugin.error_reference.forms import text_names, values_of
from clinic_dispatch_plugin.error_reference.likeness import plain_words
from clinic_dispatch_plugin.error_reference.rules import TEXT_FIELDS
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.i18n import N_, _
from clinic_dispatch_plugin.web.layout import render_page, said

SAID: Mapping[str, str] = {
    "saved": N_("Saved. Earlier messages with this error show the new text too."),
    "restored": N_("The shipped text holds again."),
    "kept": N_("Your text stays. The new shipped text is noted as seen."),
    "taken": N_("The new shipped text holds now."),
    "removed": N_(
        "The entry was removed. Its messages explain themselves from the other entries again."
    ),
    "undone": N_("Taken back. Everything is as it was before that change."),
    "same": N_("Saved: this answer has the same words and does the same from now on."),
    "merged": N_(
        "Saved: the two mean the same from now on. Taking it back gives this one its own words again."
    ),
    "out": N_("The answer was taken out. What fits next explains it now."),
    "settled": N_("Done: the general description stays for this answer."),
}


def entry_page(
    found: reading.Detail,
    *,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    status: int = 200,
    overtaken: bool = False,
    typed_pattern: Mapping[str, str] | None = None,
) -> Response:
    """The page with a form's values in it, as somebody typed them or as they are stored.

    :param overtaken: somebody else saved meanwhile; what differs is shown beside.
    """
    stored = values_of(found.entry.content)
    key = {"pattern": found.entry.pattern, "unless": found.entry.unless}
    return render_page(
        f"{FOLDER}/entry.html",
        status,
        active="reference",
        detail=found,
        entry=found.entry,
        version=overtaking_rules.token(found.version, stored),
        shipped=values_of(found.shipped) if found.shipped else {},
        overtaken=overtaken,
        differing={name for name in stored if overtaken and stored[name] != values.get(name, "")},
        stored=stored,
        key_values=typed_pattern or key,
        plain_pattern=plain_words(found.entry.pattern),
        notice=" ".join(
            each
            for each in (said(SAID, request.args.get("said")), following_views.notice())
            if each
        ),
        standing=following.standing_of(current_dispatch(), [found.entry.id]),
        restorable={
            code: any(f"{name}.{code}" in found.entry.own for name in TEXT_FIELDS)
            for code in LANGUAGES
        },
        history=history.history(current_dispatch(), found.entry.id),
        again=again.progress(current_dispatch()),
        conflict_fields=found.conflict_fields,
        by_words=by_words,
        texts_shown=set(text_names()),
        **form_context(values, errors),
    )


def detail_of(entry_id: int) -> reading.Detail:
    """One entry, or the page that says it is gone."""
    found = reading.detail(current_dispatch(), entry_id)
    if found is None:
        abort(404, _("This entry does not exist any more. Perhaps somebody removed it."))
    return found
