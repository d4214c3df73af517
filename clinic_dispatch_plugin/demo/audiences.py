"""The groups of patients this clinic writes to, and the queries that find them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import current_app, has_app_context
from sqlalchemy import Select, extract, select
from sqlalchemy.orm import Session, joinedload

from clinic_dispatch_plugin.demo.clock import today, tomorrow
from clinic_dispatch_plugin.demo.models import ASKED_ABOUT, Appointment, Patient, Result, Status
from clinic_dispatch_plugin.demo.wording import LANGUAGES, t
from clinic_dispatch_plugin.host.types import Audience, FilterField, Recipient

#: Rows fetched at a time.
ROWS = 500

Filters = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """An audience: how it is offered, and whom it holds."""

    offer: Callable[[Session], Audience]
    find: Callable[[Session, Filters], Iterator[Recipient]]


def _channels() -> Sequence[str]:
    dispatch = current_app.extensions.get("clinic_dispatch") if has_app_context() else None
    return ("sms", "viber", "voice", *(dispatch.channels if dispatch is not None else ()))


def recipient_of(patient: Patient, **values: str) -> Recipient:
    """A patient as the dispatch plugin knows patients; ``values`` are more placeholders."""
    return Recipient(
        ref=patient.id,
        name=patient.name,
        locale=patient.language,
        # Whatever else is installed reaches people by their telephones.
        addresses={**dict.fromkeys(_channels(), patient.phone), "email": patient.email},
        consent={purpose: patient.agrees(purpose) for purpose in ASKED_ABOUT},
        active=patient.status == Status.ACTIVE,
        values={"name": patient.name, "salutation": patient.salutation, **values},
    )


def _appointments(session: Session) -> Audience:
    doctors = session.scalars(select(Appointment.doctor).distinct().order_by(Appointment.doctor))
    return Audience(
        key="appointments",
        label=t("audience_appointments"),
        filters=[
            FilterField(
                key="day",
                label=t("day"),
                kind="date",
                default=tomorrow().isoformat(),
                required=True,
            ),
            FilterField(
                key="doctor",
                label=t("doctor"),
                kind="choice",
                choices=[("", t("all_doctors")), *((name, name) for name in doctors)],
            ),
        ],
        placeholders=["name", "salutation", "date", "time", "doctor", "room"],
        purpose="reminder",
    )


def _with_appointment(session: Session, filters: Filters) -> Iterator[Recipient]:
    query = select(Appointment).options(joinedload(Appointment.patient, innerjoin=True))
    query = query.where(Appointment.day == _day(filters, "day", tomorrow()))
    if doctor := filters.get("doctor", ""):
        known = session.scalar(select(Appointment.id).where(Appointment.doctor == doctor).limit(1))
        if known is None:
            raise ValueError(t("bad_choice", value=doctor[:40]))
        query = query.where(Appointment.doctor == doctor)
    for found in _stream(session, query.order_by(Appointment.starts, Appointment.id)):
        yield recipient_of(
            found.patient,
            date=found.day.isoformat(),
            time=found.starts.strftime("%H:%M"),
            doctor=found.doctor,
            room=found.room,
        )


def _results(session: Session) -> Audience:
    since = today() - timedelta(days=7)
    return Audience(
        key="results",
        label=t("audience_results"),
        filters=[
            FilterField(
                key="since", label=t("since"), kind="date", default=since.isoformat(), required=True
            )
        ],
        placeholders=["name", "salutation", "result", "date"],
        purpose="results",
    )


def _with_result(session: Session, filters: Filters) -> Iterator[Recipient]:
    since = _day(filters, "since", today() - timedelta(days=7))
    query = select(Result).options(joinedload(Result.patient, innerjoin=True))
    query = query.where(Result.is_new, Result.day >= since).order_by(Result.day, Result.id)
    for found in _stream(session, query):
        yield recipient_of(found.patient, result=found.title, date=found.day.isoformat())


def _birthdays(session: Session) -> Audience:
    return Audience(
        key="birthdays",
        label=t("audience_birthdays"),
        filters=[
            FilterField(
                key="day",
                label=t("day"),
                kind="date",
                default=today().isoformat(),
                required=True,
            )
        ],
        placeholders=["name", "salutation", "age", "date"],
        purpose="greeting",
    )


def _with_birthday(session: Session, filters: Filters) -> Iterator[Recipient]:
    day = _day(filters, "day", today())
    query = select(Patient).where(
        Patient.status == Status.ACTIVE,
        extract("month", Patient.born) == day.month,
        extract("day", Patient.born) == day.day,
    )
    for patient in _stream(session, query.order_by(Patient.id)):
        age = str(day.year - patient.born.year)
        yield recipient_of(patient, age=age, date=day.isoformat())


def _all(session: Session) -> Audience:
    cities = session.scalars(select(Patient.city).distinct().order_by(Patient.city))
    return Audience(
        key="all",
        label=t("audience_all"),
        filters=[
            FilterField(
                key="language",
                label=t("language"),
                kind="choice",
                choices=[("", t("any")), *LANGUAGES.items()],
            ),
            FilterField(
                key="city",
                label=t("city"),
                kind="choice",
                choices=[("", t("any")), *((city, city) for city in cities)],
            ),
            FilterField(key="age_from", label=t("age_from")),
            FilterField(key="age_to", label=t("age_to")),
        ],
        placeholders=["name", "salutation", "city"],
        purpose="promotion",
    )


def _everybody(session: Session, filters: Filters) -> Iterator[Recipient]:
    query = select(Patient).where(Patient.status == Status.ACTIVE)
    if language := filters.get("language", ""):
        if language not in LANGUAGES:
            raise ValueError(t("bad_choice", value=language[:40]))
        query = query.where(Patient.language == language)
    if city := filters.get("city", ""):
        if session.scalar(select(Patient.id).where(Patient.city == city).limit(1)) is None:
            raise ValueError(t("bad_choice", value=city[:40]))
        query = query.where(Patient.city == city)
    if (youngest := _age(filters, "age_from")) is not None:
        query = query.where(Patient.born <= _years_before(today(), youngest))
    if (oldest := _age(filters, "age_to")) is not None:
        query = query.where(Patient.born > _years_before(today(), oldest + 1))
    for patient in _stream(session, query.order_by(Patient.id)):
        yield recipient_of(patient, city=patient.city)


GROUPS: dict[str, Group] = {
    "appointments": Group(offer=_appointments, find=_with_appointment),
    "results": Group(offer=_results, find=_with_result),
    "birthdays": Group(offer=_birthdays, find=_with_birthday),
    "all": Group(offer=_all, find=_everybody),
}


def _stream(session: Session, query: Select[Any]) -> Iterator[Any]:
    yield from session.scalars(query.execution_options(yield_per=ROWS))


def _day(filters: Filters, key: str, default: date) -> date:
    text = filters.get(key, "").strip()
    if not text:
        return default
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(t("bad_day", value=text[:40])) from None


def _age(filters: Filters, key: str) -> int | None:
    text = filters.get(key, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:4]) <= 120):
        raise ValueError(t("bad_age", value=text[:40]))
    return int(text)


def _years_before(day: date, years: int) -> date:
    if (day.month, day.day) == (2, 29):
        day = day.replace(day=28)
    return day.replace(year=day.year - years)
