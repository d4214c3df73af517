"""Texts the clinic uses again: a change makes a new revision, the old one stays for the messages it went out with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.mailings import texts_store as store
from clinic_dispatch_plugin.mailings.content import MailingContent, checked_content
from clinic_dispatch_plugin.mailings.drafts import LONGEST_NAME, checked_purpose
from clinic_dispatch_plugin.mailings.problems import MailingProblem, NotYours, Problem, name_cut
from clinic_dispatch_plugin.mailings.sources import one_line
from clinic_dispatch_plugin.mailings.store import add_revision
from clinic_dispatch_plugin.registry import Dispatch


@dataclass(frozen=True, slots=True, kw_only=True)
class MailingTemplate:
    """A text as it would be used now."""

    id: int
    name: str
    purpose: str
    channel: str
    content: MailingContent
    archived: bool
    updated_at: datetime
    updated_by: str


def templates(
    dispatch: Dispatch, *, channel: str | None = None, archived: bool = False
) -> Sequence[MailingTemplate]:
    """All texts that are in use, or with ``archived`` those put away, by name."""
    with dispatch.database.begin() as connection:
        rows = store.templates(connection, channel=channel, archived=archived)
    return [_of_row(row) for row in rows]


def template(dispatch: Dispatch, template_id: int) -> MailingTemplate:
    """One text.

    :raises NotYours: there is none.
    """
    with dispatch.database.begin() as connection:
        row = store.template(connection, template_id)
    if row is None:
        raise NotYours(template_id)
    return _of_row(row)


def template_for_code(connection: Connection, wanted: int | str) -> MailingTemplate:
    """A text by its id or its name, for host code; of several with this name the newest.

    :raises NotYours: there is none.
    """
    row = (
        store.template(connection, wanted)
        if isinstance(wanted, int)
        else store.template_by_name(connection, wanted)
    )
    if row is None:
        raise NotYours(wanted)
    return _of_row(row)


def create_template(
    dispatch: Dispatch,
    *,
    name: str,
    purpose: str,
    channel: str,
    content: MailingContent,
    actor: Actor,
) -> int:
    """Add a text; returns its id.

    :raises MailingProblem: names each field that is wrong.
    """
    name, kept = _checked(dispatch, name=name, purpose=purpose, channel=channel, content=content)

    def work(connection: Connection) -> int:
        template_id = store.add_template(
            connection, {"name": name, "purpose": purpose, "channel": channel}
        )
        _new_revision(connection, template_id, channel=channel, content=kept, actor=actor)
        return template_id

    return dispatch.database.run(work)


def change_template(
    dispatch: Dispatch,
    template_id: int,
    *,
    name: str,
    purpose: str,
    content: MailingContent,
    actor: Actor,
) -> None:
    """Change a text; mailings that used it keep the words they had.

    :raises MailingProblem: names each field that is wrong.
    :raises NotYours: there is none.
    """
    known = template(dispatch, template_id)
    name, kept = _checked(
        dispatch, name=name, purpose=purpose, channel=known.channel, content=content
    )

    def work(connection: Connection) -> None:
        store.change_template(connection, template_id, {"name": name, "purpose": purpose})
        if kept != known.content:
            _new_revision(connection, template_id, channel=known.channel, content=kept, actor=actor)

    dispatch.database.run(work)


def archive_template(dispatch: Dispatch, template_id: int, *, archived: bool = True) -> None:
    """Put a text away, or take it back; nothing is lost.

    :raises NotYours: there is none.
    """
    done = dispatch.database.run(
        lambda connection: store.archive(connection, template_id, archived=archived)
    )
    if not done:
        raise NotYours(template_id)


def _checked(
    dispatch: Dispatch, *, name: str, purpose: str, channel: str, content: MailingContent
) -> tuple[str, MailingContent]:
    problems: list[Problem] = []
    name = one_line(name)
    if len(name) > LONGEST_NAME:
        problems.append(name_cut(len(name), LONGEST_NAME))
    if not name:
        problems.append(Problem(field="name", message="Give the template a name."))
    try:
        checked_purpose(purpose)
    except MailingProblem as error:
        problems += error.problems
    found = dispatch.channels.get(channel)
    if found is None:
        problems.append(Problem(field="channel", message="Choose one of the list."))
    try:
        if found is not None:
            content = checked_content(content, fields=found.fields)
    except MailingProblem as error:
        problems += error.problems
    if problems:
        raise MailingProblem(*problems)
    return name, content


def _new_revision(
    connection: Connection,
    template_id: int,
    *,
    channel: str,
    content: MailingContent,
    actor: Actor,
) -> None:
    revision_id = add_revision(
        connection,
        channel=channel,
        subject=content.subject,
        body=content.text,
        html=content.html,
        created_by=actor.name,
        template_id=template_id,
    )
    store.change_template(connection, template_id, {"revision_id": revision_id})


def _of_row(row: RowMapping) -> MailingTemplate:
    return MailingTemplate(
        id=row["id"],
        name=row["name"],
        purpose=row["purpose"],
        channel=row["channel"],
        content=MailingContent(
            subject=row["subject"] or "", text=row["body"] or "", html=row["html"] or ""
        ),
        archived=row["archived_at"] is not None,
        updated_at=row["updated_at"],
        updated_by=row["created_by"] or "",
    )
