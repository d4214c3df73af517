"""``clinic-dispatch``: the demo clinic, the simulators, and every ``flask dispatch`` command for the demo clinic."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from clinic_dispatch_plugin import __version__
from clinic_dispatch_plugin.cli import dispatch

DATA_DIR = "CLINIC_DISPATCH_DATA_DIR"


class _WithDispatch(click.Group):
    """Our own commands, and those of ``flask dispatch`` with the demo clinic around them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *dispatch.list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        found = dispatch.get_command(ctx, cmd_name)
        if found is not None and not _asks_for_help():
            from clinic_dispatch_plugin.demo import create_app

            ctx.with_resource(create_app().app_context())
        return found


def _asks_for_help() -> bool:
    return "--help" in sys.argv


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
    type=click.Choice(["de", "en", "ru"]),
    default="de",
    show_default=True,
    help="Language of notes.",
)
def demo(**options: Any) -> None:
    """Open a small clinic: its application, a worker, a mail relay simulator, and a first mailing of about 200 messages."""
    from clinic_dispatch_plugin.demo.run import DemoProblem, run_demo

    data_dir = options.pop("data_dir") or Path(os.environ.get(DATA_DIR) or ".demo")
    try:
        sys.exit(run_demo(data_dir=data_dir.expanduser().absolute(), **options))
    except DemoProblem as error:
        raise click.ClickException(str(error)) from error


@main.group("simulate")
def simulate() -> None:
    """Gateways that speak the real protocols, on this machine only."""


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

    behaviour = (
        ScriptedBehaviour.from_file(scenarios, greylist_seconds=greylist_seconds)
        if scenarios
        else ScriptedBehaviour(greylist_seconds=greylist_seconds)
    )
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
