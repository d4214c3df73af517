"""Our pages inside the host's: its template and block, its variables, or its own way to render."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Flask, Response, current_app, make_response, render_template, url_for
from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from werkzeug.routing import BuildError

from clinic_dispatch_plugin.config import ConfigurationError
from clinic_dispatch_plugin.host.types import Action, Layout
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web import i18n, words
from clinic_dispatch_plugin.web.auth import allowed
from clinic_dispatch_plugin.web.csrf import NAME, csrf_field, csrf_token
from clinic_dispatch_plugin.web.memory import of_request

log = logging.getLogger(__name__)

#: Found in every finished page of ours; missing where the host's block is a wrong one.
MARKER = "data-dispatch-page"
PLAIN = Layout(template="clinic_dispatch/plain.html", block="content")
_BLOCK = re.compile(r"[A-Za-z_]\w*\Z")
_CACHE_PAGES = "web.pages"
_CACHE_FRAMES = "web.frames"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of ours before the host's layout is put around it."""

    title: str
    body: Markup


def render_page(template: str, status: int = 200, **context: Any) -> Response:
    """A page of ours in the host's layout.

    :param template: extends ``clinic_dispatch/layout.html`` and fills its blocks ``title`` and ``body``.
    """
    return make_response(framed(render_body(template, **context)), status)


def render_body(template: str, **context: Any) -> Page:
    """The page's own part and its title; Jinja of our own, so that host and plugin share no name in it."""
    made = pages().get_template(template)
    inner = made.new_context({"active": "", **context})
    body = Markup("".join(made.root_render_func(inner)))
    title = "".join(inner.blocks["title"][0](inner)).strip() if "title" in inner.blocks else ""
    return Page(title=title, body=body)


def render_part(template: str, **context: Any) -> Markup:
    """A piece of a page, for a script that replaces it in place."""
    return Markup(pages().get_template(template).render(**context))


def pages() -> Environment:
    """The Jinja our pages are written in; a host may put its own ``clinic_dispatch/…`` templates over ours."""
    cache = current_dispatch().cache
    made = cache.get(_CACHE_PAGES)
    if not isinstance(made, Environment):
        made = cache[_CACHE_PAGES] = _make_environment(current_app)
    return made


