"""``flask dispatch recover``: after a database was restored from a backup."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.cli.base import SYSTEM, fail, guarded, json_option, print_json, ready
from clinic_dispatch_plugin.engine.recovery import recover


def register(group: AppGroup) -> None:
    """Add the command."""
    group.add_command(recover_restored)


@click.command("recover")
@click.option("--restored", is_flag=True, help="The database was restored from a backup.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@guarded
def recover_restored(restored: bool, yes: bool, as_json: bool) -> None:
    """Make everything uncertain that was not final in the backup: it may have gone out since."""
    if not restored:
        fail("Say what happened: --restored, where the database was restored from a backup.")
    dispatch = ready()
    if not yes:
        click.confirm(
            "Every message that waits becomes uncertain, and a person decides about each cause. Go on?",
            abort=True,
            err=True,
        )
    done = recover(dispatch, SYSTEM)
    if as_json:
        print_json({"uncertain": done.uncertain, "mailings_stopped": done.mailings})
        return
    click.echo(
        f"{done.uncertain} messages are uncertain now; the list shows them, each with what to do. "
        f"{done.mailings} mailings were being prepared or scheduled and wait for a person."
    )
    click.echo("A draft may have been started after the backup: look before you start it again.")
