"""Rows of the list, each rendered once for all who see it so: a long list costs what a short one does."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup, escape

from clinic_dispatch_plugin.error_reference import wording
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER
from clinic_dispatch_plugin.error_reference.listing import Index, Listed
from clinic_dispatch_plugin.web.i18n import format_day, language
from clinic_dispatch_plugin.web.layout import pages

#: Rows kept of one revision of the reference; then they are rendered anew.
KEPT = 6_000
#: Stands for the end of each address, which differs from search to search.
_SUFFIX = "~suffix~"


def row_maker(index: Index, suffix: str, chosen: int | None) -> Callable[[Listed], Markup]:
    """What gives the row of an entry, with what somebody looks for at the end of its address."""
    render = pages().get_template(f"{FOLDER}/rows.html").module.row  # type: ignore[attr-defined]
    end = escape(suffix)
    here = language()

    def row(item: Listed) -> Markup:
        if item.entry.id == chosen or item.retired:
            return Markup(render(item, wording, suffix, item.entry.id == chosen))
        said = item.occurred
        last = format_day(said.last_seen_at) if said is not None else ""
        key = (here, item.entry.id, said and (said.ever, said.lately), last)
        made = index.rows.get(key)
        if made is None:
            if len(index.rows) > KEPT:
                index.rows.clear()
            made = index.rows[key] = Markup(render(item, wording, _SUFFIX, False))
        return Markup(made.replace(_SUFFIX, end))

    return row
