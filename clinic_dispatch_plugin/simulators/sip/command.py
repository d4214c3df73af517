"""``clinic-dispatch simulate sip``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

_WORDS = """Run a telephone exchange on this machine; it takes calls by SIP, and nobody's phone rings.

A number asks for its fate by its last eight digits: 00, a kind, and five digits. Kind 1: refused with this reply
(00100486 busy, 00100404, 00100480, 00100603). Kind 2: refused with 503 and this cause of the network (00200017). Kind
3: 1 silence, 2 nobody answers, 3 key 1, 4 key 2, 5 key 2 by INFO, 6 hung up at once, 7 a machine, 8 connection cut,
9 rubbish, 10 answered late, 11 password too old, 12 deaf to CANCEL, 13 announcement and 404, 14 no common sound,
15 the sound moves. Everybody else answers and listens.
"""
_EXAMPLE = '{"+49 151 0": "status 486"}'


def add_exchange(group: click.Group) -> None:
    """Add the command."""
    port = click.IntRange(0, 65535)
    options = [
        click.Option(
            ["--port"], type=port, default=5060, show_default=True, help="0: any free one."
        ),
        click.Option(["--user"], help="Who may call; none: everybody."),
        click.Option(["--password"], default="", help="The password."),
        click.Option(
            ["--ledger"],
            type=click.Path(path_type=Path),
            help="File that gets a line for every call that is not refused.",
        ),
        click.Option(
            ["--scenarios"],
            type=click.Path(path_type=Path, exists=True),
            help=f"JSON: number to words, such as {_EXAMPLE}.",
        ),
        click.Option(["--lines"], type=click.IntRange(0), default=0, help="Calls at once; 0: any."),
        click.Option(
            ["--retry-after"], type=click.IntRange(0), default=0, help="Seconds that 503 asks for."
        ),
        click.Option(
            ["--ring-seconds"],
            type=click.FloatRange(0, 600),
            default=1.0,
            show_default=True,
            help="From ringing to answering.",
        ),
    ]
    group.add_command(click.Command("sip", params=[*options], callback=_run, help=_WORDS))


def _run(scenarios: Path | None, **options: Any) -> None:
    from clinic_dispatch_plugin.simulators.sip import ByNumber, ExchangeSettings, run_exchange

    try:
        behaviour = ByNumber.from_file(scenarios) if scenarios else ByNumber()
    except (OSError, ValueError) as error:
        raise click.ClickException(f"--scenarios {scenarios}: {error}") from error
    settings = ExchangeSettings(behaviour=behaviour, **options)
    sys.exit(run_exchange(settings, out=sys.stdout))
