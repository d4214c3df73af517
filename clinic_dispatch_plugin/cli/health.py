"""``flask dispatch reference health``: the figures of the page *State of the reference*."""

from __future__ import annotations

from functools import partial

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.cli.base import (
    guarded,
    json_option,
    language_option,
    print_json,
    print_table,
    ready,
)
from clinic_dispatch_plugin.cli.reference import reference
from clinic_dispatch_plugin.error_reference.health import health, health_json
from clinic_dispatch_plugin.messages.access import CommandLine
from clinic_dispatch_plugin.messages.failures import failures_by_answer


def register(group: AppGroup) -> None:
    """Add the command to those of ``reference``."""
    reference.add_command(show_health)


@click.command("health")
@json_option
@language_option
@guarded
def show_health(as_json: bool, lang: str | None) -> None:
    """Say how many failures of the last month had an explanation and an action, and what to describe next."""
    dispatch = ready()
    counter = partial(failures_by_answer, dispatch, CommandLine())
    found = health_json(health(dispatch, counter), lang or dispatch.settings.locale)
    if as_json:
        print_json(found)
        return
    share = "-" if found["share"] is None else f"{found['share']:.1%}"
    click.echo(
        f"{share} of {found['failures']} failures of the last {found['days']} days had an explanation "
        f"and an action (goal: {found['goal']:.0%})"
    )
    click.echo(f"{found['drafts']} answers wait for a description")
    click.echo(f"{found['never_seen']} of {found['entries']} entries were never seen")
    if found["causes"]:
        click.echo()
        print_table(
            ([row["count"], row["system"], row["code"], row["note"]] for row in found["causes"]),
            ["count", "system", "code", "note"],
        )
    click.echo()
    print_table(
        ([row["from"], row["failures"], row["explained"]] for row in found["weeks"]),
        ["week from", "failures", "explained"],
    )
