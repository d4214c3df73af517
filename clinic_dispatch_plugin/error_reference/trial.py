"""The page before a change takes effect: which notes it would change, and whether a pattern is no good."""

from __future__ import annotations

from collections.abc import Collection

from flask import Response, request

from clinic_dispatch_plugin.error_reference import wording
from clinic_dispatch_plugin.error_reference.foresight import Foreseen, foresee
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER
from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.layout import render_page

#: Fields of the page itself, which the form behind it does not have.
_OWN = frozenset({"csrf_token", "seen", "go"})
#: Answers the page names one by one.
SHOWN = 50


def goes_back() -> bool:
    """Whether somebody came from that page to change what they typed."""
    return request.form.get("go") == "back"


def asked(
    entry: KnownEntry, *, action: str, known: Collection[int] = (), leave: str = ""
) -> Response | None:
    """The page, with everything that was typed; None: nothing to ask, or it was seen and said yes to.

    :param action: the address the form behind it is sent to; *go on* and *back* are sent there too.
    :param known: answers whose change is what the person came for.
    :param leave: where *back* leads for a form that is one click; empty: back into the form, by its own address.
    """
    ahead = foresee(current_dispatch(), entry, known=known)
    if not ahead.asks or request.form.get("seen") == ahead.mark:
        return None
    return _page(ahead, entry, action=action, leave=leave)


def _page(ahead: Foreseen, entry: KnownEntry, *, action: str, leave: str) -> Response:
    typed = [
        (name, value)
        for name in request.form
        if name not in _OWN
        for value in request.form.getlist(name)
    ]
    return render_page(
        f"{FOLDER}/trial.html",
        active="reference",
        ahead=ahead,
        moved=ahead.moved[:SHOWN],
        entry=entry,
        action=action,
        leave=leave,
        typed=typed,
        wording=wording,
    )
