"""Fills the clinic on first use, whoever comes first, and keeps its calendar around today."""

from __future__ import annotations

import hashlib
import logging
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError
from werkzeug.security import generate_password_hash

from clinic_dispatch_plugin import __version__
from clinic_dispatch_plugin.database import migrate
from clinic_dispatch_plugin.demo import seed
from clinic_dispatch_plugin.demo.clock import today
from clinic_dispatch_plugin.demo.folder import alone
from clinic_dispatch_plugin.demo.models import (
    Appointment,
    Base,
    Note,
    Patient,
    Result,
    User,
    db,
)
from clinic_dispatch_plugin.demo.roles import Role
from clinic_dispatch_plugin.error_reference.packs import install_packs
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Shown on the sign-in page: this clinic is no real one.
PASSWORD = "demo"
STAFF = (
    ("empfang", "Katja Brandt", Role.RECEPTION),
    ("marketing", "Jonas Wolf", Role.MARKETING),
    ("verwaltung", "Silke Neumann", Role.ADMINISTRATOR),
    ("gast", "Tim Hartmann", Role.COLLEAGUE),
)
STAFF_DOMAIN = "klinik-am-park.example"

_SEED = "seed"
_DAY = "day"
_DISPATCH = "dispatch"


def ensure_seeded(app: Flask) -> None:
    """Make and fill the tables where that is still to do; called again it changes nothing, and is done in a moment.

    Several processes may come at once: one works, the others wait. A day later the same patients
    come "tomorrow" again.

    :raises sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    with app.app_context():
        engine = db.engine
        try:
            with alone(Path(app.config["CLINIC_DISPATCH_DATA_DIR"])):
                _bring_up_to_date(app, engine)
        finally:
            # A worker forks later; its children must not share this connection.
            engine.dispose()
            if (dispatch := app.extensions.get("clinic_dispatch")) is not None:
                dispatch.database.dispose()


def notes(engine: Engine) -> dict[str, str]:
    """What the clinic remembers about its own data; empty before the first use."""
    try:
        with engine.connect() as connection:
            return {
                note.key: note.value for note in connection.execute(select(Note.key, Note.value))
            }
    except (OperationalError, ProgrammingError) as error:
        if not _lacks_tables(error):
            raise
        return {}


def _lacks_tables(error: DBAPIError) -> bool:
    original: Any = error.orig
    number = (getattr(original, "args", None) or ("",))[0]
    return (
        "no such table" in str(original)
        or getattr(original, "sqlstate", None) == "42P01"  # PostgreSQL: undefined table
        or number == 1146  # MariaDB: the same
    )


def is_out_of_reach(error: Exception) -> bool:
    """Whether the database itself did not answer."""
    return isinstance(error, (OperationalError, InterfaceError))


def _bring_up_to_date(app: Flask, engine: Engine) -> None:
    day = today(app)
    known = notes(engine)
    if known.get(_SEED) is None:
        Base.metadata.create_all(engine)
        with engine.begin() as connection:
            _fill(connection, day)
        log.info("the demo clinic was filled: %d patients", seed.PATIENTS)
    elif known.get(_DAY) != day.isoformat():
        with engine.begin() as connection:
            _move_calendar(connection, since=date.fromisoformat(known[_DAY]), to=day)
    dispatch = app.extensions.get("clinic_dispatch")
    needed = _needed(dispatch) if dispatch is not None else ""
    if dispatch is not None and known.get(_DISPATCH) != needed:
        migrate.upgrade(dispatch.database)
        install_packs(dispatch)
        with engine.begin() as connection:
            _note(connection, _DISPATCH, needed)


def _needed(dispatch: Dispatch) -> str:
    """What changes when our tables, our code or a plugin with entries of its own does."""
    plugins = " ".join(f"{each.name} {each.distribution}" for each in dispatch.loaded)
    told = hashlib.sha256(plugins.encode()).hexdigest()[:12]
    return f"{migrate.head()} of {__version__} {told}"[:80]


def _fill(connection: Connection, day: date) -> None:
    clinic = seed.make_clinic(day)
    password = generate_password_hash(PASSWORD)
    connection.execute(
        insert(User),
        [
            {
                "username": username,
                "name": name,
                "email": f"{username}@{STAFF_DOMAIN}",
                "role": role.value,
                "password_hash": password,
            }
            for username, name, role in STAFF
        ],
    )
    connection.execute(insert(Patient), [_card(person) for person in clinic.people])
    connection.execute(
        insert(Appointment),
        [
            {
                "patient_id": slot.patient,
                "day": slot.day,
                "starts": slot.starts,
                "doctor": slot.doctor,
                "room": slot.room,
            }
            for slot in clinic.slots
        ],
    )
    connection.execute(
        insert(Result),
        [
            {
                "patient_id": finding.patient,
                "day": finding.day,
                "title": finding.title,
                "is_new": finding.is_new,
            }
            for finding in clinic.findings
        ],
    )
    _note(connection, _SEED, seed.VERSION)
    _note(connection, _DAY, day.isoformat())


def _card(person: seed.Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "gender": person.gender,
        "language": person.language,
        "born": person.born,
        "city": person.city,
        "email": person.email,
        "phone": person.phone,
        "status": person.status.value,
        "vip": person.vip,
        "search": f"{person.last_name}, {person.first_name} {person.last_name} {person.id}".casefold(),
        **{f"consent_{purpose}": answer.value for purpose, answer in person.consent.items()},
    }


def _move_calendar(connection: Connection, *, since: date, to: date) -> None:
    """Appointments and results keep their distance from today, so that there is always a tomorrow to remind of."""
    distance = to - since
    for table in (Appointment, Result):
        days = connection.scalars(select(table.day).distinct()).all()
        # From the far end, so that no day is moved onto one that is still to move.
        for day in sorted(days, reverse=distance > timedelta(0)):
            connection.execute(update(table).where(table.day == day).values(day=day + distance))
    _note(connection, _DAY, to.isoformat())


def _note(connection: Connection, key: str, value: str) -> None:
    changed = connection.execute(update(Note).where(Note.key == key).values(value=value))
    # MariaDB counts rows that really changed, so an equal value must not be inserted again.
    if (
        not changed.rowcount
        and connection.scalar(select(Note.value).where(Note.key == key)) is None
    ):
        connection.execute(insert(Note).values(key=key, value=value))
