"""What the simulated gateways do with which patient's number, and how the message about new results must end."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import date

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_dispatch_plugin.demo import seed
from clinic_dispatch_plugin.demo.models import Patient, Result, Status, db
from clinic_dispatch_plugin.demo.numbers import SMS, VIBER, VOICE, WAYS, End
from clinic_dispatch_plugin.host.types import Consent

#: The channels of the mailing about new results, the first one first.
ORDER = (VIBER, SMS, VOICE, "email")
#: Minutes it waits for a report of Viber.
SILENCE = 40

SKIPPED = End(channel=VIBER, state="skipped")


def gateway_plans(channel: str) -> dict[str, str]:
    """Number to what the channel's gateway does with it, for everybody who is not served well.

    It follows from the seed alone: a corrected number is served well from then on.
    """
    return {
        person.phone: words
        for person in _people()
        if person.way and (words := WAYS[person.way].plans.get(channel))
    }


def expected_ends(app: Flask) -> dict[str, End]:
    """Where each patient's message must end, by ref, once every report is in."""
    return dict(_ends(app))


def is_as_foreseen(found: End, wanted: End | None) -> bool:
    """Whether a message ended where it must; on a slow machine even a report of Viber may come after the wait."""
    late = wanted is not None and wanted.channel == VIBER and found.channel == SMS
    return found == wanted or (late and found.report == "delivered")


def _ends(app: Flask) -> Iterator[tuple[str, End]]:
    ways = {person.id: person.way for person in _people()}
    query = select(Patient).join(Result).where(Result.is_new)
    with app.app_context(), Session(db.engine) as session:
        for patient in session.scalars(query.order_by(Result.id)):
            yield str(patient.id), _end(patient, ways[patient.id])


def _end(patient: Patient, way: str) -> End:
    if patient.status != Status.ACTIVE or patient.consent_results == Consent.NO:
        return SKIPPED
    return WAYS[way].end if way else End(channel=VIBER, state="delivered", report="delivered")


@functools.cache
def _people() -> list[seed.Person]:
    # Any day will do: the calendar lies around it, the numbers do not change.
    return seed.make_clinic(date(2024, 1, 1)).people