def _make_environment(app: Flask) -> Environment:
    ours = PackageLoader("clinic_dispatch_plugin", "templates")
    loaders: list[BaseLoader] = [app.jinja_loader] if app.jinja_loader is not None else []
    environment = Environment(
        loader=ChoiceLoader([*loaders, ours]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=bool(app.debug),
    )
    environment.globals.update(
        _=i18n._,
        n_=i18n.n_,
        language=i18n.language,
        format_time=i18n.format_time,
        format_day=i18n.format_day,
        format_number=i18n.format_number,
        format_money=i18n.format_money,
        format_sum=i18n.format_sum,
        csrf_field=csrf_field,
        csrf_token=csrf_token,
        allowed=allowed,
        url=url,
        static=static,
        words=words,
        nav_items=nav_items,
        Action=Action,
    )
    environment.filters.update(iso=_iso)
    return environment


def _iso(value: datetime) -> str:
    return value.isoformat(timespec="seconds")


def url(endpoint: str, **values: Any) -> str:
    """The address of a page of ours: ``url("reference")``."""
    return url_for(f"{NAME}.{endpoint}", **values)


def static(filename: str) -> str:
    """The address of a file of ours."""
    return url_for(f"{NAME}.static", filename=filename)


@dataclass(frozen=True, slots=True, kw_only=True)
class NavItem:
    """A tab of our own navigation."""

    key: str
    label: str
    url: str
    badge: int = 0


_NAV = (
    ("messages", i18n.N_("Messages"), Action.VIEW),
    ("mailings", i18n.N_("Mailing lists"), Action.VIEW),
    ("new_mailing", i18n.N_("New mailing list"), Action.COMPOSE),
    ("templates", i18n.N_("Templates"), Action.COMPOSE),
    ("reference", i18n.N_("Mailing errors"), Action.VIEW),
    ("settings", i18n.N_("Settings"), Action.CONFIGURE),
    ("work", i18n.N_("Operation"), Action.CONFIGURE),
)


def nav_items() -> list[NavItem]:
    """The tabs this actor may open; empty on an error page that must not ask any more."""
    if of_request().get("no_nav", False):
        return []
    items = []
    for key, label, action in _NAV:
        try:
            address = url(key)
        except BuildError:
            continue
        if allowed(action):
            badge = count_drafts() if key == "reference" else 0
            items.append(NavItem(key=key, label=i18n._(label), url=address, badge=badge))
    return items


def count_drafts() -> int:
    """Answers nobody has described yet; the concern that knows brings the counter when it is mounted."""
    counter: Callable[[], int] | None = current_dispatch().cache.get("count_drafts")
    return counter() if counter is not None else 0


def framed(page: Page) -> str:
    """The finished page in the host's layout; on a plain one of ours where that does not show it."""
    for layout in (_layout_or_plain(), PLAIN):
        try:
            html = in_layout(page, layout)
        except Exception as error:
            if layout is PLAIN:
                raise
            log.error(
                "the host's layout %s failed; a plain page is shown: %s",
                layout.template,
                places(error),
            )
            continue
        if MARKER in html:
            of_request()["plain"] = layout is PLAIN
            return html
        log.error(
            "the host's template %s shows nothing in its block %r: name the right block in layout() "
            "or in CLINIC_DISPATCH_BASE_BLOCK; a plain page is shown",
            layout.template,
            layout.block,
        )
    raise AssertionError("the plain page lacks its marker")


def _layout_or_plain() -> Layout:
    try:
        return host_layout()
    except Exception as error:
        log.error("the host adapter's layout() failed; a plain page is shown: %s", places(error))
        return PLAIN


def host_layout() -> Layout:
    """The host's layout: the adapter's word, else the settings, else our plain page."""
    dispatch = current_dispatch()
    if of_request().get("force_plain", False):
        return PLAIN
    layout = dispatch.host.layout()
    if layout is None and dispatch.settings.base_template:
        layout = Layout(
            template=dispatch.settings.base_template, block=dispatch.settings.base_block
        )
    return layout or PLAIN


def in_layout(page: Page, layout: Layout) -> str:
    """A page in a layout, whether it shows there or not."""
    host = current_dispatch().host
    context: dict[str, Any] = {
        "cd_frame": frame(current_app, layout),
        "cd_title": page.title,
        "cd_page": page.body,
        "cd_language": i18n.language(),
    }
    if layout is not PLAIN:
        context = {**host.page_vars(), **context}
        own = host.render("clinic_dispatch/page.html", context)
        if own is not None:
            return own
    return render_template(context["cd_frame"], **context)


def frame(app: Flask, layout: Layout) -> Template:
    """A template of a few lines that fills the host's block: Jinja cannot name a block by a variable.

    :raises ConfigurationError: the block's name is none.
    """
    frames: dict[tuple[str, str], Template] = current_dispatch().cache.setdefault(_CACHE_FRAMES, {})
    key = (layout.template, layout.block)
    if key not in frames:
        if not _BLOCK.match(layout.block):
            advice = "write the name of a block of your base template, such as content."
            raise ConfigurationError("CLINIC_DISPATCH_BASE_BLOCK", layout.block, advice)
        frames[key] = app.jinja_env.from_string(_frame_source(app, layout))
    return frames[key]


def _frame_source(app: Flask, layout: Layout) -> str:
    env = app.jinja_env
    begin, end = env.block_start_string, env.block_end_string
    show, shown = env.variable_start_string, env.variable_end_string
    name = layout.template.replace("\\", "\\\\").replace('"', '\\"')
    title = f"{show} cd_title {shown}"
    if _title_block_holds_the_tag(app, layout.template):
        title = f"<title>{title}</title>"
    parts = [f'{begin} extends "{name}" {end}']
    if layout.block != "title":
        parts.append(f"{begin} block title {end}{title}{begin} endblock {end}")
    parts.append(f"{begin} block {layout.block} {end}{show} cd_page {shown}{begin} endblock {end}")
    return "".join(parts)


def _title_block_holds_the_tag(app: Flask, template: str) -> bool:
    """Whether the host writes ``<title>`` inside its block ``title`` rather than around it."""
    loader = app.jinja_env.loader
    if loader is None:
        return False
    try:
        source = loader.get_source(app.jinja_env, template)[0]
    except Exception:
        return False
    begin = re.escape(app.jinja_env.block_start_string)
    end = re.escape(app.jinja_env.block_end_string)
    return bool(re.search(rf"{begin}[-+]?\s*block\s+title\s*[-+]?{end}\s*<title", source))


def layout_marker_found(app: Flask) -> bool:
    """For the doctor: whether a page of ours shows in the host's layout."""
    return layout_problem(app) == ""


def layout_problem(app: Flask) -> str:
    """For the doctor: what is wrong with the host's layout, and what to do; empty: nothing."""
    with app.test_request_context("/"):
        try:
            layout = host_layout()
            page = Page(title="check", body=Markup(f"<div {MARKER}></div>"))
            shown = MARKER in in_layout(page, layout)
        except Exception as error:
            return f"the layout cannot be rendered: {type(error).__name__}: {error}"
    if shown:
        return ""
    return (
        f"the template {layout.template} shows nothing in its block {layout.block!r}: "
        "name the right block in layout() or in CLINIC_DISPATCH_BASE_BLOCK"
    )


def said(notices: Mapping[str, str], key: str | None) -> str:
    """The sentence after a redirect: ``?said=saved`` stands for a text of the view's, nothing else is shown."""
    return i18n._(notices[key]) if key is not None and key in notices else ""
