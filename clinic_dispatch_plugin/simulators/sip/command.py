"""``clinic-dispatch simulate sip``, and ``ari`` for the same people behind an Asterisk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from clinic_dispatch_plugin.simulators.options import (
    ledger_option,
    port_option,
    scenarios_option,
    seconds_option,
)
from clinic_dispatch_plugin.simulators.sip.plans import ByNumber

_WORDS = """Run a telephone exchange on this machine; it takes calls by SIP, and nobody's phone rings.

A number asks for its fate by its last eight digits: 00, a kind, and five digits. Kind 1: refused with this reply
(00100486 busy, 00100404, 00100480, 00100603). Kind 2: refused with 503 and this cause of the network (00200017). Kind
3: 1 silence, 2 nobody answers, 3 key 1, 4 key 2, 5 key 2 by INFO, 6 hung up at once, 7 a machine, 8 connection cut,
9 rubbish, 10 answered late, 11 password too old, 12 deaf to CANCEL, 13 announcement and 404, 14 no common sound,
15 the sound moves. Everybody else answers and listens.
"""
_EXAMPLE = '{"+49 151 0": "status 486"}'


_ARI_WORDS = """Run Asterisk's interface ARI on this machine, for calls without an Asterisk.

A number asks for its fate as with `simulate sip`: its last eight digits are 00, a kind, and five digits.
"""


def add_exchange(group: click.Group) -> None:
    """Add the command."""
    sip = [
        port_option(5060),
        click.Option(["--user"], help="Who may call; none: everybody."),
        click.Option(["--password"], default="", help="The password."),
        *_common(),
        click.Option(["--lines"], type=click.IntRange(0), default=0, help="Calls at once; 0: any."),
        click.Option(
            ["--retry-after"], type=click.IntRange(0), default=0, help="Seconds that 503 asks for."
        ),
    ]
    group.add_command(click.Command("sip", params=[*sip], callback=_run, help=_WORDS))
    ari = [
        port_option(8088),
        click.Option(["--user"], default="clinic", show_default=True, help="Who may call."),
        click.Option(["--password"], default="secret", show_default=True, help="The password."),
        *_common(),
    ]
    group.add_command(click.Command("ari", params=[*ari], callback=_run_ari, help=_ARI_WORDS))


def _common() -> list[click.Option]:
    return [
        ledger_option("call that is not refused"),
        scenarios_option(_EXAMPLE),
        seconds_option("--ring-seconds", "From ringing to answering.", default=1.0),
    ]


def _run(scenarios: Path | None, **options: Any) -> None:
    from clinic_dispatch_plugin.simulators.sip import ExchangeSettings, run_exchange

    settings = ExchangeSettings(behaviour=_behaviour(scenarios), **options)
    sys.exit(run_exchange(settings, out=sys.stdout))


def _run_ari(scenarios: Path | None, **options: Any) -> None:
    from clinic_dispatch_plugin.simulators.ari import AsteriskSettings, run_asterisk

    settings = AsteriskSettings(behaviour=_behaviour(scenarios), **options)
    sys.exit(run_asterisk(settings, out=sys.stdout))


def _behaviour(scenarios: Path | None) -> ByNumber:
    try:
        return ByNumber.from_file(scenarios) if scenarios else ByNumber()
    except (OSError, ValueError) as error:
        raise click.ClickException(f"--scenarios {scenarios}: {error}") from error
