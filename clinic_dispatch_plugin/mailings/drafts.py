"""A mailing while it is being written: begun, changed step by step, thrown away; every step is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.types import Purpose
from clinic_dispatch_plugin.host.types import Action, Actor
from clinic_dispatch_plugin.mailings import store, uploads
from clinic_dispatch_plugin.mailings.content import MailingContent, storable
from clinic_dispatch_plugin.mailings.filters import checked_filters
from clinic_dispatch_plugin.mailings.order import checked_order, with_silences
from clinic_dispatch_plugin.mailings.problems import MailingProblem, NoRoute, NotYours, Problem
from clinic_dispatch_plugin.mailings.sources import (
    audiences,
    one_line,
)
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.quiet import ANY_HOUR, any_hour
from clinic_dispatch_plugin.messages.routes import order_of
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.asking import ask
from clinic_dispatch_plugin.web.i18n import N_

LONGEST_NAME = 200
#: Action in the audit trail.
DISCARDED = "discard"
PASSED = N_("This time has passed already: enter a later one or leave the field empty.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A mailing as its pages need it; a draft unless ``state`` says otherwise."""

    id: int
    name: str
    purpose: str
    channel: str
    state: MailingState
    #: ``audience``, ``file``; empty: nobody was chosen yet.
    source: str
    selection: Mapping[str, Any]
    content: MailingContent
    template_id: int | None
    not_after: datetime | None
    created_by: str
    created_by_name: str
    row: RowMapping = field(repr=False)
    #: The channels after the first, each with the words written for it; empty ones say what the first says.
    further: Mapping[str, MailingContent] = field(default_factory=dict)

    @property
    def start_at(self) -> datetime | None:
        """When it is to start; None: as soon as somebody sends it."""
        found: datetime | None = self.row["started_at"]
        return found

    @property
    def times(self) -> Times:
        """When it starts and ends."""
        return Times(start_at=self.start_at, not_after=self.not_after, any_hour=self.any_hour)

    @property
    def any_hour(self) -> bool:
        """Whether it goes out in quiet hours too."""
        return any_hour(self.purpose, self.selection)

    @property
    def order(self) -> tuple[str, ...]:
        """All channels, the first one first."""
        return (self.channel, *self.further)

    @property
    def silences(self) -> Mapping[str, int | None]:
        """Minutes each channel but the last is waited for, where somebody said so; None: as usual for it."""
        fallbacks = self.row["fallbacks"] or ()
        waits = (each.get("silence") for each in fallbacks)
        return dict(zip(self.order, waits, strict=False))

    @property
    def has_recipients(self) -> bool:
        """Whether step one is done."""
        return bool(self.selection.get("upload") or self.selection.get("audience"))

    @property
    def has_text(self) -> bool:
        """Whether step two is done."""
        return bool(self.content.text.strip())


def of_row(row: RowMapping) -> Draft:
    """A row as a draft."""
    selection = row["selection"] or {}
    written = row["draft"] or {}
    return Draft(
        id=row["id"],
        name=row["name"],
        purpose=row["purpose"],
        channel=row["channel"],
        state=MailingState(row["state"]),
        source=row["source"] if selection else "",
        selection=selection,
        content=_content(written),
        template_id=row["template_id"],
        not_after=row["not_after"],
        created_by=row["created_by"],
        created_by_name=row["created_by_name"],
        row=row,
        further={
            key: _content((written.get("texts") or {}).get(key) or {})
            for key in order_of(row["channel"], row["fallbacks"])[1:]
        },
    )


def _content(written: Mapping[str, Any]) -> MailingContent:
    return MailingContent(
        subject=str(written.get("subject", "")),
        text=str(written.get("text", "")),
        html=str(written.get("html", "")),
    )


def create_draft(dispatch: Dispatch, actor: Actor) -> int:
    """An empty draft; returns its id.

    :raises MailingProblem: there is no channel to send through.
    """
    if not dispatch.channels:
        raise MailingProblem(Problem(field="channel", message="No channel is installed."))
    values = {
        "name": "",
        "purpose": Purpose.SERVICE.value,
        "channel": next(iter([*channels_to_choose(dispatch), *dispatch.channels])),
        "state": MailingState.DRAFT.value,
        "draft": {},
        "created_by": actor.ref[:128],
        "created_by_name": actor.name[:255],
    }
    return dispatch.database.run(lambda connection: store.add_mailing(connection, values))


def load(dispatch: Dispatch, mailing_id: int, actor: Actor) -> Draft:
    """A mailing for its writer, or for whoever administers them all.

    :raises NotYours: there is none, or it is somebody else's.
    """
    with dispatch.database.begin() as connection:
        row = store.mailing(connection, mailing_id)
    if row is None or not may_open(dispatch, row, actor):
        raise NotYours(mailing_id)
    return of_row(row)


def may_open(dispatch: Dispatch, row: RowMapping, actor: Actor) -> bool:
    """Whether a draft is this actor's own, or the actor administers them all."""
    mine = row["created_by"] == actor.ref[:128]
    return mine or ask("is_allowed", lambda: dispatch.host.is_allowed(actor, Action.CONFIGURE))


def save(dispatch: Dispatch, mailing_id: int, values: Mapping[str, Any]) -> None:
    """Change a draft.

    :raises MailingProblem: it was started meanwhile.
    """
    changed = dispatch.database.run(
        lambda connection: store.change_mailing(
            connection, mailing_id, values, in_states=[MailingState.DRAFT]
        )
    )
    if not changed:
        message = "This mailing was started already, so it cannot be changed any more."
        raise MailingProblem(Problem(field="", message=message))


