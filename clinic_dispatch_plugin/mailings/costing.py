"""What a mailing will cost, by channel, tariff and parts, and whether the accounts hold enough for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from clinic_dispatch_plugin.accounts import purse, spending
from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts.spending_rules import Spent, room_in
from clinic_dispatch_plugin.channels.types import Account, Content, Money, OutgoingMessage
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.registry import Dispatch

#: Kinds of messages whose price is asked for; what is beyond costs what the others do on the average.
MOST_ASKED = 20


@dataclass(slots=True, kw_only=True)
class Kind:
    """Messages that cost the same: of one channel, one tariff, one length. One of them stands for all."""

    count: int = 0
    address: str = field(default="", repr=False)
    content: Content = field(default_factory=lambda: Content(text=""), repr=False)


#: Channel, tariff, parts.
Kinds = Mapping[tuple[str, str, int], Kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """One kind of messages of a mailing."""

    channel: str
    tariff: str
    parts: int
    count: int
    #: What one of them costs; None: nobody says.
    each: Money | None

    @property
    def total(self) -> Money | None:
        """What all of them cost."""
        if self.each is None:
            return None
        return Money(amount=self.each.amount * self.count, currency=self.each.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """An account before a mailing goes out through it."""

    channel: str
    label: str
    #: What is left; None: the gateway does not say.
    balance: Money | None
    #: What this mailing needs of it, by what is known.
    needs: Sequence[Money]
    #: Messages whose price is unknown.
    unknown: int
    #: What its caps leave for now; None: there is none, or it is in another currency.
    room: Money | None = None
    #: What it costs here besides if every message goes on to this channel; None: none can, or nobody knows.
    further: Money | None = None

    @property
    def short(self) -> Money | None:
        """What is lacking; None: nothing, or nobody knows."""
        for need in self.needs:
            if self.balance is not None and need.currency == self.balance.currency:
                lacking = need.amount - self.balance.amount
                return Money(amount=lacking, currency=need.currency) if lacking > 0 else None
        return None

    @property
    def over_cap(self) -> bool:
        """Whether its caps will stop the mailing before its end."""
        return self.room is not None and any(
            need.currency == self.room.currency and need.amount > self.room.amount
            for need in self.needs
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a mailing will cost, as far as gateways say."""

    lines: Sequence[CostLine] = ()
    purses: Sequence[Purse] = ()
    #: What it costs besides if all messages go on to all their next channels; None: nobody knows.
    further: Sequence[Money] | None = ()

    @property
    def at_most(self) -> Sequence[Money]:
        """The sum in each currency if everything goes on to its next channels; empty: nothing can, or nobody knows."""
        if not self.further or self.unknown:
            return ()
        found = {each.currency: each.amount for each in self.totals}
        for each in self.further:
            found[each.currency] = found.get(each.currency, Decimal(0)) + each.amount
        return [Money(amount=amount, currency=unit) for unit, amount in sorted(found.items())]

    def __bool__(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.purses or self.further)

    @property
    def totals(self) -> Sequence[Money]:
        """The sum in each currency."""
        return _sums(self.lines)

    @property
    def unknown(self) -> int:
        """Messages whose price nobody says."""
        return sum(line.count for line in self.lines if line.each is None)

    @property
    def short(self) -> Purse | None:
        """The first account that does not hold enough; None: none is known to."""
        return next((each for each in self.purses if each.short is not None), None)


def costs_money(dispatch: Dispatch, channel: str, purpose: str = "") -> Account | None:
    """The account messages of this purpose will go through, where something can be said about money; None: nothing."""
    with dispatch.database.begin() as connection:
        account = accounts.chosen_account(dispatch, connection, channel, purpose)
    if account is None:
        return None
    tells = dispatch.channels[channel].tells_money(account)
    known = tells.price or tells.balance or account.part_price or spending.caps_of(account)
    return account if known else None


def count_kind(
    dispatch: Dispatch,
    kinds: dict[tuple[str, str, int], Kind],
    channel: str,
    address: str,
    content: Content,
) -> None:
    """Count one message among those that cost the same."""
    found = dispatch.channels[channel]
    key = channel, found.tariff(address), max(1, found.measure(content).parts)
    kind = kinds.setdefault(key, Kind(address=address, content=content))
    kind.count += 1


def costs(
    dispatch: Dispatch, kinds: Kinds, purpose: str, *, begins: Mapping[str, int] | None = None
) -> Costs:
    """Ask the gateways; nobody waits longer than :data:`purse.PATIENCE` for prices and balances together.

    :param begins: how many messages begin with each channel, in the order in which they go on.
    """
    order = begins or {}
    known = {
        key: account
        for key in dict.fromkeys([*_channels(kinds), *order])
        if (account := costs_money(dispatch, key, purpose))
    }
    if not known:
        return Costs()
    balances = purse.balances(dispatch, list(known.values()), patience=purse.PATIENCE / 2)
    used = {key: known[key] for key in _channels(kinds) if key in known}
    lines = _lines(dispatch, kinds, used)
    further = _further(dispatch, known, lines, order)
    return Costs(
        lines=lines,
        further=_together(further),
        purses=[
            replace(
                _purse(dispatch, account, balance, [line for line in lines if line.channel == key]),
                further=further.get(key),
            )
            for (key, account), balance in zip(known.items(), balances, strict=True)
        ],
    )


