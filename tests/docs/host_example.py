"""A host in its smallest form, as the README shows it."""

from __future__ import annotations

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

# [host]
from clinic_dispatch_plugin import Action, Actor, ClinicDispatch, HostAdapter, Recipient


class ClinicHost(HostAdapter):
    def current_actor(self) -> Actor | None:
        return Actor(ref="anna", name="Anna Kern")  # whoever is signed in

    def is_allowed(self, actor: Actor, action: Action) -> bool:
        return True  # by role: view, compose, send, edit_reference, …

    def recipient(self, ref: str) -> Recipient | None:
        return Recipient(ref=ref, name="Eva Roth", addresses={"email": "eva@example.org"})


def mount(app: Flask, db: SQLAlchemy) -> None:
    ClinicDispatch().init_app(app, db=db, host=ClinicHost())
    # [/host]
