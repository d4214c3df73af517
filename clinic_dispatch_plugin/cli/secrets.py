"""``flask dispatch secrets rotate``: what accounts sign in with, encrypted by the newest key."""

from __future__ import annotations

import sys

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.accounts.secrets import NoKey
from clinic_dispatch_plugin.accounts.setup import rotate as seal_all_anew
from clinic_dispatch_plugin.cli.base import (
    ADDRESSES_UNKNOWN,
    PUT_BACK,
    fail,
    guarded,
    json_option,
    print_json,
    ready,
)


def register(group: AppGroup) -> None:
    """Add the commands."""
    group.add_command(secrets)


@click.group("secrets")
def secrets() -> None:
    """Keys by which the log-ins of accounts are encrypted."""


@secrets.command("rotate")
@json_option
@guarded
def rotate(as_json: bool) -> None:
    """Encrypt every log-in by the newest key of CLINIC_DISPATCH_SECRET_KEYS; exit status 1 when a key is lacking."""
    dispatch = ready()
    try:
        found = seal_all_anew(dispatch)
    except NoKey:
        fail(
            "CLINIC_DISPATCH_SECRET_KEYS is not set: put the new key first and the old one behind it."
        )
    good = not found.lost and not found.keys_lost
    if as_json:
        print_json({"ok": good, "done": found.done, "lost": found.lost, "keys": found.keys_lost})
    else:
        click.echo(f"{found.done} accounts are encrypted by the newest key.")
        for name in found.lost:
            click.echo(
                f"{name}: none of the keys opens it; enter its log-in again on the settings page."
            )
        if found.keys_lost:
            click.echo(f"{ADDRESSES_UNKNOWN}: {PUT_BACK}.")
        if good:
            click.echo(
                "Older keys still check unsubscribe links sent before: keep them behind the newest."
            )
    sys.exit(0 if good else 1)
