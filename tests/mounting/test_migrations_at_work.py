"""Tables change while workers run: the older program goes on with what was added, the newer waits for what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import inspect, text

from clinic_dispatch_plugin.database import migrate
from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.extension import ClinicDispatch
from tests.conftest import DATABASES
from tests.engine.dispatching import open_desk


def commands(url: str, folder: Path) -> FlaskCliRunner:
    """A clinic's command line."""
    app = Flask("at_work")
    app.config.update(
        CLINIC_DISPATCH_DATABASE_URL=url,
        CLINIC_DISPATCH_DATA_DIR=str(folder / "data"),
        CLINIC_DISPATCH_REDIS_URL="unix:///nowhere.sock",
    )
    ClinicDispatch().init_app(app)
    return app.test_cli_runner()


@pytest.mark.parametrize("database_url", DATABASES, indirect=True)
def test_a_program_works_on_with_columns_a_newer_one_added(
    database_url: str, tmp_path: Path
) -> None:
    """What a later release adds is nullable or has a default: whoever does not know it never notices."""
    desk = open_desk(database_url, tmp_path)
    mailing = desk.mailing(4)
    with desk.dispatch.database.begin() as connection:
        tables = [
            name
            for name in inspect(connection).get_table_names()
            if migrate.is_ours(name, "table", {})
        ]
        for table in sorted(tables):
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN of_a_later_time VARCHAR(20)"))
    desk.settle()
    assert desk.states(mailing) == {"sent": 4}
    assert desk.state_of_mailing(mailing)["state"] == "finished"
    desk.dispatch.database.dispose()


@pytest.mark.parametrize(
    ("revision", "starts"),
    [("0001", False), ("later", True), ("contracted", False)],
    ids=["older", "later, only added to", "later, with something taken away"],
)
def test_a_command_starts_where_the_tables_fit(tmp_path: Path, revision: str, starts: bool) -> None:
    url = f"sqlite:///{tmp_path / 'clinic.sqlite'}"
    desk = open_desk(url, tmp_path)
    head = migrate.head()
    found = {"later": f"{int(head) + 1:04}", "contracted": f"{int(head[:2]) + 1:02}01"}
    written = found.get(revision, revision)
    with desk.dispatch.database.begin() as connection:
        connection.execute(
            text(f"UPDATE {migrate.VERSION_TABLE} SET version_num = :new"), {"new": written}
        )
    done = commands(url, tmp_path).invoke(args=["dispatch", "blocks"])
    assert (done.exit_code == 0) is starts, done.output
    assert starts or "db upgrade" in done.output
    desk.dispatch.database.dispose()


def test_what_takes_something_away_waits_until_the_workers_have_ended(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'clinic.sqlite'}"
    desk = open_desk(url, tmp_path)
    database = desk.dispatch.database
    migrate.downgrade(database, "0010")
    here = {"name": "old", "host": "h", "version": "0", "concurrency": 1}
    database.run(lambda connection: store.sign_of_life(connection, **here))  # type: ignore[arg-type]
    runner = commands(url, tmp_path)
    asked = runner.invoke(args=["dispatch", "db", "upgrade"])
    assert asked.exit_code == 1 and "workers" in asked.output
    assert migrate.current(database) == "0010"
    database.run(lambda connection: store.sign_off(connection, "old"))
    done = runner.invoke(args=["dispatch", "db", "upgrade"])
    assert done.exit_code == 0, done.output
    assert migrate.current(database) == migrate.head()
    database.dispose()
