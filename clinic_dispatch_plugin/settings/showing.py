"""What the settings page shows: every channel's accounts in their order, whatever they come from."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.accounts import callbacks, setup, spending, trial
from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts.book import Unusable
from clinic_dispatch_plugin.accounts.spending_rules import Caps, Spent
from clinic_dispatch_plugin.channels.channel import Channel
from clinic_dispatch_plugin.channels.forms import GatewayForm
from clinic_dispatch_plugin.channels.types import Account, Money
from clinic_dispatch_plugin.config import PREFIX
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.error_reference.answers import Explained, explained
from clinic_dispatch_plugin.messages import reroute_store
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports.inbox_store import last_of_account
from clinic_dispatch_plugin.settings.forms import PLAIN
from clinic_dispatch_plugin.settings.wording import DEEDS
from clinic_dispatch_plugin.web.layout import url

log = logging.getLogger(__name__)

#: Lines of an account's page.
REPORTS = 10
DEEDS_SHOWN = 20
#: Lines of the trail in which an account's are looked for.
_DEEDS_READ = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How the last test of the log-in ended."""

    #: ``ok``, ``failed``, ``none``, ``running`` or ``dead``.
    outcome: str
    at: datetime
    by: str
    why: Explained | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One account."""

    channel: str
    key: str
    #: None: it cannot be used.
    account: Account | None
    #: Its row, where it has one yet.
    row: RowMapping | None
    #: How it was set up on the page; None: it stands in the configuration.
    setup: RowMapping | None
    #: The configuration's variable, where it stands there or where one of its name does.
    variable: str = ""
    unusable: Unusable | None = None
    why: Explained | None = None
    trial: Trial | None = None
    waiting: int = 0
    first: bool = False
    last: bool = False

    @property
    def state(self) -> str:
        """As the workers see it; an account nobody has used is ready."""
        return str(self.row["state"]) if self.row is not None else "ready"

    @property
    def label(self) -> str:
        """Where it leads, as far as it is known."""
        if self.account is not None:
            return self.account.label
        return str(self.setup["scheme"]) if self.setup is not None else self.key

    @property
    def configured(self) -> bool:
        """Whether it stands in the configuration."""
        return self.setup is None

    @property
    def overridden(self) -> bool:
        """Whether the configuration has one of the same name, which wins."""
        return self.setup is not None and bool(self.variable)

    @property
    def purposes(self) -> frozenset[str]:
        """What may go through it; empty: everything."""
        if self.setup is not None:
            return frozenset(self.setup["purposes"].split())
        return self.account.purposes if self.account is not None else frozenset()

    @property
    def held(self) -> bool:
        """Whether a person can have it tried again now."""
        return self.state in ("stopped", "resting")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChannel:
    """A channel with its accounts, the first choice first."""

    key: str
    channel: Channel | None
    accounts: Sequence[Shown] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What was spent in one currency, and how much of the caps that is."""

    spent_day: Money
    spent_month: Money
    cap_day: Money | None = None
    cap_month: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What an account's own page shows besides."""

    reports: Sequence[RowMapping] = ()
    answers: Mapping[int, Explained] = field(default_factory=dict)
    deeds: Sequence[RowMapping] = ()
    money: Sequence[Used] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """How an account's gateway calls."""

    #: Without a secret; empty: nobody said where we are.
    address: str
    #: The gateway signs nothing: the address needs a secret.
    needs_secret: bool
    #: When the secret was made, and by whom; None: there is none.
    secret: RowMapping | None


def channels(dispatch: Dispatch) -> list[ShownChannel]:
    """All channels, and those whose plugin is gone where accounts of theirs are set up."""
    unusable = setup.unusable(dispatch)
    with dispatch.database.begin() as connection:
        look = _Look(dispatch, connection, unusable)
        keys = dict.fromkeys([*dispatch.channels, *(row["channel"] for row in look.setups)])
        return [
            ShownChannel(key=key, channel=dispatch.channels.get(key), accounts=look.of(key))
            for key in keys
        ]


def one(dispatch: Dispatch, channel: str, key: str) -> Shown:
    """One account.

    :raises LookupError: there is none.
    """
    for each in channels(dispatch):
        if each.key == channel:
            for account in each.accounts:
                if account.key == key:
                    return account
    raise LookupError(key)


def details(dispatch: Dispatch, shown: Shown) -> Details:
    """Its last reports, and what people did to it."""
    if shown.row is None:
        return Details(money=_money(shown, {}))
    with dispatch.database.begin() as connection:
        reports = last_of_account(connection, shown.row["id"], limit=REPORTS)
        deeds = reroute_store.deeds(connection, list(DEEDS), limit=_DEEDS_READ)
        mine = [row for row in deeds if (row["details"] or {}).get("account") == shown.row["id"]]
        answers = explained(dispatch, connection, (row["answer_id"] for row in reports))
        spent = spending.spent_by_currency(
            dispatch, connection, shown.row["id"], now=now(connection)
        )
    return Details(
        reports=reports, answers=answers, deeds=mine[:DEEDS_SHOWN], money=_money(shown, spent)
    )


