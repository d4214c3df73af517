"""``clinic-dispatch``: the demo clinic, the simulators, and every ``flask dispatch`` command for the demo clinic."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin import __version__
from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.cli import dispatch
from clinic_dispatch_plugin.cli.base import unusable
from clinic_dispatch_plugin.config import ConfigurationError
from clinic_dispatch_plugin.kit.command import new_channel_command
from clinic_dispatch_plugin.simulators.gateways.command import add_gateways
from clinic_dispatch_plugin.simulators.sip.command import add_exchange
from clinic_dispatch_plugin.simulators.smpp.command import add_centre

DATA_DIR = "CLINIC_DISPATCH_DATA_DIR"


class _WithDispatch(click.Group):
    """Our own commands, and those of ``flask dispatch`` with the demo clinic around them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *dispatch.list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or dispatch.get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and command.name not in self.commands and "--help" not in rest:
            ctx.with_resource(_clinic().app_context())
        return name, command, rest


def _clinic() -> Flask:
    from clinic_dispatch_plugin.demo import create_app

    place = os.environ.get(DATA_DIR) or ".demo"
    try:
        return create_app()
    except OSError as error:
        raise unusable_folder(Path(place), error) from error


def unusable_folder(folder: Path, error: OSError) -> ConfigurationError:
    """The folder the clinic lives in cannot be used."""
    advice = f"{(error.strerror or 'it cannot be used').lower()}; name a folder that you may write, on a local disk."
    return ConfigurationError(DATA_DIR, folder, advice)


@click.group(cls=_WithDispatch)
@click.version_option(__version__, prog_name="clinic-dispatch")
def main() -> None:
    """Mailings of a demo clinic. Start with: clinic-dispatch demo."""


@main.command("demo")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0: any free one.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Where everything is kept; .demo by default.",
)
@click.option("--fresh", is_flag=True, help="Remove what an earlier start left, and begin anew.")
@click.option("--exit-when-done", is_flag=True, help="End after the first mailing.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object as the last line of standard output."
)
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default="de",
    show_default=True,
    help="Language of notes.",
)
def demo(**options: Any) -> None:
    """Open a small clinic: its application, a worker, a mail relay simulator, and a first mailing."""
    from clinic_dispatch_plugin.demo.background import DemoProblem, FolderProblem
    from clinic_dispatch_plugin.demo.run import run_demo

    data_dir = options.pop("data_dir") or Path(os.environ.get(DATA_DIR) or ".demo")
    try:
        sys.exit(run_demo(data_dir=data_dir.expanduser().absolute(), **options))
    except FolderProblem as error:
        raise unusable_folder(data_dir, error.reason) from error
    except DemoProblem as error:
        raise click.ClickException(str(error)) from error
    except SQLAlchemyError as error:
        raise click.ClickException(unusable(error)) from error


@main.group("simulate")
def simulate() -> None:
    """Gateways that speak the real protocols, on this machine only."""


main.add_command(new_channel_command)
add_gateways(simulate)
add_centre(simulate)
add_exchange(simulate)


@simulate.command("smtp")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=2525,
    show_default=True,
    help="0: any free one.",
)
@click.option(
    "--ledger", type=click.Path(path_type=Path), help="File that gets a line for every mail taken."
)
@click.option(
    "--mailbox",
    type=click.Path(path_type=Path),
    help="Folder (or .mbox file) that gets every mail taken.",
)
@click.option(
    "--scenarios", type=click.Path(path_type=Path, exists=True), help="JSON: address to scenario."
)
@click.option(
    "--mode-file",
    type=click.Path(path_type=Path),
    help="File whose text switches: normal, slow, down …",
)
@click.option("--user", help="User name asked for; none: no sign-in.")
@click.option("--password", help="Its password.")
@click.option(
    "--latency",
    type=click.FloatRange(0, 600),
    default=0.0,
    help="Seconds before each answer to a mail's text.",
)
@click.option("--greylist-seconds", type=click.FloatRange(0, 3600), default=1.0, show_default=True)
def simulate_smtp(
    port: int,
    ledger: Path | None,
    mailbox: Path | None,
    scenarios: Path | None,
    mode_file: Path | None,
    user: str | None,
    password: str | None,
    latency: float,
    greylist_seconds: float,
) -> None:
    """Run a mail relay that answers by recipient: anna+unknown@example.org is unknown, +full is full, and so on.

    Scenarios: unknown, full, disabled, moved, greylist, spam, toobig, strange, lost; everybody else is accepted.
    """
    from clinic_dispatch_plugin.simulators.smtp import (
        RelaySettings,
        ScriptedBehaviour,
        run_simulator,
    )

    if (user is None) != (password is None):
        raise click.ClickException("--user and --password belong together.")
    try:
        behaviour = (
            ScriptedBehaviour.from_file(scenarios, greylist_seconds=greylist_seconds)
            if scenarios
            else ScriptedBehaviour(greylist_seconds=greylist_seconds)
        )
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        example = '{"anna@example.org": "full"}'
        raise click.ClickException(
            f"--scenarios {scenarios}: write JSON such as {example}."
        ) from error
    except (OSError, ValueError) as error:
        raise click.ClickException(f"--scenarios {scenarios}: {error}") from error
    settings = RelaySettings(
        port=port,
        ledger=ledger,
        mailbox=mailbox,
        mode_file=mode_file,
        behaviour=behaviour,
        username=user,
        password=password,
        latency=latency,
    )
    sys.exit(run_simulator(settings, out=sys.stdout))


if __name__ == "__main__":
    main(prog_name="clinic-dispatch")
