"""Bounce mails: kept once, read, tied to their message, and what follows from them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.error_reference.rules import Explanation
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import lists_store
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports import effects, inbox_store, store
from clinic_dispatch_plugin.reports.reading import read_mail
from clinic_dispatch_plugin.reports.rules import (
    BounceState,
    MailKind,
    ReadMail,
    Reported,
    ReportedAction,
    as_bytes,
    as_text,
    digest_of,
)

log = logging.getLogger(__name__)

#: Mails one round looks at again.
_PORTION = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """One recipient of a mail with what the reference says."""

    said: Reported
    explanation: Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one mail that was handed in."""

    read: ReadMail = field(repr=False)
    recipients: Sequence[Understood]
    message_id: int | None = None
    #: None: it was only read.
    bounce_id: int | None = None
    #: False: it was kept before, so nothing was done.
    new: bool = False


class Why(StrEnum):
    """Why a mail cannot be tied to a message."""

    NO_MESSAGE = "no_message"
    NEVER_SENT = "never_sent"
    TIED = "tied"


class CannotTie(Exception):
    """A mail cannot be tied to this message."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


def look_at(dispatch: Dispatch, raw: bytes) -> Result:
    """Read a mail and say what it is about; nothing is kept."""
    read = read_mail(raw)
    with dispatch.database.begin() as connection:
        tie = effects.tie_of(connection, read)
        return Result(
            read=read,
            recipients=understood(dispatch, connection, read.recipients),
            message_id=tie.message_id if tie else None,
        )


def take(dispatch: Dispatch, raw: bytes, *, source: str, by: str) -> Result:
    """Keep a mail, tie it and do what it says; the same mail again changes nothing."""
    read = read_mail(raw)

    def work(connection: Connection) -> Result:
        values = _kept(read, raw, source=source, by=by)
        bounce_id = store.add(connection, values)
        if bounce_id is None:
            known = store.by_digest(connection, values["digest"])
            assert known is not None
            return Result(
                read=read,
                recipients=understood(dispatch, connection, read.recipients),
                message_id=known["message_id"],
                bounce_id=known["id"],
            )
        tie = effects.tie_of(connection, read)
        if tie is not None:
            _tie(dispatch, connection, bounce_id, read, tie)
        return Result(
            read=read,
            recipients=understood(dispatch, connection, read.recipients),
            message_id=tie.message_id if tie else None,
            bounce_id=bounce_id,
            new=True,
        )

    return dispatch.database.run(work)


def _kept(read: ReadMail, raw: bytes, *, source: str, by: str) -> dict[str, Any]:
    return {
        "digest": digest_of(raw),
        "source": source,
        "kind": read.kind.value,
        "state": (BounceState.UNKNOWN if read.readable else BounceState.UNREADABLE).value,
        "raw": as_text(raw),
        "recipients": [as_row(each) for each in read.recipients],
        "action": "",
        "created_by": by[:255],
        "tied_by": "",
    }


def _tie(
    dispatch: Dispatch,
    connection: Connection,
    bounce_id: int,
    read: ReadMail,
    tie: effects.Tie,
    *,
    by: str = "",
) -> bool:
    """Tie a kept mail that is not tied yet; False: somebody else did meanwhile."""
    effect = effects.apply(dispatch, connection, read, tie)
    values = {
        "state": effect.state.value,
        "action": effect.action,
        "answer_id": effect.answer_id,
        "message_id": tie.message_id,
        "attempt_id": tie.attempt["id"],
        "tied_by": by[:255],
    }
    untied = [state for state in BounceState if state is not BounceState.TIED]
    return store.change(connection, bounce_id, values, only=untied)


def look_again(dispatch: Dispatch) -> int:
    """Mails that came while their message was being handed over; returns how many are decided now."""
    with dispatch.database.begin() as connection:
        waiting = [row["id"] for row in store.early(connection, _PORTION)]

    def work(connection: Connection, bounce_id: int) -> bool:
        raw = store.raw(connection, bounce_id)
        read = read_mail(as_bytes(raw or ""))
        tie = effects.tie_of(connection, read)
        if tie is None or tie.is_early:
            return False
        return _tie(dispatch, connection, bounce_id, read, tie)

    done = 0
    for bounce_id in waiting:
        try:
            done += dispatch.database.run(lambda c, bounce_id=bounce_id: work(c, bounce_id))  # type: ignore[misc]
        except (ValueError, ArithmeticError, LookupError) as error:
            log.error("bounce mail %s cannot be tied: %s", bounce_id, places(error))
    return done


def tie_by_hand(dispatch: Dispatch, actor: Actor, bounce_id: int, message_id: int) -> None:
    """A person says which message a mail speaks of.

    :raises LookupError: there is no such mail that the actor may see.
    :raises CannotTie: it is tied already, or there is no such message, or that was never sent.
    """
    with dispatch.database.begin() as connection:
        row = store.bounce(connection, bounce_id)
        message = lists_store.message(connection, message_id)
    if row is None:
        raise LookupError(bounce_id)
    if message is None or not Sight(dispatch, actor).sees(message["ref"]):
        raise CannotTie(Why.NO_MESSAGE)

    def work(connection: Connection) -> None:
        raw = store.raw(connection, bounce_id)
        read = read_mail(as_bytes(raw or ""))
        tie = effects.tie_to(connection, read, message_id)
        if tie is None or tie.is_early:
            raise CannotTie(Why.NEVER_SENT)
        if not _tie(dispatch, connection, bounce_id, read, tie, by=actor.name or actor.ref):
            raise CannotTie(Why.TIED)
        messages.write_audit(
            connection,
            actor_ref=actor.ref,
            actor_name=actor.name,
            action="tie_bounce",
            mailing_id=tie.attempt["mailing_id"],
            message_ids=[message_id],
            details={"bounce": bounce_id},
        )

    dispatch.database.run(work)


def understood(
    dispatch: Dispatch, connection: Connection, recipients: Sequence[Reported]
) -> list[Understood]:
    """What the reference says of each; gathers nothing."""
    known = reference(dispatch, connection)
    return [
        Understood(said=each, explanation=known.explain(effects.answer_of(each)))
        for each in recipients
    ]


def as_row(said: Reported) -> dict[str, str]:
    """A recipient as it is kept."""
    return {
        "address": said.address,
        "action": said.action.value,
        "code": said.code,
        "answer": said.answer,
    }


def from_row(row: Mapping[str, Any]) -> Reported:
    """What :func:`as_row` made."""
    return Reported(
        address=str(row.get("address", "")),
        action=ReportedAction(row.get("action", "failed")),
        code=str(row.get("code", "")),
        answer=str(row.get("answer", "")),
    )


def recipients_in(raw: bytes) -> list[tuple[str, str, str]]:
    """Of a mail somebody tries in the reference: each recipient's address, code and the words about it."""
    found = []
    for each in read_mail(raw).recipients:
        answer = effects.answer_of(each)
        found.append((each.address, answer.code, answer.text))
    return found


def explains(kind: str) -> bool:
    """Whether the reference has anything to say of such a mail."""
    return kind == MailKind.BOUNCE.value


def of_message(connection: Connection, message_id: int) -> Sequence[RowMapping]:
    """The mails and the reports of gateways that speak of a message, for its history."""
    mails = store.of_message(connection, message_id)
    return [*mails, *inbox_store.of_message(connection, message_id)]
