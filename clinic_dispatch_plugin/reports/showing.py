"""What the pages of bounce mails show: only what somebody may see; the mail itself after the trail says who looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import lists_store
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports import store
from clinic_dispatch_plugin.reports.rules import as_bytes
from clinic_dispatch_plugin.reports.service import Understood, from_row, understood

PAGE = 50
#: Rows of others that are passed over for one page at most.
_MOST_ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One mail as a list has it."""

    row: RowMapping
    recipients: Sequence[Understood]
    message: RowMapping | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the list."""

    shown: Sequence[Shown]
    #: The id below which the next page begins; None: there is none.
    after: int | None
    counts: Mapping[str, int]


def page(dispatch: Dispatch, actor: Actor, *, state: str = "", before: int | None = None) -> Page:
    """The newest mails that the actor may see.

    One that belongs to no message is open to all who may look; else nobody could tie it.
    """
    sight = Sight(dispatch, actor)
    found: list[tuple[RowMapping, RowMapping | None]] = []
    cursor, more = before, True
    for _ in range(_MOST_ROUNDS):
        with dispatch.database.begin() as connection:
            rows = store.page(connection, state=state, before=cursor, limit=PAGE + 1)
            known = _messages(connection, rows)
        more = len(rows) > PAGE
        cursor = rows[PAGE - 1]["id"] if more else None
        pairs = [(row, known.get(row["message_id"] or 0)) for row in rows[:PAGE]]
        found += sight.of(pairs, lambda pair: pair[1]["ref"] if pair[1] else "")
        if len(found) >= PAGE or not more:
            break
    with dispatch.database.begin() as connection:
        shown = [_shown(dispatch, connection, row, message) for row, message in found[:PAGE]]
        counts = store.counts(connection) if sight.everything else {}
    after = found[PAGE - 1][0]["id"] if len(found) > PAGE else cursor
    return Page(shown=shown, after=after if more or len(found) > PAGE else None, counts=counts)


def one(dispatch: Dispatch, actor: Actor, bounce_id: int) -> Shown:
    """One mail.

    :raises LookupError: there is none that the actor may see.
    """
    with dispatch.database.begin() as connection:
        row = store.bounce(connection, bounce_id)
        if row is None:
            raise LookupError(bounce_id)
        shown = _shown(
            dispatch, connection, row, _messages(connection, [row]).get(row["message_id"] or 0)
        )
    if not Sight(dispatch, actor).sees(shown.message["ref"] if shown.message else ""):
        raise LookupError(bounce_id)
    return shown


def text_of(dispatch: Dispatch, actor: Actor, bounce_id: int) -> str:
    """The mail as it came, after the trail names who looks.

    :raises LookupError: there is none that the actor may see.
    """
    shown = one(dispatch, actor, bounce_id)

    def work(connection: Connection) -> None:
        messages.write_audit(
            connection,
            actor_ref=actor.ref,
            actor_name=actor.name,
            action="view_contents",
            mailing_id=shown.message["mailing_id"] if shown.message else None,
            message_ids=[shown.row["message_id"]],
            details={"bounce": bounce_id},
        )

    dispatch.database.run(work)
    with dispatch.database.begin() as connection:
        raw = as_bytes(store.raw(connection, bounce_id) or "")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _messages(connection: Connection, rows: Sequence[RowMapping]) -> dict[int, RowMapping]:
    ids = {row["message_id"] for row in rows if row["message_id"] is not None}
    return {row["id"]: row for row in lists_store.messages_by_id(connection, ids)} if ids else {}


def _shown(
    dispatch: Dispatch, connection: Connection, row: RowMapping, message: RowMapping | None
) -> Shown:
    recipients = [from_row(each) for each in (row["recipients"] or [])]
    return Shown(row=row, recipients=understood(dispatch, connection, recipients), message=message)
