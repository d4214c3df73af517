"""The two menu items for the host's navigation, as data; the host's page never fails because of them."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass

from flask import Flask, has_request_context, request
from jinja2 import TemplateNotFound, meta
from markupsafe import Markup, escape

from clinic_dispatch_plugin.host.types import Action, Actor
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import allowed
from clinic_dispatch_plugin.web.csrf import NAME
from clinic_dispatch_plugin.web.i18n import N_, _
from clinic_dispatch_plugin.web.layout import PLAIN, Page, count_drafts, host_layout, in_layout, url
from clinic_dispatch_plugin.web.memory import of_request

log = logging.getLogger(__name__)

#: Seconds a badge is kept: every page of the host shows it, and the database is asked rarely.
BADGE_SECONDS = 10.0
#: Seconds nobody asks again after a failure: a database that hangs must not slow the host's pages.
FAILED_SECONDS = 60.0
_CACHE = "web.badge"


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuItem:
    """One entry for the host's menu."""

    key: str
    label: str
    url: str
    #: A number worth a look; 0: none.
    badge: int
    active: bool


def dispatch_menu() -> list[MenuItem]:
    """Our menu items for whoever acts in this request; empty for somebody without the right to look. Never raises."""
    if not has_request_context():
        return []
    try:
        if not allowed(Action.VIEW):
            return []
        here = "reference" if _in_reference() else "messages" if request.blueprint == NAME else ""
        return [
            _item("messages", N_("Dispatch"), here=here),
            _item("reference", N_("Mailing errors"), here=here, badge=_badge()),
        ]
    except Exception as error:
        log.error(
            "the menu of clinic_dispatch could not be made; the host's page goes without it: %s",
            places(error),
        )
        return []


def _item(key: str, label: str, *, here: str, badge: int = 0) -> MenuItem:
    return MenuItem(key=key, label=_(label), url=url(key), badge=badge, active=here == key)


def _in_reference() -> bool:
    home = url("reference")
    path = request.script_root + request.path
    return path == home or path.startswith(home + "/")


def _badge() -> int:
    cache = current_dispatch().cache
    until, count = cache.get(_CACHE, (0.0, 0))
    if time.monotonic() < until:
        return int(count)
    try:
        count, seconds = count_drafts(), BADGE_SECONDS
    except Exception as error:
        log.warning("the drafts could not be counted for the menu: %s", type(error).__name__)
        count, seconds = 0, FAILED_SECONDS
    cache[_CACHE] = (time.monotonic() + seconds, count)
    return count


def menu_shown(app: Flask) -> bool | None:
    """For the doctor: whether the host's layout leads to our pages; None: no layout is named.

    A layout that shows its menu to those alone who signed in with the host is believed where it asks for ours.
    """
    with app.test_request_context("/"):
        memory = of_request()
        memory["actor"] = Actor(ref="doctor", name="doctor")
        memory["allowed"] = dict.fromkeys(Action, True)
        layout = host_layout()
        if layout is PLAIN:
            return None
        html = in_layout(Page(title="check", body=Markup("")), layout)
        addresses = [re.escape(str(escape(url(key)))) for key in ("messages", "reference")]
    shown = all(re.search(f"[\"'=]{address}[\"'\\s>]", html) for address in addresses)
    return shown or _asks_for_menu(app, layout.template)


def _asks_for_menu(app: Flask, template: str) -> bool:
    """Whether a template, or one it is made of, names our menu or our pages."""
    environment = app.jinja_env
    left, seen = [template], set[str]()
    while left and environment.loader is not None:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            source = environment.loader.get_source(environment, name)[0]
        except TemplateNotFound:
            continue
        if "dispatch_menu" in source or f"{NAME}.messages" in source:
            return True
        parts = meta.find_referenced_templates(environment.parse(source))
        left += [part for part in parts if part is not None]
    return False


def forget_badge() -> None:
    """Count again at the next page: something was described just now."""
    current_dispatch().cache.pop(_CACHE, None)
