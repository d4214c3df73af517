"""Bounce mails as they came, and what was made of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from clinic_dispatch_plugin.database.base import Base, BigId, Json, LongText, UtcDateTime
from clinic_dispatch_plugin.reports.rules import BounceState, MailKind

_STATES = ", ".join(repr(state.value) for state in BounceState)
_KINDS = ", ".join(repr(kind.value) for kind in MailKind)


class Bounce(Base):
    """One mail about mails of ours; kept whatever it is, and only once."""

    __tablename__ = "dispatch_bounce"
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        CheckConstraint(f"kind IN ({_KINDS})", name="kind"),
        Index("ix_dispatch_bounce_state", "state", "id"),
        Index("ix_dispatch_bounce_message_id", "message_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    #: The same mail handed in twice is one row.
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: ``pasted``, ``uploaded``, ``command`` or ``mailbox``.
    source: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    #: The mail, every byte a character; at most 256 KiB of it.
    raw: Mapped[str] = mapped_column(LongText)
    #: ``[{"address", "action", "code", "answer"}]``
    recipients: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    #: The message it speaks of, and which handing-over of it.
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    attempt_id: Mapped[int | None] = mapped_column(BigInteger)
    #: What it says of that message: ``failed``, ``delayed`` …; empty: nothing.
    action: Mapped[str] = mapped_column(String(16), default="")
    answer_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch_answer.id"))
    #: Who handed it in, and who tied it by hand.
    created_by: Mapped[str] = mapped_column(String(255), default="")
    tied_by: Mapped[str] = mapped_column(String(255), default="")
