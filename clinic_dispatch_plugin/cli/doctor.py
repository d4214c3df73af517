"""``flask dispatch check``: the doctor. Each line says what was looked at, and where it is wrong what to do."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.cli.base import guarded, json_option, print_json, typed, unusable
from clinic_dispatch_plugin.cli.findings import Finding
from clinic_dispatch_plugin.cli.sending_findings import gateways, records, sending
from clinic_dispatch_plugin.config import OTHER_NAMES, PREFIX, known_names, merged
from clinic_dispatch_plugin.database import migrate
from clinic_dispatch_plugin.engine.journal import try_folder
from clinic_dispatch_plugin.error_reference.packs import packs_are_current
from clinic_dispatch_plugin.registry import Dispatch, current_dispatch
from clinic_dispatch_plugin.web.layout import layout_problem
from clinic_dispatch_plugin.web.menu import menu_shown


def register(group: AppGroup) -> None:
    """Add the command."""
    group.add_command(check)


@click.command("check")
@click.option("--connect", is_flag=True, help="Sign in to every gateway as well.")
@json_option
@guarded
def check(connect: bool, as_json: bool) -> None:
    """Look whether everything is in place; exit status 1 when something is wrong."""
    dispatch = current_dispatch()
    findings = [finding for look in _LOOKS for finding in _looked(look, dispatch)]
    if not any(each.subject == "database" and each.state == "wrong" for each in findings):
        findings += [finding for look in _IN_TABLES for finding in _looked(look, dispatch)]
    if connect:
        findings += _looked(gateways, dispatch)
    wrong = any(finding.state == "wrong" for finding in findings)
    if as_json:
        lines = [
            {"subject": f.subject, "state": f.state, "text": f.text, "advice": f.advice}
            for f in findings
        ]
        print_json({"ok": not wrong, "findings": lines})
    else:
        for finding in findings:
            mark = {"ok": "ok     ", "warning": "warning", "wrong": "WRONG  "}[finding.state]
            advice = f" → {finding.advice}" if finding.advice else ""
            click.echo(f"{mark}  {finding.subject}: {finding.text}{advice}")
    sys.exit(1 if wrong else 0)


def _looked(look: Callable[[Dispatch], Iterator[Finding]], dispatch: Dispatch) -> list[Finding]:
    subject = (look.__doc__ or "").rstrip(".").lower()
    try:
        return list(look(dispatch))
    except SQLAlchemyError as error:
        advice = "start the database, or correct its address, and look again"
        return [Finding(subject=subject, state="wrong", text=unusable(error), advice=advice)]
    except Exception as error:
        text = f"cannot be looked at: {type(error).__name__}: {error}"
        advice = "mend what this names; where it names nothing of yours, report it with this line"
        return [Finding(subject=subject, state="wrong", text=text[:300], advice=advice)]


def _configuration(dispatch: Dispatch) -> Iterator[Finding]:
    """Configuration."""
    findings = list(_settings(dispatch))
    yield from findings or [Finding(subject="configuration", state="ok", text="read and in order")]


def _settings(dispatch: Dispatch) -> Iterator[Finding]:
    def warning(text: str, advice: str) -> Finding:
        return Finding(subject="configuration", state="warning", text=text, advice=advice)

    settings = dispatch.settings
    if not settings.secret_keys:
        yield warning(
            "CLINIC_DISPATCH_SECRET_KEYS is not set, so mails carry no unsubscribe links",
            'set it; make a key with: python -c "import secrets; print(secrets.token_urlsafe(48))"',
        )
    if settings.base_url is None:
        yield warning(
            "CLINIC_DISPATCH_BASE_URL is not set, so messages cannot hold links to this application",
            "set it to the address patients reach, such as https://clinic.example",
        )
    engine_url = dispatch.database.engine.url.render_as_string(hide_password=False)
    if settings.database_url not in (None, engine_url):
        yield warning(
            "CLINIC_DISPATCH_DATABASE_URL is set and not used: the host gave its own database",
            "unset it, or mount with init_app(app, db=None, …)",
        )
    if lost := sorted(settings.blocked_plugins - {plugin.name for plugin in dispatch.loaded}):
        yield warning(
            f"CLINIC_DISPATCH_BLOCKED_PLUGINS names {lost[0]!r}, and no such plugin is installed",
            "correct the name; the installed ones are listed below",
        )
    for name, like in _unknown_names(dispatch):
        meant = f"did you mean {like}?" if like else "see the README's table"
        yield warning(f"{name} is no setting and is ignored", meant)


def _unknown_names(dispatch: Dispatch) -> Iterator[tuple[str, str]]:
    """Variables nobody reads, each with the one that was probably meant."""
    ours = known_names()
    keys = {*dispatch.channels, *(each.name for each in dispatch.loaded)}
    theirs = tuple(f"{PREFIX}{key.upper()}_" for key in keys)
    for name in sorted(merged(current_app.config)):
        if name in ours or name in OTHER_NAMES or name.startswith(theirs):
            continue
        yield name, next(iter(difflib.get_close_matches(name, sorted(ours), n=1, cutoff=0.85)), "")


def _plugins(dispatch: Dispatch) -> Iterator[Finding]:
    """Plugins."""
    for plugin in dispatch.loaded:
        broken = plugin.problem and not plugin.blocked
        advice = (
            "correct this setting; until then nothing goes out through its channels"
            if plugin.by_configuration
            else f"repair or remove {plugin.distribution}, or block it: "
            f"CLINIC_DISPATCH_BLOCKED_PLUGINS={plugin.name}"
        )
        yield Finding(
            subject=f"plugin {plugin.name}",
            state="wrong" if broken else "ok",
            text=f"{plugin.distribution}{', ' + plugin.problem if plugin.problem else ''}",
            advice=advice if broken else "",
        )


def _channels(dispatch: Dispatch) -> Iterator[Finding]:
    """Channels."""
    any_account = any(dispatch.accounts(key) for key in dispatch.channels)
    for key in dispatch.channels:
        found = dispatch.accounts(key)
        yield Finding(
            subject=f"channel {key}",
            state="ok" if found or any_account else "warning",
            text=", ".join(account.label for account in found) or "no account is configured",
            advice=""
            if found
            else f"set CLINIC_DISPATCH_{key.upper()}_URL or add one on the settings page",
        )


def _database(dispatch: Dispatch) -> Iterator[Finding]:
    """Database."""
    revision, needed = migrate.current(dispatch.database), migrate.head()
    if revision != needed:
        text = f"revision {revision or 'none'}, this version needs {needed}"
        yield Finding(
            subject="database", state="wrong", text=text, advice=f"run `{typed('db upgrade')}`"
        )
        return
    yield Finding(
        subject="database",
        state="ok",
        text=f"{dispatch.database.engine.dialect.name}, revision {revision}",
    )
    with dispatch.database.begin() as connection:
        if not packs_are_current(dispatch, connection):
            yield Finding(
                subject="reference",
                state="wrong",
                text="newer entries are installed than the database holds",
                advice=f"run `{typed('db upgrade')}`",
            )
        if connection.dialect.name == "sqlite":
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
            if mode != "wal":
                yield Finding(
                    subject="database",
                    state="warning",
                    text=f"SQLite runs in {mode} mode: pages wait while messages go out",
                    advice="run `PRAGMA journal_mode = WAL` on it once",
                )


def _queue(dispatch: Dispatch) -> Iterator[Finding]:
    """Queue."""
    if dispatch.doorbell.answers():
        kind = "embedded server" if dispatch.doorbell.embedded else "Redis"
        yield Finding(subject="queue", state="ok", text=f"{kind} answers")
    elif dispatch.doorbell.embedded:
        yield Finding(
            subject="queue",
            state="warning",
            text="the embedded server is not running: it runs while a worker does",
            advice=f"start one: {typed('worker')}",
        )
    else:
        yield Finding(
            subject="queue",
            state="wrong",
            text="Redis does not answer; messages are kept and go out later",
            advice="start it, or correct CLINIC_DISPATCH_REDIS_URL",
        )


def _host(dispatch: Dispatch) -> Iterator[Finding]:
    """Host."""
    if not dispatch.has_host:
        yield Finding(
            subject="host",
            state="wrong",
            text="no adapter was given, so nobody may open the pages",
            advice="pass host=YourAdapter() to ClinicDispatch().init_app",
        )
        return
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    problem = layout_problem(app)
    yield Finding(
        subject="layout",
        state="wrong" if problem else "ok",
        text=problem or "our pages appear in the host's layout",
        advice="let layout(), page_vars() and render() of the adapter work without a signed-in user, or set "
        "CLINIC_DISPATCH_BASE_TEMPLATE and CLINIC_DISPATCH_BASE_BLOCK"
        if problem
        else "",
    )
    if not problem:
        yield _menu(menu_shown(app))


def _menu(shown: bool | None) -> Finding:
    text = {
        True: "the host's layout shows both items",
        False: "the host's layout shows no way to our pages",
        None: "no layout of the host is named, so its menu cannot be looked at",
    }[shown]
    advice = (
        'put {% for item in dispatch_menu() %}<a href="{{ item.url }}">{{ item.label }}</a>{% endfor %} '
        "into the host's navigation"
    )
    return Finding(
        subject="menu",
        state={True: "ok", False: "wrong", None: "warning"}[shown],
        text=text,
        advice="" if shown else advice,
    )


def _migrations(dispatch: Dispatch) -> Iterator[Finding]:
    """Migrations of the host."""
    migrate_extension = current_app.extensions.get("migrate")
    if migrate_extension is None:
        yield Finding(subject="migrations", state="ok", text="the host uses no Flask-Migrate")
        return
    guard = getattr(migrate_extension, "configure_args", {}).get("include_name")
    safe = guard is not None and (
        getattr(guard, "spares_dispatch", False) or not guard("dispatch_message", "table", {})
    )
    yield Finding(
        subject="migrations",
        state="ok" if safe else "wrong",
        text="the host's leave our tables alone"
        if safe
        else "`flask db migrate` would drop our tables",
        advice="" if safe else "pass include_name=hosts_own to the host's Migrate(app, db, …)",
    )


def _folder(dispatch: Dispatch) -> Iterator[Finding]:
    """Data folder."""
    folder = dispatch.settings.spool_dir
    try:
        try_folder(folder)
    except OSError as error:
        yield Finding(
            subject="data folder",
            state="wrong",
            text=f"{folder} cannot be written or locked ({error.strerror})",
            advice="make it writable, on a local disk, or set CLINIC_DISPATCH_DATA_DIR",
        )
        return
    yield Finding(
        subject="data folder",
        state="ok",
        text=f"{dispatch.settings.data_dir} can be written and locked",
    )


_LOOKS = (_configuration, _plugins, _channels, _folder, _database, _queue, _host, _migrations)
#: What can only be looked at while the tables are as they must be.
_IN_TABLES = (sending, records)
