"""The address of the list: it holds what somebody looks for, so that a link, a reload and Back show the same."""

from __future__ import annotations

from urllib.parse import urlencode

from clinic_dispatch_plugin.channels.reference import GROUPS, LANGUAGES
from clinic_dispatch_plugin.error_reference.checking import SYSTEM_LIMIT
from clinic_dispatch_plugin.error_reference.listing import Wanted
from clinic_dispatch_plugin.web.params import choice_arg, int_arg, text_arg

SHOW = ("occurred", "never")
WHOSE = ("changed", "own", "shipped", "retired")
#: Words of addresses that people kept, and what they are now.
ONCE = ("all", "changed")
LAST_PAGE = 10_000


def wanted_in_address() -> Wanted:
    """What the address asks for.

    :raises BadRequest: a choice is none of its words.
    """
    show = choice_arg("show", (*SHOW, *ONCE))
    whose = choice_arg("whose", WHOSE)
    return Wanted(
        q=text_arg("q"),
        channel=text_arg("channel", limit=SYSTEM_LIMIT),
        system=text_arg("system", limit=SYSTEM_LIMIT),
        heading=choice_arg("heading", GROUPS),
        show=show if show in SHOW else "",
        whose=whose or ("changed" if show == "changed" else ""),
        missing=choice_arg("missing", ("any", *LANGUAGES)),
        page=int_arg("page", 1, least=1, most=LAST_PAGE),
    )


def suffix(wanted: Wanted) -> str:
    """What stands behind the address of an entry, so that its page knows the way back."""
    said = wanted.address()
    return "?" + urlencode(said) if said else ""
