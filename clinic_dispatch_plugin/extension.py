"""``ClinicDispatch.init_app``: the one place that builds; it opens nothing, asks nothing and starts no thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from flask import Flask
from flask.signals import appcontext_pushed

from clinic_dispatch_plugin import cli
from clinic_dispatch_plugin.accounts.book import Book
from clinic_dispatch_plugin.accounts.keys import seal_open
from clinic_dispatch_plugin.accounts.setup import BOOK
from clinic_dispatch_plugin.config import load_settings, merged
from clinic_dispatch_plugin.database.base import TABLE_PREFIX
from clinic_dispatch_plugin.database.connection import Database, HostDatabase
from clinic_dispatch_plugin.engine.following import EVERY_SECONDS as FOLLOWING_SECONDS
from clinic_dispatch_plugin.engine.following import Following
from clinic_dispatch_plugin.engine.quarantine import awaited_until, forget_runs
from clinic_dispatch_plugin.error_reference import again
from clinic_dispatch_plugin.error_reference.shipped import CorePacks
from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.mailings import ending
from clinic_dispatch_plugin.mailings.sending import send
from clinic_dispatch_plugin.mailings.uploads import remove_old_uploads
from clinic_dispatch_plugin.pages import make_blueprint
from clinic_dispatch_plugin.queue.doorbell import Doorbell
from clinic_dispatch_plugin.registry import EXTENSION, Dispatch, collect_channels, load_plugins
from clinic_dispatch_plugin.reports import asking, inbox
from clinic_dispatch_plugin.reports.mailbox import fetch_quietly
from clinic_dispatch_plugin.reports.service import look_again
from clinic_dispatch_plugin.settings.quiet import KEEPER as QUIET_KEEPER
from clinic_dispatch_plugin.settings.quiet import Keeper as QuietKeeper
from clinic_dispatch_plugin.web.setup import set_up_web

log = logging.getLogger(__name__)

#: Seconds between two looks into the mailbox of bounce mails.
BOUNCES_SECONDS = 300.0
#: What is called without a page, so without a token of a form.
TOKENLESS = tuple(
    f"clinic_dispatch.{name}" for name in ("unsubscribe", "callback", "secret_callback")
)


class ClinicDispatch:
    """Mounts the plugin into a host; keeps nothing of the app, so that two apps in one process do not meet."""

    def init_app(
        self,
        app: Flask,
        *,
        db: HostDatabase | None = None,
        host: HostAdapter | None = None,
        plugins: Sequence[object] = (),
    ) -> Dispatch:
        """Read the settings, find the plugins, register pages and commands. Call it once, in the app's factory.

        :param db: the host's ``SQLAlchemy()``; None: an engine of our own from ``CLINIC_DISPATCH_DATABASE_URL``.
        :param host: answers our questions about the clinic; None: every page answers 401.
        :param plugins: pluggy plugins given by hand, beside the installed ones.
        :raises ConfigurationError: a setting is wrong; says which and what to write.
        """
        settings = load_settings(app.config, instance_path=app.instance_path)
        manager, loaded = load_plugins(settings.blocked_plugins, more=(CorePacks(), *plugins))
        own_url = settings.database_url if db is None else None
        if db is None and own_url is None:
            own_url = f"sqlite:///{settings.data_dir / 'dispatch.db'}"
        dispatch = Dispatch(
            settings=settings,
            database=Database(app, host=db, url=own_url),
            host=host or HostAdapter(),
            has_host=host is not None,
            doorbell=Doorbell(
                url=settings.redis_url, data_dir=settings.data_dir, prefix=settings.queue_prefix
            ),
            plugins=manager,
            loaded=loaded,
            channels=collect_channels(manager, app, loaded),
            config=merged(app.config),
        )
        book = Book(dispatch)
        dispatch.added_accounts = book.accounts
        dispatch.cache[BOOK] = book
        quiet = QuietKeeper(dispatch)
        dispatch.kept_quiet_hours = quiet.hours
        dispatch.cache[QUIET_KEEPER] = quiet
        dispatch.database.before = partial(_look, book, quiet)
        dispatch.app_context = app.app_context
        dispatch.send = partial(send, dispatch)
        dispatch.awaited_until = partial(awaited_until, dispatch)
        dispatch.housekeeping += [
            partial(remove_old_uploads, dispatch),
            partial(forget_runs, dispatch),
            partial(seal_open, dispatch),
        ]
        dispatch.hear = partial(inbox.hear, dispatch)
        dispatch.rounds.append((asking.EVERY_SECONDS, partial(asking.go_round, dispatch)))
        dispatch.rounds.append((inbox.EVERY_SECONDS, partial(inbox.go_round, dispatch)))
        dispatch.rounds.append((FOLLOWING_SECONDS, Following(dispatch).go_on_a_while))
        dispatch.rounds.append((again.EVERY_SECONDS, partial(again.go_on_a_while, dispatch)))
        dispatch.rounds.append((BOUNCES_SECONDS, partial(fetch_quietly, dispatch)))
        dispatch.rounds.append((BOUNCES_SECONDS, partial(look_again, dispatch)))
        dispatch.rounds.append((ending.EVERY_SECONDS, partial(ending.go_round, dispatch)))
        app.extensions[EXTENSION] = dispatch
        app.register_blueprint(make_blueprint(), url_prefix=settings.url_prefix)
        app.cli.add_command(cli.dispatch)
        set_up_web(app, dispatch)
        appcontext_pushed.connect(_guard_host_migrations, app)
        if host is None:
            log.warning(
                "clinic_dispatch has no host adapter, so nobody may open its pages: "
                "pass host=YourAdapter() to ClinicDispatch().init_app (see the README)"
            )
        return dispatch


def _look(book: Book, quiet: QuietKeeper) -> None:
    """What the settings page says may have changed."""
    book.look()
    quiet.look()


def hosts_own(name: str | None, type_: str, parent_names: Any) -> bool:
    """For the host's Alembic: ``include_name=hosts_own`` keeps its hands off our tables."""
    return type_ != "table" or name is None or not name.startswith(TABLE_PREFIX)


def _guard_host_migrations(app: Flask, **_: Any) -> None:
    """Keep the host's ``flask db migrate`` from dropping our tables; late, as hosts may make ``Migrate`` after us."""
    _spare_the_tokenless(app)
    migrate = app.extensions.get("migrate")
    arguments = getattr(migrate, "configure_args", None)
    theirs = None if arguments is None else arguments.get("include_name")
    if arguments is not None and not getattr(theirs, "spares_dispatch", False):
        arguments["include_name"] = _both(theirs)


def _spare_the_tokenless(app: Flask) -> None:
    """Mail programs that unsubscribe (RFC 8058) and gateways have no token of the host's; late, for the same reason."""
    exempt = getattr(app.extensions.get("csrf"), "exempt", None)
    if exempt is None:
        return
    for name in TOKENLESS:
        if (view := app.view_functions.get(name)) is not None:
            exempt(view)


def _both(theirs: Callable[..., bool] | None) -> Callable[..., bool]:
    def include_name(name: str | None, type_: str, parent_names: Any) -> bool:
        ours = hosts_own(name, type_, parent_names)
        return ours and (theirs is None or theirs(name, type_, parent_names))

    include_name.spares_dispatch = True  # type: ignore[attr-defined]
    return include_name
