"""``flask dispatch worker``: sends, and looks after what was left behind."""

from __future__ import annotations

import sys

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.accounts.keys import lost
from clinic_dispatch_plugin.cli.base import ADDRESSES_UNKNOWN, PUT_BACK, fail, guarded, ready
from clinic_dispatch_plugin.engine.worker import WorkerProblem, run_worker
from clinic_dispatch_plugin.queue.logs import set_up


def register(group: AppGroup) -> None:
    """Add the command."""
    group.add_command(worker)


@click.command("worker")
@click.option("--burst", is_flag=True, help="End when nothing is due any more.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 32),
    default=1,
    show_default=True,
    help="How many send at once; on SQLite one is enough.",
)
@guarded
def worker(burst: bool, concurrency: int) -> None:
    """Send what is due until SIGTERM or Ctrl-C; the first finishes what is open, the second ends at once."""
    dispatch = ready()
    if lost(dispatch):
        fail(f"{ADDRESSES_UNKNOWN}: {PUT_BACK}.")
    set_up(dispatch.settings.log)
    if not burst:
        place = "the embedded server" if dispatch.doorbell.embedded else "Redis"
        click.echo(f"worker: queue at {place}, {concurrency} at once; Ctrl-C ends it", err=True)
    try:
        sys.exit(run_worker(dispatch, burst=burst, concurrency=concurrency))
    except WorkerProblem as error:
        fail(str(error))
