"""``clinic-dispatch simulate smsc|twilio|infobip|vonage``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from clinic_dispatch_plugin.simulators.options import (
    ledger_option,
    port_option,
    scenarios_option,
    seconds_option,
)

#: Gateway to its port, and what its user name and password are called there.
_GATEWAYS = {
    "smsc": (8080, "login", "password"),
    "twilio": (8081, "account SID", "auth token"),
    "infobip": (8082, "user name", "API key"),
    "vonage": (8083, "API key", "API secret"),
}
_NAMES = {"smsc": "SMSC"}
_NUMBERS = """

A recipient's number asks for its fate by its last eight digits: 00, a kind, and five digits. Kinds: 1 refused with
this code, 2 reported later with this code, 3 reports: never 2, twice 3, reversed 4, early 5, contradicting 6,
4 throttled so often, 5 taken and then no good answer (1 cut, 2 silence, 3 page, 4 half, 5 wrong charset, 6 status
500, 7 redirect, 8 ten megabytes, 9 empty, 10 status 502, 11 unfinished, 12 strange), 6 the same and not taken,
7 so many milliseconds late, 8 a call's end: human, machine, busy, no-answer, failed, key 1, key 2; 9 opened.
Everybody else is served well.
"""
#: What is particular to one gateway.
_MORE = {
    "smsc": """ Codes of SMSC below 1000 in kind 1 refuse the whole request (error_code), from 1000 on this
one number (its err plus 1000); in kind 2 they are an err, from 1000 on a state plus 1000 (1003: expired).""",
    "infobip": """ Codes of Infobip in kind 1 are states (14), in kind 2 errors (27), from 50000 on a state plus
50000 without an error (50029).""",
    "vonage": " Code 90 of Vonage in kind 2 is a receipt that the end is unknown.",
}


def add_gateways(group: click.Group) -> None:
    """Add a command for each gateway."""
    for name in _GATEWAYS:
        group.add_command(_command(name))


def _command(name: str) -> click.Command:
    port, user, password = _GATEWAYS[name]
    options = [
        port_option(port),
        click.Option(["--user"], default="clinic", show_default=True, help=f"The {user}."),
        click.Option(["--password"], default="secret", show_default=True, help=f"The {password}."),
        click.Option(["--signature-secret"], default="", help="What reports are signed with."),
        ledger_option("message taken"),
        scenarios_option('{"+49 151 0": "refuse:21211"}'),
        click.Option(["--callback-url"], default="", help="Where reports go by default."),
        seconds_option("--latency", "Before each answer."),
        seconds_option("--report-delay", "From taking a message to its end.", default=1.0),
        seconds_option("--listing-lag", "Until a message is found in lists."),
        click.Option(
            ["--rate"], type=click.FloatRange(0, min_open=True), help="Messages a second."
        ),
        click.Option(["--strict"], is_flag=True, help="Keep to the limits a minute has."),
        click.Option(["--balance"], type=Decimal, default="100", show_default=True),
    ]
    words = f"Run {_NAMES.get(name, name.capitalize())}'s interface on this machine; it takes messages and sends none."
    return click.Command(
        name, params=[*options], callback=_run_of(name), help=words + _NUMBERS + _MORE.get(name, "")
    )


def _run_of(name: str) -> Callable[..., None]:
    def run(scenarios: Path | None, **options: Any) -> None:
        from clinic_dispatch_plugin.simulators.gateways.kinds import KINDS
        from clinic_dispatch_plugin.simulators.gateways.plans import Plans
        from clinic_dispatch_plugin.simulators.gateways.server import run_gateway
        from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings

        try:
            plans = Plans.from_file(scenarios) if scenarios else Plans()
        except (OSError, ValueError) as error:
            raise click.ClickException(f"--scenarios {scenarios}: {error}") from error
        settings = GatewaySettings(plans=plans, **options)
        sys.exit(run_gateway(KINDS[name], settings, out=sys.stdout))

    return run
