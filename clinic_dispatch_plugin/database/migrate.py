"""Our own Alembic run with a version table of its own: the host's migrations and ours never meet.

Alembic is imported where it is used: it would take a fifth of every command's and every application's start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.database.base import TABLE_PREFIX, Base

if TYPE_CHECKING:
    from alembic.config import Config

    from clinic_dispatch_plugin.database.connection import Database

VERSION_TABLE = "dispatch_alembic_version"


def alembic_config(connection: Connection | None = None) -> Config:
    """The configuration of our run, made in code: no ini file to find."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "clinic_dispatch_plugin.migrations:.")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def context_options() -> dict[str, Any]:
    """What env.py and the comparison share."""
    return {
        "target_metadata": Base.metadata,
        "version_table": VERSION_TABLE,
        "include_name": is_ours,
        "compare_type": False,
        "render_as_batch": False,
    }


def is_ours(name: str | None, kind: str, parents: Any) -> bool:
    """Whether Alembic may look at this: tables of ours and what belongs to them."""
    return kind != "table" or (
        name is not None and name.startswith(TABLE_PREFIX) and name != VERSION_TABLE
    )


def _on(database: Database, work: Callable[[Config], object]) -> None:
    with database.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Two deployments at once: the second waits and then finds nothing to do.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7263512)")
        work(alembic_config(connection))


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring our tables to ``revision``."""
    from alembic import command

    _on(database, lambda config: command.upgrade(config, revision))


def downgrade(database: Database, revision: str) -> None:
    """Take our tables back to ``revision``; ``base`` removes them."""
    from alembic import command

    _on(database, lambda config: command.downgrade(config, revision))


def current(database: Database) -> str | None:
    """The revision our tables have; None: there are none."""
    from alembic.migration import MigrationContext

    with database.begin() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return context.get_current_revision()


def head() -> str:
    """The revision this version of the program needs."""
    from alembic.script import ScriptDirectory

    found = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if found is None:
        raise RuntimeError("the migrations of clinic_dispatch_plugin are missing")
    return found


def fits(revision: str) -> bool:
    """Whether this version can work on tables of this revision: its own, or a later one that only added to them.

    A revision's first two digits say what it fits: ``0110`` adds what may be left empty, and programs made for any
    earlier ``01`` go on beside it. ``0201`` takes something away, which whoever knows only ``01`` must not meet.
    """
    needed = head()
    return revision == needed or (revision[:2] == needed[:2] and revision > needed)


def differences(database: Database) -> list[Any]:
    """What the tables lack or have too much, compared with the classes; empty when they are equal."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.begin() as connection:
        options = context_options()
        metadata = options.pop("target_metadata")
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))
