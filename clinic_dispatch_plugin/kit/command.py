"""``clinic-dispatch new-channel``."""

from __future__ import annotations

from pathlib import Path

import click

from clinic_dispatch_plugin.kit.writing import CannotWrite, new_channel, write


@click.command("new-channel")
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder to make it in; this one by default.",
)
def new_channel_command(name: str, into: Path) -> None:
    """Write a new channel as a distribution of its own: ready to install, to test and to change.

    NAME is the channel's key: small Latin letters and digits. The example asks a gateway as Telegram's bots are asked.
    """
    try:
        channel = new_channel(name)
        written = write(channel, into)
    except CannotWrite as error:
        raise click.ClickException(str(error)) from error
    place = into / channel.distribution
    for file in written:
        click.echo(f"  {file}")
    click.echo(
        f"\nNext:\n  cd {place}\n  pip install -e '.[test]'\n  pytest\n\n"
        f"Then see README.md: how to try {channel.label} in the demo clinic, and what to change."
    )
