"""The tiny host all tests of pages use: real Flask, real SQLite, an adapter that says what a test sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, has_request_context, request
from flask_sqlalchemy import SQLAlchemy

from clinic_dispatch_plugin.database.migrate import upgrade
from clinic_dispatch_plugin.extension import ClinicDispatch
from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.host.types import Action, Actor, Audience, Layout, Recipient
from clinic_dispatch_plugin.registry import Dispatch
from tests.servers.filled import fill

EVERYTHING = frozenset(Action)
RECEPTION = frozenset({Action.VIEW, Action.COMPOSE, Action.SEND, Action.VIEW_CONTENTS})
#: ``X-Actor: reception`` in a request names who acts in it.
ACTORS: Mapping[str, tuple[Actor, frozenset[Action]]] = {
    "admin": (
        Actor(ref="admin", name="A. Kern", addresses={"email": "kern@clinic.example"}),
        EVERYTHING,
    ),
    "reception": (
        Actor(ref="reception", name="B. Lang", addresses={"email": "lang@clinic.example"}),
        RECEPTION,
    ),
    "nobody": (Actor(ref="nobody", name="C. Ohne"), frozenset()),
}


class TinyHost(HostAdapter):
    """Answers from its attributes; a test changes them at will."""

    def __init__(self) -> None:
        #: Who acts where a request names nobody; None: nobody is signed in.
        self.actor: str | None = "admin"
        #: What the actor may do; None: what :data:`ACTORS` says.
        self.actions: frozenset[Action] | None = None
        self.patients: dict[str, Recipient] = {}
        self.audience_list: Sequence[Audience] = ()
        #: Refs nobody may see.
        self.hidden: set[str] = set()
        self.page_layout: Layout | None = Layout(template="base.html", block="content")
        self.language: str | None = "de"
        #: Set to an exception that every question about the actor raises.
        self.broken: Exception | None = None
        self.updates: list[tuple[str, str, str]] = []
        self.allows_updates = True

    def current_actor(self) -> Actor | None:
        if self.broken is not None:
            raise self.broken
        name = request.headers.get("X-Actor", self.actor) if has_request_context() else self.actor
        return ACTORS[name][0] if name else None

    def is_allowed(self, actor: Actor, action: Action) -> bool:
        if self.actions is not None:
            return action in self.actions
        return action in ACTORS[actor.ref][1]

    def may_see(self, actor: Actor, refs: Sequence[str]) -> set[str]:
        return set(refs) - self.hidden

    def audiences(self) -> Sequence[Audience]:
        return self.audience_list

    def recipients(self, audience: str, filters: Mapping[str, str]) -> Iterable[Recipient]:
        return iter(list(self.patients.values()))

    def recipient(self, ref: str) -> Recipient | None:
        return self.patients.get(ref)

    def recipient_url(self, ref: str) -> str | None:
        return f"/patients/{ref}"

    def update_address(self, ref: str, channel: str, value: str) -> bool:
        if not self.allows_updates:
            return False
        self.updates.append((ref, channel, value))
        return True

    def layout(self) -> Layout | None:
        return self.page_layout

    def page_vars(self) -> Mapping[str, Any]:
        return {"clinic_name": "Klinik am Park"}

    def locale(self) -> str | None:
        return self.language


@dataclass(slots=True, kw_only=True)
class Clinic:
    """A finished host: the app, its adapter, our part of it, and a client that keeps cookies."""

    app: Flask
    host: TinyHost
    dispatch: Dispatch
    extra: dict[str, Any] = field(default_factory=dict)


def make_clinic(
    folder: Path,
    *,
    config: Mapping[str, Any] | None = None,
    host: HostAdapter | None = None,
    with_host: bool = True,
    tables: bool = True,
    packs: bool = True,
    protect_forms: bool = False,
    plugins: Sequence[object] = (),
) -> Clinic:
    """Make a host in ``folder``.

    :param with_host: False: mounted without any adapter.
    :param tables: False: an empty database.
    :param protect_forms: True: the host has Flask-WTF's CSRF protection.
    """
    app = Flask("tiny_clinic", template_folder=str(Path(__file__).parent / "templates"))
    app.config.update(
        SECRET_KEY="not a secret, for tests only",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'clinic.db'}",
        CLINIC_DISPATCH_DATA_DIR=str(folder / "data"),
        CLINIC_DISPATCH_TIMEZONE="Europe/Berlin",
        CLINIC_DISPATCH_SECRET_KEYS="k" * 40,
    )
    app.config.update(config or {})
    db = SQLAlchemy(app)
    if protect_forms:
        from flask_wtf import CSRFProtect

        CSRFProtect(app)
    adapter = host if host is not None else TinyHost()
    dispatch = ClinicDispatch().init_app(
        app, db=db, host=adapter if with_host else None, plugins=plugins
    )
    app.add_url_rule("/", "home", lambda: "home")
    if tables and packs:
        fill(dispatch)
    elif tables:
        upgrade(dispatch.database)
    tiny = adapter if isinstance(adapter, TinyHost) else TinyHost()
    return Clinic(app=app, host=tiny, dispatch=dispatch)
