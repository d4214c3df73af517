"""Bounce mails and reports of gateways as they came, what was made of them, and who is asked next."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from clinic_dispatch_plugin.database.base import Base, BigId, Json, LongText, UtcDateTime
from clinic_dispatch_plugin.reports.rules import BounceState, MailKind, ReportState

_STATES = ", ".join(repr(state.value) for state in BounceState)
_KINDS = ", ".join(repr(kind.value) for kind in MailKind)
_REPORT_STATES = ", ".join(repr(state.value) for state in ReportState)


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


class Report(Base):
    """What a gateway said later about a message, once, however it came; kept before it is understood further."""

    __tablename__ = "dispatch_report"
    __table_args__ = (
        CheckConstraint(f"state IN ({_REPORT_STATES})", name="state"),
        Index("ix_dispatch_report_state", "state", "look_at"),
        Index("ix_dispatch_report_message_id", "message_id"),
        Index("ix_dispatch_report_attempt_id", "attempt_id"),
        Index("ix_dispatch_report_account_id", "account_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    #: The same report twice is one row.
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    channel: Mapped[str] = mapped_column(String(32))
    #: Whose gateway it is: it speaks of this account's attempts alone.
    account_id: Mapped[int] = mapped_column(ForeignKey("dispatch_account.id"))
    #: ``callback``, ``heard`` or ``asked``.
    source: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    #: What it says: ``accepted``, ``under_way``, ``no_report``, ``failed``, ``delivered`` or ``read``.
    action: Mapped[str] = mapped_column(String(16))
    #: What names the attempt: our key, the gateway's id, and other spellings of that.
    attempt_key: Mapped[str] = mapped_column(String(100), default="")
    provider_id: Mapped[str] = mapped_column(String(255), default="")
    also: Mapped[list[str]] = mapped_column(Json)
    #: Which part of the message it speaks of, where that went out in several; empty: of the whole.
    part: Mapped[str] = mapped_column(String(255), default="")
    answer_system: Mapped[str] = mapped_column(String(32), default="")
    answer_code: Mapped[str] = mapped_column(String(64), default="")
    answer_text: Mapped[str] = mapped_column(LongText, default="")
    #: The gateway's own time; shown, and never used for order.
    said_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    details: Mapped[dict[str, str]] = mapped_column(Json)
    #: How often its message was looked for, and when next.
    looks: Mapped[int] = mapped_column(SmallInteger, default=0)
    look_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    attempt_id: Mapped[int | None] = mapped_column(BigInteger)
    answer_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch_answer.id"))


class Asking(Base):
    """When a gateway was asked for an attempt, and when it is asked again."""

    __tablename__ = "dispatch_asking"

    attempt_id: Mapped[int] = mapped_column(
        ForeignKey("dispatch_attempt.id"), primary_key=True, autoincrement=False
    )
    asked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: None: not by itself any more.
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Times it knew of no such message although there was time enough to take it, and the last of them.
    not_found: Mapped[int] = mapped_column(SmallInteger, default=0)
    counted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
