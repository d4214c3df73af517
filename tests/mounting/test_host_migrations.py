"""The host's own ``flask db migrate`` leaves our tables alone, whether the host says so or not."""

from __future__ import annotations

import json
import sys

import pytest

from tests.cli.programs import Shell

# One process for all hosts, since each takes seconds to start; and not the tests' own, because a
# host's env.py sets up logging for the whole process.
SCRIPT = """
import json, sys
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from clinic_dispatch_plugin import ClinicDispatch, HostAdapter, hosts_own


def not_legacy(name, kind, parents):
    return name != "legacy"


def run(folder, how):
    db = SQLAlchemy()

    class Patient(db.Model):
        id = db.Column(db.Integer, primary_key=True)

    app = Flask("a_host", instance_path=str(folder))
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder}/host.db"
    db.init_app(app)
    if how == "before":
        Migrate(app, db)
    ClinicDispatch().init_app(app, db=db, host=HostAdapter())
    if how == "after":
        Migrate(app, db)
    if how == "said":
        Migrate(app, db, include_name=hosts_own)
    if how == "filtered":
        Migrate(app, db, include_name=not_legacy)
    flask = app.test_cli_runner()
    versions = folder / "migrations" / "versions"

    def db_command(*words):
        done = flask.invoke(args=["db", *words, "-d", str(folder / "migrations")])
        assert done.exit_code == 0, done.output

    db_command("init")
    db_command("migrate", "-m", "first")
    db_command("upgrade")
    assert flask.invoke(args=["dispatch", "db", "upgrade"]).exit_code == 0
    with app.app_context():
        with db.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE legacy (id INTEGER)")
    Patient.phone = db.Column(db.String(40))
    db_command("migrate", "-m", "phones")
    (written,) = versions.glob("*_phones.py")
    db_command("upgrade")
    return {
        "written": written.read_text(),
        "check": flask.invoke(args=["dispatch", "db", "check"]).output,
        "doctor": flask.invoke(args=["dispatch", "check"]).output,
    }


found = {}
for how in ("before", "after", "said", "filtered"):
    folder = Path.cwd() / how
    folder.mkdir()
    found[how] = run(folder, how)
Path("found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Give what became of four hosts after their next migration."""
    folder = tmp_path_factory.mktemp("hosts")
    (folder / "script.py").write_text(SCRIPT)
    ended = Shell(folder).run(sys.executable, "script.py")
    assert ended.status == 0, ended.err
    found: dict[str, dict[str, str]] = json.loads((folder / "found.json").read_text())
    return found


@pytest.mark.parametrize("how", ["before", "after", "said", "filtered"])
def test_the_next_revision_of_the_host_leaves_our_tables_alone(
    hosts: dict[str, dict[str, str]], how: str
) -> None:
    written = hosts[how]["written"]
    assert "phone" in written
    assert "dispatch_" not in written
    assert "tables are as this version expects them" in hosts[how]["check"]
    assert "migrations: the host's leave our tables alone" in hosts[how]["doctor"]


def test_a_filter_of_the_host_s_own_is_kept(hosts: dict[str, dict[str, str]]) -> None:
    assert "legacy" in hosts["before"]["written"], "nobody filtered it there"
    assert "legacy" not in hosts["filtered"]["written"]
