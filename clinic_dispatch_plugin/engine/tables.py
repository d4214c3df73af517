"""Runs, workers and locks: who is at work, by the database's word alone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from clinic_dispatch_plugin.database.base import Base, BigId, UtcDateTime


class Run(Base):
    """One pump's life, and the only lease there is."""

    __tablename__ = "dispatch_run"
    __table_args__ = (
        CheckConstraint("state IN ('live', 'ended', 'lost')", name="state"),
        Index("ix_dispatch_run_state", "state", "live_until"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    worker: Mapped[str] = mapped_column(String(128))
    host: Mapped[str] = mapped_column(String(128))
    boot_id: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(8))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    live_until: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: When a lost run's open attempts were decided.
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: The message it prepared last, noted only for those suspected of crashing workers.
    crashing_message_id: Mapped[int | None] = mapped_column(BigInteger)


class Worker(Base):
    """A worker's sign of life: who would take a mailing now."""

    __tablename__ = "dispatch_worker"

    #: Host name and process id.
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    host: Mapped[str] = mapped_column(String(128))
    version: Mapped[str] = mapped_column(String(32))
    concurrency: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Lock(Base):
    """A task only one process does at a time, with a lease."""

    __tablename__ = "dispatch_lock"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner: Mapped[str] = mapped_column(String(128), default="")
    live_until: Mapped[datetime] = mapped_column(UtcDateTime)
