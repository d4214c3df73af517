"""Which HTML a text may hold: cleaned when it is saved, and again when it is rendered."""

from __future__ import annotations

import re

import nh3


def _words(said: str) -> frozenset[str]:
    return frozenset(said.split())


_TAGS = _words(
    "a abbr b blockquote br caption code col colgroup dd div dl dt em h1 h2 h3 h4 h5 h6 hr i img li ol"
    " p pre s small span strong sub sup table tbody td tfoot th thead tr u ul"
)
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", "align", "valign", "width", "bgcolor"},
    "th": {"colspan", "rowspan", "align", "valign", "width", "bgcolor"},
    "table": {"width", "align", "border", "cellpadding", "cellspacing", "bgcolor"},
    "*": {"style", "lang", "dir"},
}
_STYLES = _words(
    "color background-color font-family font-size font-style font-weight line-height text-align"
    " text-decoration margin margin-top margin-right margin-bottom margin-left padding padding-top"
    " padding-right padding-bottom padding-left border border-top border-right border-bottom"
    " border-left border-radius border-collapse width max-width height vertical-align"
)
#: A link begins with its scheme, in so many letters: a placeholder cannot bring one of its own.
_LINK = re.compile(r"(?:https://|mailto:|tel:)", re.IGNORECASE)
_PICTURE = re.compile(r"https://", re.IGNORECASE)


def clean_html(html: str) -> str:
    """HTML with our list of elements and attributes alone; links are ``https``, ``mailto`` or ``tel``."""
    if not html.strip():
        return ""
    return nh3.clean(
        html.replace("\0", ""),
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=_attribute,
        filter_style_properties=set(_STYLES),
        url_schemes={"https", "mailto", "tel"},
        link_rel="noopener noreferrer",
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "href":
        return value if _LINK.match(value) else None
    if name == "src":
        return value if _PICTURE.match(value) else None
    return value
