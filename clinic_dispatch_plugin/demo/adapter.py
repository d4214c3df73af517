"""The clinic's answers to the dispatch plugin's questions: what an integrator writes, and all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import Flask, current_app, has_app_context, has_request_context, url_for
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from clinic_dispatch_plugin.demo.audiences import GROUPS, recipient_of
from clinic_dispatch_plugin.demo.auth import current_user, may_see_area
from clinic_dispatch_plugin.demo.cards import checked_email, checked_phone, is_ref
from clinic_dispatch_plugin.demo.models import Patient, User, db
from clinic_dispatch_plugin.demo.roles import MARKETING_AUDIENCES, Area, Role, may, sees_vip
from clinic_dispatch_plugin.demo.wording import language, t
from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.host.types import Action, Actor, Audience, Layout, Recipient

#: Refs asked for in one statement: SQLite and drivers limit how many values it may have.
REFS = 500


class DemoClinic(HostAdapter):
    """Klinik am Park. Each answer is read afresh in a short session of its own, in pages and workers alike."""

    def __init__(self, app: Flask | None = None) -> None:
        """:param app: whose clinic it is where a thread has no application context."""
        self._app = app

    # Who, and what they may

    def current_actor(self) -> Actor | None:
        """Whoever signed in to the clinic."""
        user = current_user() if has_request_context() else None
        if user is None:
            return None
        return Actor(ref=user.username, name=user.name, addresses={"email": user.email})

    def is_allowed(self, actor: Actor, action: Action) -> bool:
        """By the role; see :data:`clinic_dispatch_plugin.demo.roles.ACTIONS`."""
        return may(self._role(actor), action)

    def may_see(self, actor: Actor, refs: Sequence[str]) -> set[str]:
        """Everybody, but protected cards only for those who work with them."""
        role = self._role(actor)
        if not may(role, Action.VIEW):
            return set()
        if sees_vip(role):
            return set(refs)
        hidden: set[str] = set()
        with self._session() as session:
            for part in _parts(refs):
                query = select(Patient.id).where(Patient.id.in_(part), Patient.vip)
                hidden.update(session.scalars(query))
        return set(refs) - hidden

    def _role(self, actor: Actor) -> str:
        user = current_user() if has_request_context() else None
        if user is not None and user.username == actor.ref:
            return user.role
        with self._session() as session:
            return session.scalar(select(User.role).where(User.username == actor.ref)) or ""

    # Whom

    def audiences(self) -> Sequence[Audience]:
        """What the signed-in person may write to; in a worker all of them."""
        with self._session() as session:
            return [group.offer(session) for key, group in GROUPS.items() if self._offers(key)]

    def _offers(self, audience: str) -> bool:
        user = current_user() if has_request_context() else None
        restricted = user is not None and user.role == Role.MARKETING
        return not restricted or audience in MARKETING_AUDIENCES

    def recipients(self, audience: str, filters: Mapping[str, str]) -> Iterator[Recipient]:
        """Everybody in the audience, in one stream."""
        group = GROUPS.get(audience)
        if group is None or not self._offers(audience):
            raise ValueError(t("bad_audience"))
        with self._session() as session:
            yield from group.find(session, filters)

    def recipient(self, ref: str) -> Recipient | None:
        """The patient as the card is now."""
        return self.recipients_now([ref]).get(ref)

    def recipients_now(self, refs: Sequence[str]) -> Mapping[str, Recipient]:
        """Several patients as their cards are now."""
        found: dict[str, Recipient] = {}
        with self._session() as session:
            for part in _parts([ref for ref in refs if is_ref(ref)]):
                for patient in session.scalars(select(Patient).where(Patient.id.in_(part))):
                    found[patient.id] = recipient_of(patient)
        return found

    def recipient_url(self, ref: str) -> str | None:
        """The patient's card."""
        if not has_request_context() or not is_ref(ref):
            return None
        return url_for("clinic.patient", ref=ref)

    def update_address(self, ref: str, channel: str, value: str) -> bool:
        """Write a corrected address or number onto the card."""
        if not is_ref(ref) or (has_request_context() and not may_see_area(Area.CARDS)):
            return False
        with self._session() as session, session.begin():
            patient = session.get(Patient, ref)
            if patient is None:
                return False
            if channel == "email":
                patient.email = checked_email(value)
            else:
                patient.phone = checked_phone(value)
        return True

    # How it looks

    def layout(self) -> Layout | None:
        """The clinic's own page around the plugin's."""
        return Layout(template="demo/base.html", block="content")

    def page_vars(self) -> Mapping[str, Any]:
        """Nothing: the layout gets what it needs from the app's context processor."""
        return {}

    def locale(self) -> str | None:
        """The language chosen in the page's head."""
        return language() if has_request_context() else None

    def _session(self) -> Session:
        # A session of its own reads afresh: the request's would answer from what it read before.
        return Session(self._engine())

    def _engine(self) -> Engine:
        if has_app_context() and (self._app is None or current_app == self._app):
            return db.engine
        if self._app is None:
            raise RuntimeError("DemoClinic needs an application context, or DemoClinic(app)")
        with self._app.app_context():
            return db.engine


def _parts(refs: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(refs), REFS):
        yield refs[start : start + REFS]
