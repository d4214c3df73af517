"""A host in its smallest form, as the README shows it."""

from __future__ import annotations

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

# [host]
from clinic_dispatch_plugin import Action, Actor, ClinicDispatch, HostAdapter, Recipient

MAY = {
    "reception": {Action.VIEW, Action.COMPOSE, Action.SEND, Action.VIEW_CONTENTS},
    "administration": set(Action),
}


class ClinicHost(HostAdapter):
    def current_actor(self) -> Actor | None:
        return Actor(ref="anna", name="Anna Kern")  # whoever is signed in

    def is_allowed(self, actor: Actor, action: Action) -> bool:
        return action in MAY.get(role_of(actor.ref), set())  # your own roles

    def recipient(self, ref: str) -> Recipient | None:
        return Recipient(ref=ref, name="Eva Roth", addresses={"email": "eva@example.org"})


def mount(app: Flask, db: SQLAlchemy) -> None:
    ClinicDispatch().init_app(app, db=db, host=ClinicHost())
    # [/host]


def role_of(ref: str) -> str:
    """The clinic's own look-up."""
    return {"anna": "reception"}.get(ref, "")