def _money(shown: Shown, spent: Mapping[str, Spent]) -> list[Used]:
    """A line for each currency; one of the clinic's own price where nothing was spent yet."""
    caps = spending.caps_of(shown.account) if shown.account is not None else Caps()
    price = shown.account.part_price if shown.account is not None else None
    if caps and not spent and price is not None:
        spent = {price.currency: Spent()}

    def money(amount: Decimal, currency: str) -> Money:
        return Money(amount=amount, currency=currency)

    return [
        Used(
            spent_day=money(each.day, currency),
            spent_month=money(each.month, currency),
            cap_day=None if caps.day is None else money(caps.day, currency),
            cap_month=None if caps.month is None else money(caps.month, currency),
        )
        for currency, each in spent.items()
    ]


def calls(dispatch: Dispatch, shown: Shown) -> Calls | None:
    """How its gateway calls; None: it does not."""
    channel = dispatch.channels.get(shown.channel)
    if channel is None or shown.account is None:
        return None
    can = channel.capabilities_of(shown.account)
    if not can.callbacks:
        return None
    base, secret = dispatch.settings.base_url, None
    if shown.row is not None:
        with dispatch.database.begin() as connection:
            secret = callbacks.known(connection, shown.row["id"])
    path = url("callback", channel=shown.channel, account=shown.key)
    return Calls(
        address=f"{base}{path}" if base else "", needs_secret=can.secret_address, secret=secret
    )


def form_of(dispatch: Dispatch, channel: str, scheme: str) -> GatewayForm | None:
    """The form for accounts of this scheme; a channel that describes none is asked for a whole URL."""
    several = forms_of(dispatch, channel)
    if several == [PLAIN]:
        return PLAIN
    return next((each for each in several if each.scheme == scheme), None)


def forms_of(dispatch: Dispatch, channel: str) -> list[GatewayForm]:
    """The forms a channel describes, else the one for a whole URL; none where it is not installed."""
    found = dispatch.channels.get(channel)
    if found is None:
        return []
    try:
        return list(found.forms()) or [PLAIN]
    except Exception as error:
        log.error("channel %s cannot describe its accounts: %s", channel, places(error))
        return [PLAIN]


def variable_of(dispatch: Dispatch, channel: str) -> str:
    """The variable in which a channel's accounts stand."""
    usual, start = f"{PREFIX}{channel.upper()}_URL", f"{PREFIX}{channel.upper()}_"
    if usual in dispatch.config:
        return usual
    return next((name for name in sorted(dispatch.config) if name.startswith(start)), usual)


class _Look:
    """One look at the tables."""

    def __init__(
        self, dispatch: Dispatch, connection: Connection, unusable: Mapping[int, Unusable]
    ) -> None:
        self._dispatch = dispatch
        self._connection = connection
        self._unusable = unusable
        self.setups = setup.setups(connection)
        self._rows = {(row["channel"], row["key"]): row for row in accounts.accounts(connection)}
        self._trials = trial.trials(connection)
        answers = [row["answer_id"] for row in self._rows.values()]
        answers += [row["answer_id"] for row in self._trials.values()]
        self._why = explained(dispatch, connection, answers)
        self._at = now(connection)

    def of(self, channel: str) -> list[Shown]:
        """A channel's accounts: those of the configuration first."""
        configured = {each.key: each for each in self._dispatch.configured(channel)}
        mine = [row for row in self.setups if row["channel"] == channel]
        usable = {each.key: each for each in self._dispatch.accounts(channel)}
        variable = variable_of(self._dispatch, channel)
        shown = [
            self._shown(channel, key, account=account, variable=variable)
            for key, account in configured.items()
        ]
        for place, row in enumerate(mine):
            over = row["key"] in configured
            shown.append(
                self._shown(
                    channel,
                    row["key"],
                    account=None if over else usable.get(row["key"]),
                    row=row,
                    variable=variable if over else "",
                    first=place == 0,
                    last=place == len(mine) - 1,
                )
            )
        return shown

    def _shown(
        self,
        channel: str,
        key: str,
        *,
        account: Account | None,
        row: RowMapping | None = None,
        variable: str = "",
        first: bool = False,
        last: bool = False,
    ) -> Shown:
        state = self._rows.get((channel, key))
        row_id = state["id"] if state is not None else 0
        return Shown(
            channel=channel,
            key=key,
            account=account,
            row=state,
            setup=row,
            variable=variable,
            unusable=self._unusable.get(row_id) if row is not None else None,
            why=self._why.get(state["answer_id"] or 0) if state is not None else None,
            trial=self._trial(row_id),
            waiting=reroute_store.number_waiting(self._connection, row_id) if row_id else 0,
            first=first,
            last=last,
        )

    def _trial(self, row_id: int) -> Trial | None:
        row = self._trials.get(row_id)
        if row is None:
            return None
        outcome = row["outcome"]
        if row["ended_at"] is None:
            late = self._at - row["started_at"] > timedelta(seconds=trial.LONGEST)
            outcome = "dead" if late else "running"
        return Trial(
            outcome=outcome,
            at=row["ended_at"] or row["started_at"],
            by=row["started_by"],
            why=self._why.get(row["answer_id"] or 0),
            text=row["answer_text"],
        )
