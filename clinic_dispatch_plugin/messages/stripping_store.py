"""The SQL that removes what is personal from messages that are over; states, counts, causes and times stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, null, or_, select, update

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.mailing_tables import Mailing, Revision
from clinic_dispatch_plugin.messages.rules import SETTLED
from clinic_dispatch_plugin.messages.tables import Attempt, Audit, Message

_OVER = (MailingState.FINISHED.value, MailingState.CANCELLED.value)
#: Deeds whose words may name an address or a reason a person typed.
_TALKATIVE = ("correct_address", "view_contents")


def due_mailings(
    connection: Connection, *, purposes: Sequence[str], seconds: float, limit: int
) -> Sequence[RowMapping]:
    """Mailings of these purposes that ended so many seconds ago and are whole, the oldest first."""
    query = (
        select(Mailing.__table__)
        .where(
            Mailing.stripped_at.is_(None),
            Mailing.finished_at < db_now(-seconds),
            Mailing.state.in_(_OVER),
            Mailing.purpose.in_(purposes),
        )
        .order_by(Mailing.finished_at)
        .limit(limit)
    )
    return connection.execute(query).mappings().all()


def hold_mailing(connection: Connection, mailing_id: int, *, seconds: float) -> bool:
    """Keep a mailing from being reopened until the transaction ends; False: it is under way again."""
    done = connection.execute(
        update(Mailing)
        .where(
            Mailing.id == mailing_id,
            Mailing.state.in_(_OVER),
            Mailing.finished_at < db_now(-seconds),
        )
        .values(stripped_at=Mailing.stripped_at)
    )
    return bool(done.rowcount)


def next_messages(
    connection: Connection, *, mailing_id: int, after: int, limit: int
) -> list[RowMapping]:
    """Messages of a mailing behind ``after``, by id."""
    query = select(Message.id, Message.route, Message.state).where(
        Message.mailing_id == mailing_id, Message.id > after
    )
    return list(connection.execute(query.order_by(Message.id).limit(limit)).mappings())


def messages_of_ref(
    connection: Connection, ref: str, *, after: int, limit: int
) -> list[RowMapping]:
    """Messages of a patient behind ``after``, by id."""
    query = select(Message.__table__).where(Message.ref == ref, Message.id > after)
    return list(connection.execute(query.order_by(Message.id).limit(limit)).mappings())


def strip_messages(connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> int:
    """Remove what is personal from these messages and their attempts, where nothing more will happen; returns how many.

    One statement for all that went one way, and one for each that was to go several: their channels stay.
    """
    over = [state.value for state in SETTLED]
    rows = [row for row in rows if row["state"] in over]
    ids = [row["id"] for row in rows]
    for row in rows:
        if row["route"]:
            kept = {"passed": row["route"].get("passed", [])}
            connection.execute(update(Message).where(Message.id == row["id"]).values(route=kept))
    done = connection.execute(
        update(Message)
        .where(Message.id.in_(ids), Message.state.in_(over), Message.stripped_at.is_(None))
        .values(
            address="",
            name="",
            ref="",
            data={},
            duplicate_key=None,
            provider_id=None,
            line=None,
            stripped_at=db_now(),
        )
    )
    connection.execute(
        update(Attempt)
        .where(Attempt.message_id.in_(ids), or_(Attempt.address != "", Attempt.answer_text != ""))
        .values(address="", answer_text="")
    )
    return done.rowcount


def quiet_audit(connection: Connection, ids: Sequence[int], *, everything: bool = False) -> None:
    """Take the words out of the trail of these messages; who did what and when stays."""
    query = update(Audit).where(Audit.message_id.in_(ids))
    if not everything:
        query = query.where(Audit.action.in_(_TALKATIVE))
    connection.execute(query.values(details={}))


def strip_mailing(
    connection: Connection,
    mailing_id: int,
    *,
    revisions: Sequence[int],
    selection: Mapping[str, Any],
    alone: bool,
) -> None:
    """A mailing all of whose messages are stripped: its own words go too; a template of the clinic's stays.

    :param alone: it was written to one person, whose visit its name may tell.
    """
    values: dict[str, Any] = {
        "stripped_at": db_now(),
        "draft": null(),
        "selection": dict(selection),
    }
    if alone:
        values["name"] = ""
    done = connection.execute(
        update(Mailing).where(Mailing.id == mailing_id, Mailing.state.in_(_OVER)).values(**values)
    )
    if not done.rowcount:
        return
    connection.execute(
        update(Revision)
        .where(Revision.id.in_(list(revisions)), Revision.template_id.is_(None))
        .values(subject="", body="", html="")
    )


def attempts_of(connection: Connection, ids: Sequence[int]) -> Sequence[RowMapping]:
    """The attempts of these messages."""
    query = select(Attempt.__table__).where(Attempt.message_id.in_(ids))
    return connection.execute(query.order_by(Attempt.message_id, Attempt.number)).mappings().all()
