"""Which accounts' gateways can be asked what became of their messages, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.channels.types import Account
from clinic_dispatch_plugin.registry import Dispatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Askable:
    """An account whose gateway can be asked."""

    account: Account
    account_id: int
    #: Seconds after a handing-over in which it answers.
    window: float
    #: Whether it tells by our id that it never had a message.
    proves_absence: bool

    @property
    def lock(self) -> str:
        """The name of what one process does at a time."""
        return f"ask-{self.account_id}"


def askables(dispatch: Dispatch) -> list[Askable]:
    """The accounts whose gateways can be asked; one that was never used has nothing to be asked about."""
    with dispatch.database.begin() as connection:
        rows = {(row["channel"], row["key"]): row["id"] for row in accounts.accounts(connection)}
    return [
        Askable(
            account=account,
            account_id=rows[channel.key, account.key],
            window=float(can.report_window),
            proves_absence=can.query_by_our_id,
        )
        for channel in dispatch.channels.values()
        for account in dispatch.accounts(channel.key)
        if (can := channel.capabilities_of(account)).report_window > 0
        and (channel.key, account.key) in rows
    ]
