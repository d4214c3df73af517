"""The tables that the migrations make are the tables the classes describe, on every database, there and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Column, Integer, MetaData, Table, inspect, select

from clinic_dispatch_plugin.database import migrate
from clinic_dispatch_plugin.database.base import TABLE_PREFIX, Base
from clinic_dispatch_plugin.database.connection import Database
from clinic_dispatch_plugin.extension import ClinicDispatch


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    """A database that has nothing of ours yet."""
    app = Flask("tables")
    app.config["CLINIC_DISPATCH_DATABASE_URL"] = database_url
    app.config["CLINIC_DISPATCH_DATA_DIR"] = str(tmp_path)
    made = ClinicDispatch().init_app(app).database
    yield made
    made.dispose()


def tables(database: Database) -> set[str]:
    with database.begin() as connection:
        return set(inspect(connection).get_table_names())


def test_the_classes_and_the_migrations_agree(database: Database) -> None:
    migrate.upgrade(database)
    assert migrate.differences(database) == []
    assert set(Base.metadata.tables) <= tables(database)
    assert migrate.current(database) == migrate.head()


def test_a_lacking_column_would_be_noticed(database: Database) -> None:
    migrate.upgrade(database)
    extra = Column("forgotten", Integer)
    table = Base.metadata.tables["dispatch_worker"]
    table.append_column(extra)
    try:
        assert [found[0] for found in migrate.differences(database)] == ["add_column"]
    finally:
        table._columns.remove(extra)


def test_up_down_and_up_again_ends_as_it_began(database: Database) -> None:
    hosts = Table("patient", MetaData(), Column("id", Integer, primary_key=True))
    with database.begin() as connection:
        hosts.create(connection)
        connection.execute(hosts.insert().values(id=7))
    migrate.upgrade(database)
    first = tables(database)
    migrate.downgrade(database, "base")
    assert {name for name in tables(database) if name.startswith(TABLE_PREFIX)} <= {
        migrate.VERSION_TABLE
    }
    assert migrate.current(database) is None
    migrate.upgrade(database)
    assert tables(database) == first
    assert migrate.differences(database) == []
    with database.begin() as connection:
        assert connection.scalars(select(hosts.c.id)).all() == [7]


def test_every_table_of_ours_is_named_so() -> None:
    assert [name for name in Base.metadata.tables if not name.startswith(TABLE_PREFIX)] == []
