"""What ``flask dispatch send`` says of money, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable

import click

from clinic_dispatch_plugin.channels.types import Money
from clinic_dispatch_plugin.cli.base import fail, print_json, print_table
from clinic_dispatch_plugin.mailings.checking import CheckResult
from clinic_dispatch_plugin.mailings.costing import Costs, costs_money
from clinic_dispatch_plugin.registry import Dispatch


def may_lack_money(dispatch: Dispatch, channels: Iterable[str], purpose: str) -> bool:
    """Whether it can be known beforehand that an account does not hold enough."""
    for key in channels:
        account = costs_money(dispatch, key, purpose)
        if account is None:
            continue
        tells = dispatch.channels[key].tells_money(account)
        if tells.balance and (tells.price or account.part_price is not None):
            return True
    return False


def refuse_without_money(found: Costs) -> None:
    """End where an account is known to hold too little: nothing was written."""
    purse = found.short
    if purse is not None and purse.balance is not None and purse.short is not None:
        fail(
            f"Not started: the account {purse.label} holds {_said(purse.balance)}, and about "
            f"{_said(purse.short)} are lacking. Top it up, or choose fewer recipients."
        )


def say_costs(found: CheckResult, costs: Costs, *, as_json: bool) -> None:
    """Who would get it and what it would cost; prices are estimates, and what is unknown is called so."""
    if as_json:
        print_json(_as_json(found, costs))
        return
    click.echo(f"nothing is sent: {found.will_get} of {found.recipients} would get it")
    for group in found.groups:
        click.echo(f"  {group.count:6} {group.short}")
    if costs.lines:
        print_table(
            (
                (
                    line.channel,
                    line.tariff or "-",
                    line.parts,
                    line.count,
                    _said(line.each),
                    _said(line.total),
                )
                for line in costs.lines
            ),
            ("channel", "network", "parts", "messages", "each about", "together about"),
        )
    for purse in costs.purses:
        needs = " + ".join(_said(each) for each in purse.needs) or "unknown"
        lacking = f"; LACKING about {_said(purse.short)}" if purse.short else ""
        cap = f"; its cap leaves {_said(purse.room)}" if purse.room else ""
        click.echo(
            f"{purse.label}: balance {_said(purse.balance)}, needs about {needs}{cap}{lacking}"
        )


def _as_json(found: CheckResult, costs: Costs) -> dict[str, object]:
    return {
        "recipients": found.recipients,
        "would_get": found.will_get,
        "left_out": {group.code: group.count for group in found.groups},
        "costs": [
            {
                "channel": line.channel,
                "network": line.tariff,
                "parts": line.parts,
                "messages": line.count,
                "each": _json(line.each),
                "together": _json(line.total),
            }
            for line in costs.lines
        ],
        "totals": [_json(each) for each in costs.totals],
        "without_price": costs.unknown,
        "accounts": [
            {
                "channel": purse.channel,
                "account": purse.label,
                "balance": _json(purse.balance),
                "lacking": _json(purse.short),
                "cap_leaves": _json(purse.room),
            }
            for purse in costs.purses
        ],
        "enough": costs.short is None,
    }


def _json(money: Money | None) -> dict[str, str] | None:
    if money is None:
        return None
    return {"amount": f"{money.amount.normalize():f}", "currency": money.currency}


def _said(money: Money | None) -> str:
    return "unknown" if money is None else f"{money.amount.normalize():f} {money.currency}"
