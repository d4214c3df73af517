"""Mailings, and the texts they send: templates and their immutable revisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from clinic_dispatch_plugin.database.base import Base, BigId, Json, LongText, UtcDateTime
from clinic_dispatch_plugin.messages.mailing_rules import MailingState


class TemplateRow(Base):
    """A text the clinic uses again."""

    __tablename__ = "dispatch_template"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(String(16))
    channel: Mapped[str] = mapped_column(String(32))
    #: The revision that is used next.
    revision_id: Mapped[int | None] = mapped_column(BigId)
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Revision(Base):
    """One state of a text; never changed, so that the exact words of any message can be shown later."""

    __tablename__ = "dispatch_revision"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    template_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch_template.id"))
    channel: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(LongText, default="")
    body: Mapped[str] = mapped_column(LongText, default="")
    html: Mapped[str] = mapped_column(LongText, default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(255), default="")


class Mailing(Base):
    """One act of sending."""

    __tablename__ = "dispatch_mailing"
    __table_args__ = (
        CheckConstraint(
            f"state IN ({', '.join(repr(state.value) for state in MailingState)})", name="state"
        ),
        Index("ix_dispatch_mailing_state", "state", "id"),
        # Those whose contents are still kept, by their end.
        Index("ix_dispatch_mailing_kept", "stripped_at", "finished_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(String(16))
    #: The channel its messages go through first.
    channel: Mapped[str] = mapped_column(String(32))
    #: The channels that follow when a message does not arrive through the one before, in order: ``channel``, and
    #: ``revision`` once it was started, and ``silence``, the minutes after which it follows where no report came of the
    #: one before. See :func:`clinic_dispatch_plugin.messages.routes.legs_of`.
    fallbacks: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(16))
    #: Why it is paused: ``person``, ``plan_failed``, ``spam``; empty otherwise.
    pause_reason: Mapped[str] = mapped_column(String(32), default="")
    pause_text: Mapped[str] = mapped_column(LongText, default="")
    priority: Mapped[int] = mapped_column(SmallInteger, default=0)
    revision_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch_revision.id"))
    template_id: Mapped[int | None] = mapped_column(BigId)
    #: ``audience``, ``file`` or ``code``.
    source: Mapped[str] = mapped_column(String(16), default="audience")
    #: Audience key and filters, or the uploaded file's key and name.
    selection: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    #: The text while it is being written.
    draft: Mapped[dict[str, Any] | None] = mapped_column(Json)
    #: What a plan has looked at so far; a broken plan goes on from here.
    planned: Mapped[int] = mapped_column(default=0)
    not_after: Mapped[datetime | None] = mapped_column(UtcDateTime)
    idempotency_key: Mapped[str | None] = mapped_column(String(128), unique=True)
    #: The message that is sent once more by this mailing.
    repeats_message_id: Mapped[int | None] = mapped_column(BigId)
    created_by: Mapped[str] = mapped_column(String(128), default="")
    created_by_name: Mapped[str] = mapped_column(String(255), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: When every message had been tried or decided once.
    first_pass_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: When its texts and everything personal of its messages were removed.
    stripped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