def channels_to_choose(dispatch: Dispatch) -> list[str]:
    """Channels with an account."""
    return [key for key in dispatch.channels if dispatch.account(key) is not None]


def order_values(
    dispatch: Dispatch,
    draft: Draft,
    channel: str,
    fallbacks: Sequence[str] | None,
    waits: Sequence[int | None] = (),
) -> dict[str, Any]:
    """The channels of a draft; an empty name keeps its first one, None what follows.

    :param waits: beside each of the fallbacks, minutes without a report after which its turn comes; None: as usual.
    :raises MailingProblem: there is none of this name, or one is chosen twice.
    """
    kept = list(draft.further) if fallbacks is None else [key for key in fallbacks if key]
    said = [minutes for key, minutes in zip_longest(fallbacks or (), waits) if key]
    try:
        order = checked_order(dispatch, [channel or draft.channel, *kept])
    except NoRoute as error:
        problem = Problem(field="channel", message="Choose one of the list.")
        raise MailingProblem(problem) from error
    silences = draft.silences if fallbacks is None else dict(zip(order, said, strict=False))
    legs = [{"channel": key} for key in order]
    return {"channel": order[0], "fallbacks": with_silences(legs, silences)}


def choose_audience(
    dispatch: Dispatch,
    draft: Draft,
    *,
    key: str,
    filters: Mapping[str, str],
    purpose: str,
    channel: str = "",
    fallbacks: Sequence[str] | None = None,
    waits: Sequence[int | None] = (),
) -> None:
    """Step one: a group of the clinic's; filters it does not have are left out.

    :param purpose: empty: what the group is usually written to for.
    :param fallbacks: the channels after the first; None: as they are.
    :param waits: beside each of them, minutes without a report after which its turn comes; None: as usual.
    :raises MailingProblem: no such group, a filter is missing or wrong, no such purpose.
    """
    audience = next((each for each in audiences(dispatch.host) if each.key == key), None)
    if audience is None:
        raise MailingProblem(Problem(field="whom", message="Choose who gets the message."))
    kept = checked_filters(audience, filters)
    values = {
        "source": "audience",
        "selection": {"audience": key, "filters": kept, "label": one_line(str(audience.label))},
        "purpose": checked_purpose(purpose or audience.purpose),
        **order_values(dispatch, draft, channel, fallbacks, waits),
        **first_name(draft, str(audience.label)),
    }
    save(dispatch, draft.id, values)
    uploads.remove(dispatch, draft.selection.get("upload"))


def first_name(draft: Draft, proposed: str) -> dict[str, str]:
    """A name for a mailing that has none yet; a proposed one follows the choice until somebody writes one."""
    if draft.name and draft.name != (draft.row["draft"] or {}).get("proposed"):
        return {}
    name = one_line(proposed)[:LONGEST_NAME]
    written = {**(draft.row["draft"] or {}), "proposed": name}
    return {"name": name, "draft": written}  # type: ignore[dict-item]


def checked_purpose(purpose: str) -> str:
    """The purpose, when there is one of this name.

    :raises MailingProblem: there is none.
    """
    if purpose not in set(Purpose):
        raise MailingProblem(Problem(field="purpose", message="Choose what the message is for."))
    return purpose


def write(
    dispatch: Dispatch,
    draft: Draft,
    *,
    name: str,
    content: MailingContent,
    template_id: int | None = None,
    further: Mapping[str, MailingContent] | None = None,
) -> Draft:
    """Step two, whatever is in it: kept even where it has faults, so that nothing typed is lost."""
    length = len(one_line(name))
    written = {
        **(draft.row["draft"] or {}),
        "name_too_long": length if length > LONGEST_NAME else 0,
        **_written(content),
    }
    if further is not None:
        # What was written for a channel that is left out for now comes back with it.
        texts = {key: _written(each) for key, each in further.items()}
        written["texts"] = {**(written.get("texts") or {}), **texts}
    values = {
        "name": one_line(name)[:LONGEST_NAME],
        "draft": written,
        "template_id": template_id,
    }
    save(dispatch, draft.id, values)
    return of_row({**draft.row, **values})  # type: ignore[arg-type]


def _written(content: MailingContent) -> dict[str, str]:
    return {
        "subject": storable(content.subject),
        "text": storable(content.text),
        "html": storable(content.html),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When a draft starts, and until when it goes out."""

    #: None: as soon as somebody sends it.
    start_at: datetime | None = None
    not_after: datetime | None = None
    #: In quiet hours too.
    any_hour: bool = False


def set_times(dispatch: Dispatch, draft: Draft, times: Times) -> None:
    """Keep when it starts and ends."""
    kept = {name: value for name, value in draft.selection.items() if name != ANY_HOUR}
    values = {
        "not_after": times.not_after,
        "started_at": times.start_at,
        "selection": {**kept, ANY_HOUR: True} if times.any_hour else kept,
    }
    save(dispatch, draft.id, values)


def discard_draft(dispatch: Dispatch, draft: Draft, actor: Actor | None = None) -> bool:
    """Throw a draft away, with its list; False: it was started meanwhile.

    :param actor: who does it, for the audit trail; None: it is taken back before anybody saw it.
    """

    def work(connection: Connection) -> bool:
        removed = store.remove_draft(connection, draft.id)
        if removed and actor is not None:
            messages.write_audit(
                connection,
                actor_ref=actor.ref,
                actor_name=actor.name,
                action=DISCARDED,
                mailing_id=draft.id,
                details={"name": draft.name, "created_by": draft.created_by},
            )
        return removed

    done = dispatch.database.run(work)
    if done:
        uploads.remove(dispatch, draft.selection.get("upload"))
    return done