def _further(
    dispatch: Dispatch,
    known: Mapping[str, Account],
    lines: Sequence[CostLine],
    begins: Mapping[str, int],
) -> dict[str, Money | None]:
    """What it costs besides, by channel, if every message goes on to every next channel; None: nobody knows."""
    found: dict[str, Money | None] = {}
    before = 0
    for channel, count in begins.items():
        if before and channel in known:
            each = _dearest(dispatch, known[channel], lines)
            found[channel] = each and Money(amount=before * each.amount, currency=each.currency)
        before += count
    return found


def _together(further: Mapping[str, Money | None]) -> list[Money] | None:
    """The sum in each currency; None: it is not known of every channel."""
    found: dict[str, Decimal] = {}
    for each in further.values():
        if each is None:
            return None
        found[each.currency] = found.get(each.currency, Decimal(0)) + each.amount
    return [Money(amount=amount, currency=unit) for unit, amount in sorted(found.items())]


def _dearest(dispatch: Dispatch, account: Account, lines: Sequence[CostLine]) -> Money | None:
    """What a message costs there at most: of those that begin there, else by what a part cost last."""
    said = [
        each.each for each in lines if each.channel == account.channel and each.each is not None
    ]
    if said:
        return max(said, key=lambda money: money.amount)
    with dispatch.database.begin() as connection:
        row = accounts.row_of(connection, account)
        part = account.part_price
        if part is None and row is not None:
            part = spending.part_price(connection, account, row["id"])
    parts = max((line.parts for line in lines), default=1)
    return None if part is None else Money(amount=part.amount * parts, currency=part.currency)


def _channels(kinds: Kinds) -> list[str]:
    return list(dict.fromkeys(channel for channel, _, _ in kinds))


def _lines(dispatch: Dispatch, kinds: Kinds, used: Mapping[str, Account]) -> list[CostLine]:
    often = sorted(
        (item for item in kinds.items() if item[0][0] in used),
        key=lambda item: (-item[1].count, item[0]),
    )
    wanted = [(used[key[0]], _message(kind)) for key, kind in often[:MOST_ASKED]]
    said = purse.prices(dispatch, wanted, patience=purse.PATIENCE / 2)
    said += [None] * (len(often) - len(said))
    # By price lists, a part costs the same whatever stands in it.
    parts = {
        (key[0], key[1]): Money(amount=price.amount / key[2], currency=price.currency)
        for (key, _), price in zip(often, said, strict=True)
        if price is not None
    }
    return [
        CostLine(
            channel=key[0],
            tariff=key[1],
            parts=key[2],
            count=kind.count,
            each=price or _by_part(parts.get(key[:2]), key[2]),
        )
        for (key, kind), price in zip(often, said, strict=True)
    ]


def _by_part(part: Money | None, parts: int) -> Money | None:
    return None if part is None else Money(amount=part.amount * parts, currency=part.currency)


def _message(kind: Kind) -> OutgoingMessage:
    return OutgoingMessage(
        attempt_id=0,
        attempt_key="0" * 26,
        message_key="0" * 26,
        address=kind.address,
        content=kind.content,
    )


def _purse(
    dispatch: Dispatch, account: Account, balance: Money | None, lines: Sequence[CostLine]
) -> Purse:
    needs = _sums(lines)
    return Purse(
        channel=account.channel,
        label=account.label or account.key,
        balance=balance,
        needs=needs,
        unknown=sum(line.count for line in lines if line.each is None),
        room=_room(dispatch, account, needs),
    )


def _room(dispatch: Dispatch, account: Account, needs: Sequence[Money]) -> Money | None:
    caps = spending.caps_of(account)
    if not caps or not needs:
        return None
    currency = needs[0].currency
    row_id = dispatch.database.run(lambda c: accounts.account_id(c, account.channel, account.key))
    with dispatch.database.begin() as connection:
        now = database_now(connection)
        spent: Spent = spending.spent_now(dispatch, connection, row_id, currency, now=now)
    room = room_in(caps, spent)
    return None if room is None else Money(amount=max(room, Decimal(0)), currency=currency)


def _sums(lines: Sequence[CostLine]) -> list[Money]:
    found: dict[str, Decimal] = {}
    for line in lines:
        if (total := line.total) is not None:
            found[total.currency] = found.get(total.currency, Decimal(0)) + total.amount
    return [Money(amount=amount, currency=unit) for unit, amount in sorted(found.items())]
