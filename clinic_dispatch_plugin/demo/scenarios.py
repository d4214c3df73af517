"""What the simulated relay answers to which patient, and how the reminder to tomorrow's patients must end."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
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
        counts[_end(cause)] += number
    return dict(counts)


def expected_ends(app: Flask) -> Counter[tuple[str, str]]:
    """The same message by message: the patient's ref and the state."""
    return Counter((ref, _end(cause)) for ref, cause in _causes(app, clock.tomorrow(app)))


def _end(cause: str) -> str:
    return "skipped" if cause.startswith(OWN_DECISION) else ENDS[cause]


def expected_causes(app: Flask, *, day: date | None = None) -> dict[str, int]:
    """The same by scenario (``"unknown"``), or by our own reason (``"dispatch:no_address"``)."""
    return dict(Counter(cause for _, cause in _causes(app, day or clock.tomorrow(app))))


def _causes(app: Flask, day: date) -> Iterator[tuple[str, str]]:
    """Each patient's ref and cause, in the order of the appointments."""
    scenarios = relay_scenarios()
    query = select(Patient).join(Appointment).where(Appointment.day == day)
    seen: set[str] = set()
    with app.app_context(), Session(db.engine) as session:
        for patient in session.scalars(query.order_by(Appointment.starts, Appointment.id)):
            again = patient.id in seen
            cause = _cause(patient, scenarios, again=again)
            if not cause.startswith(OWN_DECISION):
                seen.add(patient.id)
            yield str(patient.id), cause


def _cause(patient: Patient, scenarios: Mapping[str, str], *, again: bool) -> str:
    if patient.status != Status.ACTIVE:
        return f"{OWN_DECISION}inactive"
    if patient.consent_reminder == Consent.NO:
        return f"{OWN_DECISION}not_agreed"
    if patient.email in seed.NO_ADDRESS:
        return f"{OWN_DECISION}no_address"
    if patient.email in _malformed():
        return f"{OWN_DECISION}malformed_address"
    if again:
        return f"{OWN_DECISION}duplicate"
    return scenarios.get(patient.email, "accepted")


@functools.cache
def _malformed() -> frozenset[str]:
    """What was typed into the field and is no address."""
    endings = tuple(each.removeprefix("{local}") for each in seed.MALFORMED)
    return frozenset(person.email for person in _people() if person.email.endswith(endings))


def _people() -> list[seed.Person]:
    # Any day will do: the calendar lies around it, the addresses do not change.
    return seed.make_clinic(date(2024, 1, 1)).people
