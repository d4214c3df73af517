"""``flask dispatch db``: our tables, apart from the host's migrations."""

from __future__ import annotations

import logging
from collections.abc import Callable

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.accounts.keys import seal_open
from clinic_dispatch_plugin.cli.base import fail, guarded, typed
from clinic_dispatch_plugin.database import migrate
from clinic_dispatch_plugin.database.connection import Database
from clinic_dispatch_plugin.engine.presence import worker_is_seen
from clinic_dispatch_plugin.error_reference.packs import install_packs
from clinic_dispatch_plugin.registry import Dispatch, current_dispatch


def register(group: AppGroup) -> None:
    """Add the commands."""
    group.add_command(db)


db = AppGroup("db", help="Tables of the plugin: make, change, check them.")


@db.command("upgrade")
@click.argument("revision", default="head")
@guarded
def upgrade(revision: str) -> None:
    """Bring the tables to REVISION (the newest by default), and the shipped reference with them."""
    dispatch = current_dispatch()
    _spare_older_workers(dispatch, migrate.head() if revision == "head" else revision)
    _run(migrate.upgrade, dispatch, revision)
    click.echo(f"tables: revision {migrate.current(dispatch.database)}")
    if migrate.current(dispatch.database) == migrate.head():
        seal_open(dispatch)
        for pack, count in install_packs(dispatch).items():
            click.echo(f"reference: {count} entries of {pack}")


@db.command("downgrade")
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask; what the tables hold is lost.")
@guarded
def downgrade(revision: str, yes: bool) -> None:
    """Take the tables back to REVISION; `base` removes them with all they hold."""
    if not yes:
        click.confirm(
            "Messages and reference entries in removed tables are lost. Go on?", abort=True
        )
    _run(migrate.downgrade, current_dispatch(), revision)
    click.echo(f"tables: revision {migrate.current(current_dispatch().database) or 'none'}")


def _spare_older_workers(dispatch: Dispatch, wanted: str) -> None:
    """A new pair of digits takes something away from programs at work: they have to end first."""
    was = migrate.current(dispatch.database)
    parts = was is not None and wanted.isdigit() and was[:2] < wanted[:2]
    if parts and worker_is_seen(dispatch):
        fail(
            f"Revision {wanted} is not for the workers that run now: end them, wait half a minute, "
            f"run `{typed('db upgrade')}` again, and start the new ones."
        )


def _run(move: Callable[[Database, str], None], dispatch: Dispatch, revision: str) -> None:
    from alembic.util import CommandError

    # Alembic tells each step; the line below says where it ended.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        move(dispatch.database, revision)
    except CommandError as error:
        fail(f"{revision!r}: {error}. Write head, base, or a revision such as {migrate.head()}.")


@db.command("current")
@guarded
def current() -> None:
    """Say which revision the tables have, and which this version needs."""
    click.echo(
        f"{migrate.current(current_dispatch().database) or 'none'} (needed: {migrate.head()})"
    )


@db.command("check")
@guarded
def check() -> None:
    """Compare the tables with what this version expects; exit status 1 when they differ."""
    found = migrate.differences(current_dispatch().database)
    for difference in found:
        click.echo(str(difference), err=True)
    if found:
        fail(f"The tables differ: run `{typed('db upgrade')}`.")
    click.echo("tables are as this version expects them")
