"""What this clinic keeps: its staff, its patients, their appointments and results."""

from __future__ import annotations

from datetime import date, time
from enum import StrEnum
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Date, ForeignKey, Index, String, Time
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from clinic_dispatch_plugin.host.types import Consent

#: Cyrillic names also where a MariaDB's own default is Latin-1.
UTF8: dict[str, Any] = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}
#: What patients are asked about; letters in the clinic's own business need no consent.
ASKED_ABOUT = ("reminder", "results", "promotion", "greeting")


class Base(DeclarativeBase):
    """The clinic's tables."""


db = SQLAlchemy(model_class=Base)


class Status(StrEnum):
    """Where a patient's card stands."""

    ACTIVE = "active"
    #: Moved away or went to another clinic.
    CLOSED = "closed"
    DECEASED = "deceased"


class User(Base):
    """Somebody who works here and may sign in."""

    __tablename__ = "clinic_user"
    __table_args__ = UTF8

    username: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str] = mapped_column(String(200))
    #: One of :class:`clinic_dispatch_plugin.demo.roles.Role`.
    role: Mapped[str] = mapped_column(String(20))
    password_hash: Mapped[str] = mapped_column(String(255))


class Patient(Base):
    """A patient's card. What stands in ``email`` was typed by people, and looks like it."""

    __tablename__ = "clinic_patient"
    __table_args__ = (Index("ix_clinic_patient_name", "last_name", "first_name", "id"), UTF8)

    #: ``"P-00042"``.
    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    #: With the patronymic where the patient has one.
    first_name: Mapped[str] = mapped_column(String(80))
    last_name: Mapped[str] = mapped_column(String(80))
    #: ``f`` or ``m``.
    gender: Mapped[str] = mapped_column(String(1))
    #: The language the patient wants letters in: ``de``, ``ru``, ``en``.
    language: Mapped[str] = mapped_column(String(8))
    born: Mapped[date] = mapped_column(Date)
    city: Mapped[str] = mapped_column(String(60))
    email: Mapped[str] = mapped_column(String(200), default="")
    phone: Mapped[str] = mapped_column(String(60), default="")
    status: Mapped[str] = mapped_column(String(10), default=Status.ACTIVE)
    #: Known to the public: their cards are for those who treat and receive them.
    vip: Mapped[bool] = mapped_column(default=False)
    consent_reminder: Mapped[str] = mapped_column(String(8), default=Consent.UNKNOWN)
    consent_results: Mapped[str] = mapped_column(String(8), default=Consent.UNKNOWN)
    consent_promotion: Mapped[str] = mapped_column(String(8), default=Consent.UNKNOWN)
    consent_greeting: Mapped[str] = mapped_column(String(8), default=Consent.UNKNOWN)
    #: Folded here, as SQLite folds ASCII alone: what the search looks through.
    search: Mapped[str] = mapped_column(String(200), default="")

    appointments: Mapped[list[Appointment]] = relationship(back_populates="patient")
    results: Mapped[list[Result]] = relationship(back_populates="patient")

    @property
    def name(self) -> str:
        """As one writes it on an envelope."""
        return f"{self.first_name} {self.last_name}"

    @property
    def listed_name(self) -> str:
        """As one looks for it in a list."""
        return f"{self.last_name}, {self.first_name}"

    @property
    def salutation(self) -> str:
        """How a letter begins, in the patient's language."""
        woman = self.gender == "f"
        if self.language == "ru":
            return f"{'Уважаемая' if woman else 'Уважаемый'} {self.first_name}"
        if self.language == "en":
            return f"Dear {'Ms' if woman else 'Mr'} {self.last_name}"
        return f"{'Sehr geehrte Frau' if woman else 'Sehr geehrter Herr'} {self.last_name}"

    def agrees(self, purpose: str) -> Consent:
        """What the patient said to one purpose of :data:`ASKED_ABOUT`."""
        return Consent(getattr(self, f"consent_{purpose}"))


class Appointment(Base):
    """One appointment; day and time are the clinic's own."""

    __tablename__ = "clinic_appointment"
    __table_args__ = (Index("ix_clinic_appointment_day", "day", "starts"), UTF8)

    id: Mapped[int] = mapped_column(primary_key=True)
    patient_id: Mapped[str] = mapped_column(ForeignKey("clinic_patient.id"), index=True)
    day: Mapped[date] = mapped_column(Date)
    starts: Mapped[time] = mapped_column(Time)
    doctor: Mapped[str] = mapped_column(String(80))
    room: Mapped[str] = mapped_column(String(40))

    patient: Mapped[Patient] = relationship(back_populates="appointments")


class Result(Base):
    """A finding of laboratory or imaging; new until the patient has heard of it."""

    __tablename__ = "clinic_result"
    __table_args__ = (Index("ix_clinic_result_day", "day"), UTF8)

    id: Mapped[int] = mapped_column(primary_key=True)
    patient_id: Mapped[str] = mapped_column(ForeignKey("clinic_patient.id"), index=True)
    day: Mapped[date] = mapped_column(Date)
    title: Mapped[str] = mapped_column(String(120))
    is_new: Mapped[bool] = mapped_column(default=True)

    patient: Mapped[Patient] = relationship(back_populates="results")


class Note(Base):
    """What the program remembers about its own data: which day they were made for, and by which version."""

    __tablename__ = "clinic_note"
    __table_args__ = UTF8

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(80))
