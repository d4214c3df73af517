"""What a change of the reference makes of messages that wait: counted by every command, applied after ``--yes``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from clinic_dispatch_plugin.cli.base import SYSTEM
from clinic_dispatch_plugin.error_reference import following
from clinic_dispatch_plugin.error_reference.following import Consequences
from clinic_dispatch_plugin.registry import Dispatch

T = TypeVar("T")

yes_option = click.option(
    "--yes", is_flag=True, help="Apply a changed policy also to the messages that wait."
)


def changed(dispatch: Dispatch, deed: Callable[[], T], *, yes: bool) -> T:
    """Make a change of the reference; what it means for messages that wait is said on standard error.

    What the deed raises is raised.
    """
    changes = following.changes_by(dispatch, deed)
    lent = following.follower(dispatch)
    foreseen = lent.foresee(SYSTEM, changes) if lent and changes else Consequences()
    if not foreseen.act:
        return deed()
    if not yes:
        made = deed()
        click.echo(f"{_counted(foreseen)}: they stay as planned.", err=True)
        click.echo("Given with --yes, the command applies such a change to them.", err=True)
        return made
    made, done = following.carry_out(dispatch, SYSTEM, changes, deed)
    if done.left:
        click.echo(f"a worker applies it to {done.left} waiting messages", err=True)
    else:
        click.echo(_done(done), err=True)
    return made


def _counted(foreseen: Consequences) -> str:
    """How many wait, and what would become of them."""
    would = [
        f"{foreseen.given_up} would be given up" if foreseen.given_up else "",
        f"{foreseen.moved} would be tried at another time" if foreseen.moved else "",
        f"{len(foreseen.blocked)} addresses would be blocked" if foreseen.blocked else "",
        *(f"the account {name} would stop" for name in foreseen.accounts.values()),
    ]
    return f"{foreseen.waiting} messages wait because of it ({', '.join(filter(None, would))})"


def _done(done: Consequences) -> str:
    said = [
        f"{done.given_up} waiting messages given up" if done.given_up else "",
        f"{done.moved} waiting messages have a new time" if done.moved else "",
        f"{len(done.blocked)} addresses blocked" if done.blocked else "",
        *(f"account {name} stopped" for name in done.accounts.values()),
    ]
    return ", ".join(filter(None, said)) or "nothing waited any more"
