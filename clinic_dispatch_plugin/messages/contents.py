"""The finished words of one message: shown only to those who may, and only after the trail says who looked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import nh3
from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.html import clean_html
from clinic_dispatch_plugin.channels.text import EmptyPlaceholder, Template, parse
from clinic_dispatch_plugin.channels.types import Content
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import lists_store, store
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.messages.routes import legs_of
from clinic_dispatch_plugin.registry import Dispatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What one recipient gets."""

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    #: A value the text needs is missing, so there are no finished words.
    missing: tuple[str, ...] = ()


def look_at_contents(
    dispatch: Dispatch, actor: Actor, message_id: int, *, reason: str = ""
) -> Contents:
    """The words of a message, after its trail names who looks.

    :raises LookupError: there is no such message for this actor.
    """
    with dispatch.database.begin() as connection:
        row = lists_store.message(connection, message_id)
        mailing = lists_store.mailing(connection, row["mailing_id"]) if row else None
    # A trial goes to its writer and holds a patient's words: whoever may not see that patient sees no trial either.
    trial_of = str(((mailing["selection"] if mailing else None) or {}).get("trial_of", ""))
    sight = Sight(dispatch, actor)
    if row is None or not sight.sees(row["ref"]) or not sight.sees(trial_of):
        raise LookupError(message_id)

    def work(connection: Connection) -> None:
        store.write_audit(
            connection,
            actor_ref=actor.ref,
            actor_name=actor.name,
            action="view_contents",
            mailing_id=row["mailing_id"],
            message_ids=[message_id],
            details={"reason": reason[:200]} if reason else None,
        )

    dispatch.database.run(work)
    with dispatch.database.begin() as connection:
        return render(dispatch, connection, row)


def render(dispatch: Dispatch, connection: Connection, row: Mapping[Any, Any]) -> Contents:
    """The words of one message's row; none any more where they were removed after their time."""
    if row["stripped_at"] is not None:
        return Contents(subject="", text="", html="")
    texts = texts_of(connection, row["mailing_id"], row["channel"])
    values = {name: str(value) for name, value in (row["data"] or {}).items()}
    locale = row["locale"] or dispatch.settings.locale
    try:
        return Contents(
            subject=texts[0].render(values, locale=locale, one_line=True),
            text=texts[1].render(values, locale=locale),
            html=clean_html(texts[2].render(values, locale=locale, escape=nh3.clean_text)),
        )
    except EmptyPlaceholder:
        lacking = {name for text in texts for name in text.missing(values)}
        return Contents(subject="", text="", html="", missing=tuple(sorted(lacking)))


def of(content: Content) -> Contents:
    """Finished words on their way, to be compared with others."""
    return Contents(subject=content.subject, text=content.text, html=content.html)


def texts_of(
    connection: Connection, mailing_id: int, channel: str
) -> tuple[Template, Template, Template]:
    """Subject, text and HTML of a mailing on one of its channels."""
    mailing = lists_store.mailing(connection, mailing_id)
    legs = legs_of(mailing) if mailing else ()
    revision_id = next((leg.revision_id for leg in legs if leg.channel == channel), None)
    found = lists_store.revision(connection, revision_id) if revision_id else None
    sources = ("", "", "") if found is None else (found["subject"], found["body"], found["html"])
    subject, body, html = map(parse, sources)
    return subject, body, html
