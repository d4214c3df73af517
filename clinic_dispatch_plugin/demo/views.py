"""The clinic's own pages: start, patients, their cards, appointments, results."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, extract, func, select
from sqlalchemy.orm import joinedload

from clinic_dispatch_plugin.demo.auth import current_user, may_see_area, needs
from clinic_dispatch_plugin.demo.cards import checked_email, checked_phone, is_ref
from clinic_dispatch_plugin.demo.clock import today
from clinic_dispatch_plugin.demo.models import (
    ASKED_ABOUT,
    Appointment,
    Patient,
    Result,
    Status,
    db,
)
from clinic_dispatch_plugin.demo.roles import Area, sees_vip
from clinic_dispatch_plugin.demo.wording import t
from clinic_dispatch_plugin.host.types import Consent

bp = Blueprint("clinic", __name__)
PAGE = 40
_SAVED = "card_saved"


@bp.get("/")
@needs()
def start() -> ResponseReturnValue:
    """Today at a glance."""
    day = today()
    appointments = _appointments(day) if may_see_area(Area.APPOINTMENTS) else []
    birthdays = _birthdays(day) if may_see_area(Area.PATIENTS) else []
    return render_template(
        "demo/start.html", day=day, appointments=appointments, birthdays=birthdays
    )


@bp.get("/patients")
@needs(Area.PATIENTS)
def patients() -> ResponseReturnValue:
    """The list of patients, by name; ``q`` searches in name and number, ``page`` turns."""
    wanted = "".join(each for each in request.args.get("q", "")[:100] if each.isprintable()).strip()
    query = _visible(select(Patient))
    for word in wanted.casefold().split():
        query = query.where(Patient.search.contains(word, autoescape=True))
    count = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    pages = max(1, -(-count // PAGE))
    page = min(_page(), pages)
    query = query.order_by(Patient.last_name, Patient.first_name, Patient.id)
    found = db.session.scalars(query.limit(PAGE).offset((page - 1) * PAGE)).all()
    return render_template(
        "demo/patients.html", patients=found, q=wanted, count=count, page=page, pages=pages
    )


@bp.get("/patients/<ref>")
@needs(Area.PATIENTS)
def patient(ref: str) -> ResponseReturnValue:
    """One patient's card."""
    found = _patient(ref)
    values = {"email": found.email, "phone": found.phone}
    values |= {f"consent_{purpose}": found.agrees(purpose).value for purpose in ASKED_ABOUT}
    return _card(found, values=values, saved=session.pop(_SAVED, None) == ref)


@bp.post("/patients/<ref>")
@needs(Area.CARDS)
def save_patient(ref: str) -> ResponseReturnValue:
    """Save what reception changed; with a mistake in it nothing is saved."""
    found = _patient(ref)
    values: dict[str, str] = {}
    errors: dict[str, str] = {}
    for field, check in (("email", checked_email), ("phone", checked_phone)):
        values[field] = request.form.get(field, "")
        # Nobody has to tidy up an old entry in order to change another.
        if values[field] == getattr(found, field):
            continue
        try:
            values[field] = check(values[field])
        except ValueError as error:
            errors[field] = str(error)
    for purpose in ASKED_ABOUT:
        field = f"consent_{purpose}"
        values[field] = request.form.get(field, getattr(found, field))
        if values[field] not in set(Consent):
            abort(400)
    if errors:
        return _card(found, values=values, errors=errors), 422
    for field, value in values.items():
        setattr(found, field, value)
    db.session.commit()
    session[_SAVED] = ref
    return redirect(url_for("clinic.patient", ref=ref))


@bp.get("/appointments")
@needs(Area.APPOINTMENTS)
def appointments() -> ResponseReturnValue:
    """The appointments of one day."""
    day = _day(request.args.get("day", ""))
    return render_template(
        "demo/appointments.html",
        day=day,
        before=day - timedelta(days=1),
        after=day + timedelta(days=1),
        appointments=_appointments(day),
    )


@bp.get("/results")
@needs(Area.RESULTS)
def results() -> ResponseReturnValue:
    """Results, the latest first; ``new=1`` leaves out those the patient knows."""
    only_new = request.args.get("new") == "1"
    query = select(Result).options(joinedload(Result.patient))
    if only_new:
        query = query.where(Result.is_new)
    found = db.session.scalars(query.order_by(Result.day.desc(), Result.id)).all()
    return render_template("demo/results.html", results=found, only_new=only_new)


def _card(patient: Patient, **shown: Any) -> str:
    coming = select(Appointment).where(Appointment.patient_id == patient.id)
    findings = select(Result).where(Result.patient_id == patient.id)
    return render_template(
        "demo/patient.html",
        patient=patient,
        purposes=ASKED_ABOUT,
        answers=list(Consent),
        errors=shown.pop("errors", {}),
        may_edit=may_see_area(Area.CARDS),
        appointments=_allowed(
            Area.APPOINTMENTS, coming.order_by(Appointment.day.desc(), Appointment.starts)
        ),
        results=_allowed(Area.RESULTS, findings.order_by(Result.day.desc())),
        **shown,
    )


def _allowed(area: Area, query: Select[Any]) -> list[Any]:
    return list(db.session.scalars(query)) if may_see_area(area) else []


def _visible(query: Select[Any]) -> Select[Any]:
    user = current_user()
    return query if user is not None and sees_vip(user.role) else query.where(~Patient.vip)


def _patient(ref: str) -> Patient:
    found = db.session.get(Patient, ref) if is_ref(ref) else None
    if found is None:
        abort(404)
    user = current_user()
    if found.vip and not (user is not None and sees_vip(user.role)):
        abort(403)
    return found


def _appointments(day: date) -> list[Appointment]:
    query = select(Appointment).options(joinedload(Appointment.patient))
    query = query.where(Appointment.day == day).order_by(Appointment.starts, Appointment.doctor)
    return list(db.session.scalars(query))


def _birthdays(day: date) -> list[Patient]:
    query = _visible(select(Patient)).where(
        Patient.status == Status.ACTIVE,
        extract("month", Patient.born) == day.month,
        extract("day", Patient.born) == day.day,
    )
    return list(db.session.scalars(query.order_by(Patient.last_name, Patient.first_name)))


def _page() -> int:
    text = request.args.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def _day(text: str) -> date:
    if not text:
        return today()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        abort(400, description=t("bad_day", value=text[:40]))
    # The neighbours of the first and the last day Python knows are no days.
    if not 1900 <= day.year <= 2999:
        abort(400, description=t("bad_day", value=text[:40]))
    return day
