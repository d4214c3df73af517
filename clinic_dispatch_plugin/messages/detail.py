"""One message as a person sees it: what became of it, every attempt with the raw answers, and who did what."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.error_reference.answers import Explained, describers, explained
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages import blocks_store
from clinic_dispatch_plugin.messages import lists_store as store
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.messages.blocks import Blocked, block_of
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.lists import Line, lines
from clinic_dispatch_plugin.messages.money import Cost, of_attempt
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One handing-over."""

    number: int
    state: str
    channel: str
    account: str
    address: str
    key: str
    provider_id: str | None
    opened_at: datetime
    closed_at: datetime | None
    #: What the gateway wrote, untouched; or our own words where it wrote nothing.
    text: str
    answer: Explained | None
    #: What was reported of it later; empty: nothing.
    report: str
    #: Whether the message's state follows from this one.
    current: bool
    #: What it cost.
    cost: Cost = field(default_factory=Cost)
    #: Parts the gateway counted; None: it did not say.
    parts: int | None = None

    @property
    def service_wrote(self) -> str:
        """The gateway's words; empty where the program itself found out, for support reads that in the report."""
        return "" if self.answer is not None and self.answer.system == "dispatch" else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A mail or a gateway's report that came later and speaks of this message."""

    id: int
    at: datetime
    #: ``failed``, ``delayed``, ``delivered``, ``complained``, ``replied`` …; empty: nothing clear.
    action: str
    #: Of which try; None: not known any more.
    number: int | None
    answer: Explained | None
    #: Who tied it by hand.
    tied_by: str
    #: Whether a gateway said it; else a mail did.
    by_gateway: bool = False
    #: It says no of a try that arrived.
    contradicts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Everything one page says of a message."""

    line: Line
    mailing: RowMapping
    key: str
    provider_id: str | None
    lost_runs: int
    tries: Sequence[Try]
    trail: Sequence[RowMapping]
    heard: Sequence[Heard]
    #: The patient's card in the host; None: there is none to show.
    card_url: str | None
    #: The account its waiting depends on, where nothing goes out through it.
    held_account: RowMapping | None
    #: Since when the recipient wants no messages of this kind at this address; None: they did not say so.
    unsubscribed_at: datetime | None = None
    #: The block that holds for its address; None: there is none.
    block: Blocked | None = None
    #: Who described answers that were explained only after they came, by the answer's id.
    described_by: Mapping[int, str] = field(default_factory=dict)


def message_detail(dispatch: Dispatch, actor: Actor, message_id: int) -> Detail:
    """One message with its history.

    :raises LookupError: there is none of this id that the actor may see.
    """
    with dispatch.database.begin() as connection:
        row = store.message(connection, message_id)
        if row is None:
            raise LookupError(message_id)
        (line,) = lines(dispatch, connection, [row])
        mailing = store.mailing(connection, row["mailing_id"])
        tried = store.attempts(connection, message_id)
        said = _heard_of(dispatch, connection, message_id)
        wanted = [each["answer_id"] for each in (*tried, *said)]
        answers = explained(dispatch, connection, wanted)
        named = describers(connection, answers.values())
        trail = blocks_store.audit_of_message(connection, message_id)
        unsubscribed_at = _unsubscribed_at(dispatch, connection, row, mailing)
        block = block_of(dispatch, connection, row["channel"], row["address"])
        known = {account["id"]: account for account in accounts.accounts(connection)}
    assert mailing is not None
    if not Sight(dispatch, actor).sees(row["ref"]):
        raise LookupError(message_id)
    return Detail(
        line=line,
        mailing=mailing,
        key=row["key"],
        provider_id=row["provider_id"],
        lost_runs=row["lost_runs"],
        tries=[_try(dispatch, row, attempt, answers, known) for attempt in tried],
        trail=trail,
        heard=[_heard(each, tried, answers) for each in said],
        card_url=card_url(dispatch, row["ref"]),
        held_account=known.get(row["account_id"] or 0) if line.held_by == "account" else None,
        unsubscribed_at=unsubscribed_at,
        block=block,
        described_by=named,
    )


def _unsubscribed_at(
    dispatch: Dispatch, connection: Connection, row: RowMapping, mailing: RowMapping | None
) -> datetime | None:
    digest = fingerprint(dispatch, row["channel"], row["address"])
    purpose = mailing["purpose"] if mailing else ""
    return blocks_store.unsubscribed(connection, row["channel"], [digest], purpose).get(digest)


def _try(
    dispatch: Dispatch,
    row: RowMapping,
    attempt: RowMapping,
    answers: dict[int, Explained],
    known: dict[int, RowMapping],
) -> Try:
    return Try(
        number=attempt["number"],
        state=attempt["state"],
        channel=attempt["channel"],
        account=account_label(dispatch, known.get(attempt["account_id"])),
        address=attempt["address"],
        key=attempt["key"],
        provider_id=attempt["provider_id"],
        opened_at=attempt["opened_at"],
        closed_at=attempt["closed_at"],
        text=attempt["answer_text"],
        answer=answers.get(attempt["answer_id"] or 0),
        report=attempt["report"] or "",
        current=attempt["id"] == row["attempt_id"],
        cost=of_attempt(attempt),
        parts=attempt["parts"],
    )


def _heard_of(dispatch: Dispatch, connection: Connection, message_id: int) -> Sequence[RowMapping]:
    """What the concern of reports lends, which stands above this one."""
    lent: Callable[[Connection, int], Sequence[RowMapping]] | None = dispatch.cache.get(
        "heard_of_message"
    )
    return lent(connection, message_id) if lent else ()


def _heard(
    row: Mapping[Any, Any], tried: Sequence[RowMapping], answers: dict[int, Explained]
) -> Heard:
    of_it = next((each for each in tried if each["id"] == row["attempt_id"]), None)
    arrived = of_it is not None and of_it["report"] in ("delivered", "read")
    return Heard(
        id=row["id"],
        at=row["received_at"],
        action=row["action"],
        number=of_it["number"] if of_it is not None else None,
        answer=answers.get(row["answer_id"] or 0),
        tied_by=row.get("tied_by", ""),
        by_gateway="digest" in row and "kind" not in row,
        contradicts=arrived and row["action"] == "failed",
    )


def account_label(dispatch: Dispatch, row: RowMapping | None) -> str:
    """Host and port, as the channel names its account; never a secret."""
    if row is None:
        return ""
    found = dispatch.account_called(row["channel"], row["key"])
    return found.label if found is not None else str(row["key"])


def card_url(dispatch: Dispatch, ref: str) -> str | None:
    """Only a link: where the host cannot say it, the page goes without."""
    if not ref:
        return None
    try:
        return dispatch.host.recipient_url(ref)
    except Exception as error:
        log.error("the host adapter's recipient_url() failed: %s", places(error))
        return None
