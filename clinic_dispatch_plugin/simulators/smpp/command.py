"""``clinic-dispatch simulate smpp``."""

from __future__ import annotations

import ssl
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

_WORDS = """Run an SMPP message centre on this machine; it takes texts and sends none.

A recipient's number asks for its fate by its last eight digits: 00, a kind, and five digits. Kind 1: refused with
this command status in decimal (00100011 is 0x0B). Kind 2: taken, and the receipt has the first digit as state (2
delivered, 3 expired, 5 undeliverable, 8 rejected) and the last three as err. Kind 3: 1 silence, 2 answer lost, 3 link
cut after taking, 4 link cut before, 5 receipts twice, 6 reversed, 7 before the answer, 8 and 9 rubbish, 10 nack,
11 too fast, 12 slow, 13 no receipt, 14 id in hexadecimal, 15 to 17 receipts worded otherwise, 18 no id. Everybody
else is served well.
"""
_EXAMPLE = '{"+49 151 0": "receipt EXPIRED 034"}'


def add_centre(group: click.Group) -> None:
    """Add the command."""
    options = [
        port_option(2775),
        click.Option(["--user", "system_id"], help="The system_id; none: whoever binds is let in."),
        click.Option(["--password"], help="Its password."),
        ledger_option("text taken"),
        scenarios_option(_EXAMPLE),
        click.Option(
            ["--certificate"],
            type=click.Path(path_type=Path, exists=True),
            help="PEM file with certificate and key: TLS from the first byte.",
        ),
        seconds_option("--latency", "Before each answer."),
        seconds_option("--receipt-after", "From taking a text to its receipt.", default=1.0),
        click.Option(["--rate"], type=click.FloatRange(0, min_open=True), help="Texts a second."),
        click.Option(
            ["--window"], type=click.IntRange(0), default=0, help="Open requests; 0: any number."
        ),
        click.Option(
            ["--sessions"], type=click.IntRange(0), default=0, help="Links; 0: any number."
        ),
    ]
    group.add_command(click.Command("smpp", params=[*options], callback=_run, help=_WORDS))


def _run(scenarios: Path | None, certificate: Path | None, **options: Any) -> None:
    from clinic_dispatch_plugin.simulators.smpp import ByNumber, CentreSettings, run_simulator

    if (options["system_id"] is None) != (options["password"] is None):
        raise click.ClickException("--user and --password belong together.")
    try:
        behaviour = ByNumber.from_file(scenarios) if scenarios else ByNumber()
    except (OSError, ValueError) as error:
        raise click.ClickException(f"--scenarios {scenarios}: {error}") from error
    settings = CentreSettings(behaviour=behaviour, tls=_tls(certificate), **options)
    sys.exit(run_simulator(settings, out=sys.stdout))


def _tls(certificate: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate)
    except OSError as error:
        raise click.ClickException(
            f"--certificate {certificate}: it holds no certificate with its key."
        ) from error
    return context
