"""Mounted with the host's database or our own, below a sub-path, twice in one process, and without an adapter."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
import sqlalchemy
from flask import Flask, render_template_string
from flask_sqlalchemy import SQLAlchemy
from jinja2 import ChoiceLoader, DictLoader

from clinic_dispatch_plugin import ClinicDispatch
from clinic_dispatch_plugin.database.migrate import VERSION_TABLE, upgrade
from clinic_dispatch_plugin.error_reference.packs import install_packs
from clinic_dispatch_plugin.host.types import Layout, Recipient
from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.messages.commands import messages_for_command
from clinic_dispatch_plugin.registry import Dispatch
from tests.clinic.full import EMAIL
from tests.clinic.host import TinyHost, make_clinic

ANNA = Recipient(ref="p1", name="Anna Berg", addresses={"email": "anna@example.org"})


def _own(folder: Path, **config: str) -> tuple[Flask, Dispatch]:
    app = Flask(
        "own_engine", template_folder=str(Path(__file__).parents[1] / "clinic" / "templates")
    )
    settings = {"CLINIC_DISPATCH_DATA_DIR": str(folder / "data"), **EMAIL, **config}
    app.config.update(SECRET_KEY="for tests only", **settings)
    dispatch = ClinicDispatch().init_app(app, db=None, host=TinyHost())
    app.add_url_rule("/", "home", lambda: "home")
    return app, dispatch


def _tables(url: str) -> set[str]:
    engine = sqlalchemy.create_engine(url)
    try:
        return set(sqlalchemy.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def _send(dispatch: Dispatch, connection: sqlalchemy.Connection | None = None) -> int:
    return mailings.send(
        dispatch, to=ANNA, subject="Termin", text="Guten Tag {{ name }}", connection=connection
    )


def test_without_a_database_of_the_host_s_ours_stands_in_the_data_folder(tmp_path: Path) -> None:
    app, dispatch = _own(tmp_path)
    with app.app_context():
        upgrade(dispatch.database)
        install_packs(dispatch)
        _send(dispatch)
        assert len(list(messages_for_command(dispatch))) == 1
    with app.test_client() as client:
        assert "Anna Berg" in client.get("/dispatch/").get_data(as_text=True)
    assert (tmp_path / "data" / "dispatch.db").is_file()
    dispatch.database.dispose()


def test_without_a_database_of_the_host_s_the_setting_names_ours(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere' / 'ours.db'}"
    app, dispatch = _own(tmp_path, CLINIC_DISPATCH_DATABASE_URL=url)
    with app.app_context():
        upgrade(dispatch.database)
    dispatch.database.dispose()
    assert VERSION_TABLE in _tables(url)


def test_a_mailing_of_the_host_s_code_shares_the_host_s_transaction(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path, config=EMAIL)
    db: SQLAlchemy = clinic.app.extensions["sqlalchemy"]
    with clinic.app.app_context():
        _send(clinic.dispatch, db.session.connection())
        db.session.rollback()
        assert list(messages_for_command(clinic.dispatch)) == [], "rolled back: nothing is sent"
        _send(clinic.dispatch, db.session.connection())
        db.session.commit()
        assert len(list(messages_for_command(clinic.dispatch))) == 1


def test_the_host_s_create_all_never_makes_our_tables(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path, tables=False)
    db: SQLAlchemy = clinic.app.extensions["sqlalchemy"]
    with clinic.app.app_context():
        db.create_all()
        db.engine.dispose()
    assert _tables(f"sqlite:///{tmp_path / 'clinic.db'}") == set()


def test_mounting_opens_nothing(tmp_path: Path) -> None:
    url = "postgresql://nobody:nothing@127.0.0.1:1/none"
    app, _ = _own(
        tmp_path, CLINIC_DISPATCH_DATABASE_URL=url, CLINIC_DISPATCH_REDIS_URL="redis://127.0.0.1:1"
    )
    assert "clinic_dispatch.messages" in app.view_functions
    assert list(tmp_path.iterdir()) == []


def test_below_a_sub_path_every_link_stays_below_it(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path, config=EMAIL)
    with clinic.app.app_context():
        _send(clinic.dispatch)
    client = clinic.app.test_client()
    below = {"SCRIPT_NAME": "/praxis"}
    for page in ("", "mailings", "errors", "mailings/new", "messages/1", "templates"):
        found = client.get(f"/dispatch/{page}", environ_overrides=below)
        if found.status_code in (301, 302, 303, 308):
            assert found.headers["Location"].startswith("/praxis/dispatch/")
            found = client.get(
                found.headers["Location"].removeprefix("/praxis"), environ_overrides=below
            )
        assert found.status_code == 200, page
        html = found.get_data(as_text=True)
        ours = html.partition("<main>")[2]
        links = re.findall(r'(?:href|src|action|data-[a-z-]*url)="(/[^"]*)"', ours)
        assert links, page
        strays = [link for link in links if not link.startswith(("/praxis/", "/patients/"))]
        assert strays == [], page
        menu = re.findall(r'data-menu="[^"]*"><a href="([^"]*)"', html)
        assert menu and all(link.startswith("/praxis/dispatch/") for link in menu)


def test_another_prefix_moves_every_page(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path, config={"CLINIC_DISPATCH_URL_PREFIX": "/post"})
    client = clinic.app.test_client()
    assert client.get("/post/").status_code == 200
    assert client.get("/dispatch/").status_code == 404


def test_two_apps_in_one_process_do_not_meet(tmp_path: Path) -> None:
    clinics = []
    for name in ("east", "west"):
        (tmp_path / name).mkdir()
        clinics.append(make_clinic(tmp_path / name, config=EMAIL))
    east, west = clinics
    assert east.dispatch is not west.dispatch
    assert east.dispatch.channels["email"] is not west.dispatch.channels["email"]
    with east.app.app_context():
        _send(east.dispatch)
        with west.app.app_context():
            assert list(messages_for_command(west.dispatch)) == []
    pages = [
        clinic.app.test_client().get("/dispatch/").get_data(as_text=True) for clinic in clinics
    ]
    assert "Anna Berg" in pages[0] and "Anna Berg" not in pages[1]
    assert east.dispatch.doorbell.url != west.dispatch.doorbell.url


def test_without_an_adapter_nobody_gets_in_and_the_log_says_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        clinic = make_clinic(tmp_path, with_host=False)
    assert "pass host=YourAdapter() to ClinicDispatch().init_app" in caplog.text
    client = clinic.app.test_client()
    rules = [
        rule
        for rule in clinic.app.url_map.iter_rules()
        if rule.endpoint.startswith("clinic_dispatch.")
    ]
    pages = [rule.rule for rule in rules if "GET" in (rule.methods or ()) and not rule.arguments]
    # Figures without a name, for a monitor on this machine or with its token.
    pages.remove("/dispatch/metrics")
    assert len(pages) >= 5
    for page in pages:
        assert client.get(page).status_code == 401, page


def test_the_menu_is_there_as_data_and_as_a_macro(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path)
    with clinic.app.test_request_context("/"):
        shown = render_template_string(
            "{% for item in dispatch_menu() %}{{ item.label }}|{{ item.url }}\n{% endfor %}"
        )
    assert shown.splitlines() == ["Versand|/dispatch/", "Mailing-Fehler|/dispatch/errors"]


def test_a_wrong_block_still_shows_the_page_and_the_log_names_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clinic = make_clinic(tmp_path)
    bare = DictLoader({"bare.html": "<p>{% block main %}{% endblock %}</p>"})
    theirs = clinic.app.jinja_env.loader
    assert theirs is not None
    clinic.app.jinja_env.loader = ChoiceLoader([bare, theirs])
    clinic.host.page_layout = Layout(template="bare.html", block="content")
    page = clinic.app.test_client().get("/dispatch/")
    assert page.status_code == 200
    assert "data-dispatch-page" in page.get_data(as_text=True)
    assert "shows nothing in its block 'content'" in caplog.text
