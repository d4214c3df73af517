"""Entries of the reference, and every distinct answer a provider ever gave."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clinic_dispatch_plugin.database.base import Base, BigId, Json, LongText, UtcDateTime


class Entry(Base):
    """What one answer means. ``shipped`` is the pack's; ``own`` holds only what the clinic changed or wrote."""

    __tablename__ = "dispatch_entry"
    __table_args__ = (UniqueConstraint("origin", "system", "code", "pattern_digest"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    #: ``shipped`` or ``clinic``.
    origin: Mapped[str] = mapped_column(String(16))
    system: Mapped[str] = mapped_column(String(32))
    code: Mapped[str] = mapped_column(String(64))
    pattern: Mapped[str] = mapped_column(LongText, default="")
    #: SHA-256 of pattern and ``unless``: a unique key that fits every database's index.
    pattern_digest: Mapped[str] = mapped_column(String(64))
    unless: Mapped[str] = mapped_column(LongText, default="")
    #: Order among patterns: the lowest is tried first.
    position: Mapped[int] = mapped_column(default=0)
    #: Flat: ``{"short.de": …, "category": …, "policy.tries": …}``; None for the clinic's own.
    shipped: Mapped[dict[str, Any] | None] = mapped_column(Json)
    #: Flat, only the fields the clinic wrote.
    own: Mapped[dict[str, Any] | None] = mapped_column(Json)
    #: What the pack said of these fields when the clinic wrote them: how a later difference is seen.
    base: Mapped[dict[str, Any] | None] = mapped_column(Json)
    pack: Mapped[str] = mapped_column(String(64), default="")
    #: The pack no longer brings it; it stays while the clinic's words or a message need it.
    withdrawn: Mapped[bool] = mapped_column(default=False)
    #: The clinic took it out of use; it stays for the history, and explains nothing any more.
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: The entry whose words and policy this one shares: "the same as …".
    same_as: Mapped[int | None] = mapped_column(BigInteger)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by: Mapped[str] = mapped_column(String(255), default="")


class AnswerRow(Base):
    """One distinct answer, personal data taken out. Messages point here, so describing it once explains them all."""

    __tablename__ = "dispatch_answer"
    __table_args__ = (
        UniqueConstraint("digest"),
        Index("ix_dispatch_answer_code", "system", "code"),
        Index("ix_dispatch_answer_entry_id", "entry_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    system: Mapped[str] = mapped_column(String(32))
    code: Mapped[str] = mapped_column(String(64))
    #: The provider's words without addresses, numbers, ids.
    sample: Mapped[str] = mapped_column(LongText, default="")
    #: SHA-256 of system, code and sample.
    digest: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(32), default="")
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch_entry.id"))
    #: Which step of the look-up found the entry.
    matched: Mapped[str] = mapped_column(String(16), default="none")
    #: True while nobody has described it and nobody has said that the general description will do.
    draft: Mapped[bool] = mapped_column(default=False)
    #: Somebody said that the general description will do.
    settled: Mapped[bool] = mapped_column(default=False)
    #: Since when the present entry explains it.
    explained_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EntryChange(Base):
    """One change of one entry: who, when, and what it was before and after, so that it can be taken back."""

    __tablename__ = "dispatch_entry_change"
    __table_args__ = (Index("ix_dispatch_entry_change_entry_id", "entry_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("dispatch_entry.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(String(255), default="")
    #: ``added``, ``changed``, ``restored``, ``retired``, ``same_as``, ``undone``, ``imported``, ``updated``.
    action: Mapped[str] = mapped_column(String(16))
    #: What a person may change of an entry, as it was; None: it did not exist.
    before: Mapped[dict[str, Any] | None] = mapped_column(Json)
    after: Mapped[dict[str, Any] | None] = mapped_column(Json)
    #: The change that this one took back.
    undoes: Mapped[int | None] = mapped_column(BigInteger)


class ReferenceState(Base):
    """One row: which packs are in, and a number that grows with every change, so that caches know."""

    __tablename__ = "dispatch_reference_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(default=0)
    packs: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
