"""The clinic's application factory; what it says about the plugin is one call, as in any host."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, Response, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import event
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from werkzeug.exceptions import BadRequest, HTTPException

from clinic_dispatch_plugin.config import load_settings
from clinic_dispatch_plugin.demo import auth, beside, folder, views, wording
from clinic_dispatch_plugin.demo.adapter import DemoClinic
from clinic_dispatch_plugin.demo.models import db
from clinic_dispatch_plugin.demo.seeding import ensure_seeded, is_out_of_reach

log = logging.getLogger(__name__)

#: The clinic's own rule for browsers, as strict as hosts have it.
POLICY = (
    "default-src 'self'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
DATA_DIR = "CLINIC_DISPATCH_DATA_DIR"
#: Milliseconds a second writer of SQLite waits for the first.
SQLITE_PATIENCE = 10_000
#: Whether the plugin is mounted, and whether the first start fills the clinic; both true unless said.
MOUNT = "MOUNT_DISPATCH"
SEED = "SEED"
_TO_SEED = "demo_clinic_to_seed"


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The demo clinic, filled on first use.

    :param config: goes over the environment's ``CLINIC_DISPATCH_*``; ``MOUNT_DISPATCH=False`` gives
        the clinic before it had the plugin, ``SEED=False`` leaves the database alone.
    :raises ConfigurationError: a setting is wrong; says which and what to write.
    """
    place = (config or {}).get(DATA_DIR) or os.environ.get(DATA_DIR) or ".demo"
    data_dir = folder.open_folder(Path(place).expanduser().absolute())
    app = Flask("clinic_dispatch_plugin.demo", instance_path=str(data_dir))
    app.config.update(
        SECRET_KEY=folder.key(data_dir, folder.SESSION_KEY),
        SESSION_COOKIE_NAME="clinic_session",
        SESSION_COOKIE_SAMESITE="Lax",
    )
    app.config.update(config or {})
    app.config[DATA_DIR] = str(data_dir)
    _set_defaults(app, data_dir)
    _open_database(app, data_dir)
    _set_up_pages(app)
    if app.config.get(MOUNT, True):
        _mount(app)
    if app.config.get(SEED, True):
        _seed(app)
    return app


def _mount(app: Flask) -> None:
    # Here and not above: without it this clinic is one that has never heard of the plugin.
    from clinic_dispatch_plugin import ClinicDispatch

    ClinicDispatch().init_app(app, db=db, host=DemoClinic(app))


def _set_defaults(app: Flask, data_dir: Path) -> None:
    """What the environment leaves open, for a clinic in Germany."""
    defaults = {
        "CLINIC_DISPATCH_LOCALE": "de",
        # Whoever shows it in the evening wants to see something arrive.
        "CLINIC_DISPATCH_QUIET_HOURS": "none",
        "CLINIC_DISPATCH_TIMEZONE": _berlin(),
        # Accounts of the settings page may be at the simulators beside it.
        "CLINIC_DISPATCH_PRIVATE_GATEWAYS": "127.0.0.0/8, ::1",
        "CLINIC_DISPATCH_SECRET_KEYS": folder.key(data_dir, folder.DISPATCH_KEY),
    }
    for name, value in defaults.items():
        app.config.setdefault(name, os.environ.get(name) or value)
    if beside.RELAY not in app.config and not os.environ.get(beside.RELAY):
        # A command typed beside the running demo sends through the demo's relay.
        for name, value in beside.settings_of(data_dir).items():
            app.config.setdefault(name, os.environ.get(name) or value)


def _berlin() -> str:
    try:
        return ZoneInfo("Europe/Berlin").key
    except (OSError, LookupError):  # a machine without time zones
        return "UTC"


def _open_database(app: Flask, data_dir: Path) -> None:
    settings = load_settings(app.config, instance_path=app.instance_path)
    own = f"sqlite:///{data_dir / 'clinic.db'}"
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url or own
    db.init_app(app)
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout = {SQLITE_PATIENCE}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _seed(app: Flask) -> None:
    try:
        ensure_seeded(app)
    except SQLAlchemyError as error:
        if not is_out_of_reach(error):
            raise
        log.error("the clinic's database cannot be reached; the next page tries again: %s", error)
        app.extensions[_TO_SEED] = True
        # Before all others: who is signed in already stands in a table.
        app.before_request_funcs.setdefault(None, []).insert(0, lambda: _seed_late(app))


def _seed_late(app: Flask) -> None:
    if app.extensions.get(_TO_SEED) and request.endpoint != "static":
        ensure_seeded(app)
        app.extensions[_TO_SEED] = False


def _set_up_pages(app: Flask) -> None:
    auth.register(app)
    app.register_blueprint(views.bp)
    app.context_processor(_page_variables)
    app.add_template_filter(wording.short_day)
    app.add_template_filter(wording.long_day)
    app.add_template_filter(wording.clock_time)
    app.after_request(_protect)
    app.register_error_handler(HTTPException, _show_error)
    # By its number too, so that whatever is mounted here finds the way to the sign-in.
    app.register_error_handler(401, _show_error)
    app.register_error_handler(OperationalError, _show_outage)


def _page_variables() -> dict[str, Any]:
    return {
        "t": wording.t,
        "language": wording.language(),
        "languages": wording.LANGUAGES,
        "user": auth.current_user(),
        "may_see_area": auth.may_see_area,
        "form_token": auth.form_token,
        # Where a form of the page's head leads back to; a POST's own address cannot be opened.
        "here": auth.here() if request.method == "GET" else "",
    }


def _protect(response: Response) -> Response:
    """The clinic's headers, unless a page has stricter ones of its own."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if request.endpoint and not request.endpoint.endswith("static"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _show_error(error: HTTPException) -> ResponseReturnValue:
    """The clinic's page for an error; who is not signed in finds the form right there."""
    code = error.code or 500
    if error.response is not None or code < 400:  # somebody has an answer of their own
        return error
    if code == 401:
        return auth.sign_in_page(next_path=auth.here()), 401
    own = error.description if code == 400 and error.description != BadRequest.description else None
    page = render_template("demo/error.html", code=code, text=own or wording.error_text(code))
    headers = [each for each in error.get_headers() if each[0] in {"Allow", "Retry-After"}]
    return page, code, headers


def _show_outage(error: OperationalError) -> ResponseReturnValue:
    """A page that needs no database."""
    log.error("the clinic's database did not answer: %s", error)
    page = render_template("demo/error.html", code=503, text=wording.t("error_503"), alone=True)
    return page, 503, [("Retry-After", "10")]
