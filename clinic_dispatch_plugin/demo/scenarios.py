"""What the simulated relay answers to which patient, and how the reminder to tomorrow's patients must end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_dispatch_plugin.demo import clock, seed
from clinic_dispatch_plugin.demo.models import Appointment, Patient, Status, db
from clinic_dispatch_plugin.host.types import Consent

#: The state a message ends in (``clinic-dispatch``'s words), by what the relay does with it.
ENDS = {
    "accepted": "sent",
    "greylist": "sent",
    "unknown": "undelivered",
    "full": "undelivered",
    "disabled": "undelivered",
    "moved": "undelivered",
    "spam": "undelivered",
    "toobig": "undelivered",
    "strange": "undelivered",
    "lost": "uncertain",
}
#: Why a message is not sent at all begins so; then the code in the error reference.
OWN_DECISION = "dispatch:"


def relay_scenarios(app: Flask | None = None) -> dict[str, str]:
    """Address to scenario name for everybody whose mail meets trouble; whoever is not in it is accepted.

    It follows from the seed alone: a corrected address is not in it, and is accepted from then on.
    """
    return {person.email: person.scenario for person in _people() if person.scenario}


def write_scenarios(path: Path) -> dict[str, str]:
    """Write :func:`relay_scenarios` as the relay reads it: one JSON object."""
    table = relay_scenarios()
    path.write_text(json.dumps(table, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return table


def expected(app: Flask, *, day: date | None = None) -> dict[str, int]:
    """How many messages of the reminder end in which state, once nothing waits any more.

    :param day: whose patients are reminded; tomorrow's unless given.
    """
    counts: Counter[str] = Counter()
    for cause, number in expected_causes(app, day=day).items():
        counts["skipped" if cause.startswith(OWN_DECISION) else ENDS[cause]] += number
    return dict(counts)


def expected_causes(app: Flask, *, day: date | None = None) -> dict[str, int]:
    """The same by scenario (``"unknown"``), or by our own reason (``"dispatch:no_address"``)."""
    return dict(Counter(_causes(app, day or clock.tomorrow(app))))


def _causes(app: Flask, day: date) -> Iterator[str]:
    scenarios = relay_scenarios()
    no_address = frozenset(seed.NO_ADDRESS)
    malformed = _malformed()
    query = select(Patient).join(Appointment).where(Appointment.day == day)
    seen: set[str] = set()
    with app.app_context(), Session(db.engine) as session:
        for patient in session.scalars(query.order_by(Appointment.starts, Appointment.id)):
            if patient.status != Status.ACTIVE:
                yield f"{OWN_DECISION}inactive"
            elif patient.consent_reminder == Consent.NO:
                yield f"{OWN_DECISION}not_agreed"
            elif patient.email in no_address:
                yield f"{OWN_DECISION}no_address"
            elif patient.email in malformed:
                yield f"{OWN_DECISION}malformed_address"
            elif patient.id in seen:
                yield f"{OWN_DECISION}duplicate"
            else:
                seen.add(patient.id)
                yield scenarios.get(patient.email, "accepted")


def _malformed() -> frozenset[str]:
    """What was typed into the field and is no address."""
    endings = tuple(each.removeprefix("{local}") for each in seed.MALFORMED)
    return frozenset(person.email for person in _people() if person.email.endswith(endings))


def _people() -> list[seed.Person]:
    # Any day will do: the calendar lies around it, the addresses do not change.
    return seed.make_clinic(date(2024, 1, 1)).people
