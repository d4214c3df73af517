"""Keeps what accounts have and may spend: money is set aside before a window opens, what does not fit stays unsent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts import spending
from clinic_dispatch_plugin.accounts.purse import quoted_part
from clinic_dispatch_plugin.accounts.spending_rules import Lacking, Reached
from clinic_dispatch_plugin.channels.types import Account, Money, OutgoingMessage
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.engine.lacking import lacking
from clinic_dispatch_plugin.messages import progress_store as messages_progress
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.registry import Dispatch

#: Seconds until a gateway that did not say its price is asked again.
ASK_AGAIN = 600
CAP = "cap"
UNKNOWN_PRICE = "price_unknown"
MONEY = "money"


@dataclass(slots=True, kw_only=True)
class Allowed:
    """What of a window may go."""

    #: How many of its messages, from the first one on.
    many: int
    #: What is set aside for each, by attempt.
    estimates: dict[int, Money] = field(default_factory=dict)
    #: Why not all of them, as a mailing's pause keeps it: reason and text.
    why: tuple[str, str] | None = None


class Budget:
    """The caps of one account as one stream keeps them."""

    def __init__(self, dispatch: Dispatch, account: Account, account_id: int) -> None:
        """Ask nothing yet."""
        self._dispatch = dispatch
        self._account = account
        self._account_id = account_id
        self._quoted: Money | None = None
        self.capped = bool(spending.caps_of(account))
        #: Not everything of the last window was allowed: the mailing stands still.
        self.used_up = False
        #: Whether it was seen that the accounts hold enough, and what is known to lack.
        self._looked = False
        self._lacking: Lacking | None = None

    def learn(self, mailing_id: int, outgoing: Sequence[OutgoingMessage]) -> None:
        """Before the transaction: whether there is money for the whole mailing, and what a message costs.

        The gateway is asked for a price where there is a cap and nobody knows one.
        """
        if not self._looked and outgoing:
            self._looked = True
            self._lacking = lacking(
                self._dispatch, self._account, self._account_id, mailing_id, outgoing
            )
        if not self.capped or self._quoted is not None or not outgoing:
            return
        with self._dispatch.database.begin() as connection:
            known = spending.part_price(connection, self._account, self._account_id)
        self._quoted = known or quoted_part(self._dispatch, self._account, outgoing[0])

    def allow(
        self, connection: Connection, outgoing: Sequence[OutgoingMessage], *, now: datetime
    ) -> Allowed:
        """Inside the window's transaction: set money aside for as many as the caps have room for."""
        self.used_up = False
        if self._lacking is not None and outgoing:
            return Allowed(many=0, why=(MONEY, str(self._lacking)))
        if not self.capped or not outgoing:
            return Allowed(many=len(outgoing))
        part = spending.part_price(connection, self._account, self._account_id) or self._quoted
        if part is None:
            again = now + timedelta(seconds=ASK_AGAIN)
            return Allowed(many=0, why=(UNKNOWN_PRICE, again.isoformat(timespec="seconds")))
        channel = self._dispatch.channels[self._account.channel]
        prices = [
            Money(
                amount=part.amount * max(1, channel.measure(each.content).parts),
                currency=part.currency,
            )
            for each in outgoing
        ]
        many, full = spending.set_aside(
            self._dispatch, connection, self._account, self._account_id, prices, now=now
        )
        return Allowed(
            many=many,
            estimates={
                each.attempt_id: price
                for each, price in zip(outgoing[:many], prices[:many], strict=True)
            },
            why=None if full is None else (CAP, str(replace(full, account_id=self._account_id))),
        )

    def free(
        self, connection: Connection, allowed: Allowed, opened: Collection[int], *, now: datetime
    ) -> None:
        """Give back what was set aside for messages somebody cancelled in the same moment."""
        changes = [
            (self._account_id, now, price.currency, -price.amount)
            for attempt_id, price in allowed.estimates.items()
            if attempt_id not in opened
        ]
        spending.correct(self._dispatch, connection, changes)

    def pause(self, connection: Connection, mailing_id: int, why: tuple[str, str]) -> None:
        """The mailing stands still until there is room again."""
        reason, text = why
        self.used_up = True
        details = {"cause": reason, "account": self._account_id}
        messages.pause_by_itself(connection, mailing_id, reason=reason, text=text, details=details)


def go_on_with_room(dispatch: Dispatch, connection: Connection) -> None:
    """Mailings that waited for a new day or month, a higher cap, or a look at the balance, go on; others do not."""
    now = database_now(connection)
    for row in messages_progress.paused_for(connection, [CAP, UNKNOWN_PRICE, MONEY]):
        until = until_of(row["pause_reason"], row["pause_text"])
        over = until is not None and until <= now
        may = over or _raised(dispatch, connection, row["pause_reason"], row["pause_text"])
        if may and messages_progress.go_on(connection, row):
            messages.write_audit(
                connection,
                actor_ref="system",
                actor_name="",
                action="resume",
                mailing_id=row["id"],
                details={"cause": row["pause_reason"]},
            )


def _raised(dispatch: Dispatch, connection: Connection, reason: str, text: str) -> bool:
    """Whether the cap a mailing waits for was raised meanwhile, or taken away."""
    full = Reached.read(text) if reason == CAP else None
    row = accounts.account(connection, full.account_id) if full and full.account_id else None
    found = dispatch.account_called(row["channel"], row["key"]) if row is not None else None
    return full is not None and found is not None and full.raised(spending.caps_of(found))


def until_of(reason: str, text: str) -> datetime | None:
    """When a mailing that waits for money goes on; None: it waits for something else."""
    if reason == CAP:
        full = Reached.read(text)
        return full.until if full else None
    if reason == MONEY:
        short = Lacking.read(text)
        return short.until if short else None
    try:
        return datetime.fromisoformat(text) if reason == UNKNOWN_PRICE else None
    except ValueError:
        return None
