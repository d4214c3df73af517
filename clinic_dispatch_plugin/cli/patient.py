"""``flask dispatch patient``: what is held about one person, and its erasure."""

from __future__ import annotations

import csv
import json
import sys

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.cli.base import guarded, json_option, print_json, ready
from clinic_dispatch_plugin.mailings import patients
from clinic_dispatch_plugin.messages.export import safe_cell


def register(group: AppGroup) -> None:
    """Add the commands."""
    group.add_command(patient)


@click.group("patient")
def patient() -> None:
    """Give out or erase what is held about one patient of the clinic's system."""


@patient.command("export")
@click.argument("ref")
@click.option("--csv", "as_csv", is_flag=True, help="A table instead of one JSON object a line.")
@guarded
def export(ref: str, as_csv: bool) -> None:
    """Print every message to patient REF: words, addresses, attempts, and what gateways said."""
    rows = patients.export(ready(), ref)
    if not as_csv:
        for row in rows:
            print_json(row)
        return
    table = csv.writer(sys.stdout)
    head = None
    for row in rows:
        if head is None:
            head = list(row)
            table.writerow(head)
        table.writerow([safe_cell(_cell(row[name])) for name in head])


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@patient.command("erase")
@click.argument("ref")
@click.option("--yes", is_flag=True, help="Do not ask; nothing brings it back.")
@json_option
@guarded
def erase(ref: str, yes: bool, as_json: bool) -> None:
    """Remove patient REF from every message that is over; exit status 1 where some are still under way."""
    if not yes:
        click.confirm(
            f"Names, addresses and words of all messages to {ref} are removed for good. Go on?",
            abort=True,
        )
    done = patients.erase(ready(), ref)
    if as_json:
        print_json({"ok": not done.under_way, "erased": done.erased, "under_way": done.under_way})
    else:
        click.echo(f"{done.erased} messages hold nothing of {ref} any more.")
        if done.under_way:
            click.echo(
                f"{done.under_way} wait or are being sent: cancel their mailings, then erase again."
            )
    sys.exit(1 if done.under_way else 0)
