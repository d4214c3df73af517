"""The SQL that asks for a mailing's last results, by whichever worker, and for mailings the program stopped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Select, bindparam, func, select, union_all

from clinic_dispatch_plugin.database.base import UtcDateTime, db_now
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.rules import AttemptState
from clinic_dispatch_plugin.messages.tables import Attempt, Audit, Message

#: What reports may stand on an attempt: with each of them the index gives the newest first.
_REPORTS = (None, "no_report", "delayed", "failed", "delivered", "read")
_DECIDED = (AttemptState.ACCEPTED.value, AttemptState.REFUSED.value)


def last_results(
    connection: Connection, mailing_id: int, account_id: int, *, limit: int
) -> list[int | None]:
    """What the gateway decided last about a mailing's messages, oldest first: an answer, or None for an acceptance.

    What came before a person looked at the cause and let it go on is not counted again.
    """
    resumed = select(func.max(Audit.at)).where(
        Audit.mailing_id == mailing_id, Audit.action == "resume"
    )
    started = select(Mailing.created_at).where(Mailing.id == mailing_id)
    since = func.coalesce(resumed.scalar_subquery(), started.scalar_subquery(), type_=UtcDateTime())
    start = connection.execute(select(since)).scalar()
    asked = {"mailing_id": mailing_id, "account_id": account_id, "since": start, "many": limit}
    found = connection.execute(_asking(), asked).all()
    newest = sorted(found, key=lambda row: (row.opened_at, row.id))[-limit:]
    accepted = AttemptState.ACCEPTED.value
    return [None if row.state == accepted else row.answer_id for row in newest]


@cache
def _asking() -> CompoundSelect[Any]:
    return union_all(*map(_last_of, _REPORTS))


def _last_of(report: str | None) -> Select[Any]:
    """The last of those with one report, in a form that can stand beside others."""
    query = (
        select(Attempt.opened_at, Attempt.id, Attempt.state, Attempt.answer_id)
        .join(Message, Message.id == Attempt.message_id)
        .where(
            Attempt.account_id == bindparam("account_id"),
            Attempt.report.is_(None) if report is None else Attempt.report == report,
            Attempt.opened_at >= bindparam("since"),
            Message.mailing_id == bindparam("mailing_id"),
            Attempt.state.in_(_DECIDED),
        )
        .order_by(Attempt.opened_at.desc())
        .limit(bindparam("many"))
    )
    return select(query.subquery())


def handed_lately(connection: Connection, account_id: int, *, seconds: float) -> int:
    """How many messages were handed to an account's gateway within so many seconds, by all workers."""
    number = 0
    for report in _REPORTS:
        query = select(func.count()).where(
            Attempt.account_id == account_id,
            Attempt.report.is_(None) if report is None else Attempt.report == report,
            Attempt.opened_at > db_now(-seconds),
        )
        number += int(connection.execute(query).scalar_one())
    return number


def stopped_lately(connection: Connection, account_id: int, *, seconds: float) -> set[int]:
    """The mailings on one account that the program stopped within so many seconds."""
    query = select(Audit.mailing_id, Audit.details).where(
        Audit.actor_ref == "system", Audit.action == "pause", Audit.at > db_now(-seconds)
    )
    return {
        int(row.mailing_id)
        for row in connection.execute(query)
        if row.mailing_id is not None and (row.details or {}).get("account") == account_id
    }


def last_stop(connection: Connection, mailing_id: int) -> Mapping[str, Any]:
    """What was written down when the program stopped a mailing last."""
    query = (
        select(Audit.details)
        .where(
            Audit.mailing_id == mailing_id,
            Audit.action == "pause",
            Audit.actor_ref == "system",
        )
        .order_by(Audit.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar() or {}
