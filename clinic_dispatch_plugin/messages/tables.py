"""Messages, their attempts, blocked addresses, and who did what."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from clinic_dispatch_plugin.database.base import (
    Amount,
    Base,
    BigId,
    Json,
    LongText,
    UtcDateTime,
)
from clinic_dispatch_plugin.messages.rules import AttemptState, MessageState


def _one_of(column: str, states: type[MessageState] | type[AttemptState]) -> str:
    return f"{column} IN ({', '.join(repr(state.value) for state in states)})"


#: What must be true of a message in each state, by name; the database refuses everything else.
MESSAGE_CHECKS = {
    "queued_is_due": "state <> 'queued' OR due_at IS NOT NULL",
    "leased_has_run": "state <> 'leased' OR run_id IS NOT NULL",
    "sending_has_run": "state <> 'sending' OR run_id IS NOT NULL",
    "sending_has_attempt": "state <> 'sending' OR attempt_id IS NOT NULL",
    # Whoever holds a message has it in hand: what waits or is settled belongs to no run.
    "run_in_hand": "run_id IS NULL OR state IN ('leased', 'sending')",
    "sent_has_attempt": "state <> 'sent' OR attempt_id IS NOT NULL",
    "settled_has_time": "state IN ('queued', 'leased', 'sending') OR final_at IS NOT NULL",
    "open_is_not_final": "state NOT IN ('queued', 'leased', 'sending') OR final_at IS NULL",
    "failure_is_explained": (
        "state NOT IN ('undelivered', 'uncertain', 'skipped') OR answer_id IS NOT NULL"
    ),
}
#: The same of an attempt: it is closed once, and by a result.
ATTEMPT_CHECKS = {
    "open_is_not_closed": "state <> 'open' OR closed_at IS NULL",
    "result_has_time": "state = 'open' OR closed_at IS NOT NULL",
}


class Message(Base):
    """One recipient in one mailing. The row is the truth; the queue only carries ids."""

    __tablename__ = "dispatch_message"
    __table_args__ = (
        CheckConstraint(_one_of("state", MessageState), name="state"),
        *(CheckConstraint(words, name=name) for name, words in MESSAGE_CHECKS.items()),
        Index(
            "ix_dispatch_message_due",
            "mailing_id",
            "account_id",
            "due_at",
            "id",
            postgresql_where=text("state = 'queued'"),
            sqlite_where=text("state = 'queued'"),
        ),
        Index(
            "ix_dispatch_message_run",
            "run_id",
            postgresql_where=text("run_id IS NOT NULL"),
            sqlite_where=text("run_id IS NOT NULL"),
        ),
        Index("ix_dispatch_message_mailing", "mailing_id", "state", "id"),
        Index("ix_dispatch_message_cause", "mailing_id", "answer_id"),
        Index("ix_dispatch_message_state", "state", "id"),
        Index("ix_dispatch_message_answer", "answer_id", "id"),
        Index("ix_dispatch_message_ref", "ref"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    #: Stays over all attempts: the Message-ID is made of it.
    key: Mapped[str] = mapped_column(String(26), unique=True)
    mailing_id: Mapped[int] = mapped_column(ForeignKey("dispatch_mailing.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch_account.id"))
    channel: Mapped[str] = mapped_column(String(32))
    #: The patient in the host; empty for a recipient from a file that names none.
    ref: Mapped[str] = mapped_column(String(128), default="")
    name: Mapped[str] = mapped_column(String(255), default="")
    locale: Mapped[str] = mapped_column(String(16), default="")
    address: Mapped[str] = mapped_column(String(320), default="")
    #: Where several channels may follow each other: ``addresses`` by channel as they were planned, and ``passed``,
    #: the channels left behind, each with the ``answer`` that says why.
    route: Mapped[dict[str, Any] | None] = mapped_column(Json)
    #: Values of the placeholders.
    data: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    #: Line in the file it came from.
    line: Mapped[int | None]
    #: Fingerprint of address and text: how a duplicate is known within a mailing.
    duplicate_key: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    run_id: Mapped[int | None] = mapped_column(BigInteger)
    attempt_id: Mapped[int | None] = mapped_column(BigInteger)
    #: Attempts made, withdrawn ones left out.
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    #: Number of the last attempt, withdrawn ones counted.
    last_number: Mapped[int] = mapped_column(SmallInteger, default=0)
    #: Tries used up since it was last put right; what the retry policy counts.
    tries: Mapped[int] = mapped_column(SmallInteger, default=0)
    #: Runs that died while holding it.
    lost_runs: Mapped[int] = mapped_column(SmallInteger, default=0)
    #: What explains its state or its wait.
    answer_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch_answer.id"))
    provider_id: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    final_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: When its address, name, values and the gateways' words were removed.
    stripped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Attempt(Base):
    """One handing-over of one message to one gateway, written before it happens, never deleted before its message."""

    __tablename__ = "dispatch_attempt"
    __table_args__ = (
        CheckConstraint(_one_of("state", AttemptState), name="state"),
        *(CheckConstraint(words, name=name) for name, words in ATTEMPT_CHECKS.items()),
        UniqueConstraint("message_id", "number"),
        Index("ix_dispatch_attempt_run_id", "run_id"),
        Index("ix_dispatch_attempt_provider_id", "provider_id"),
        # Those a gateway has not said its last word about.
        Index("ix_dispatch_attempt_report", "account_id", "report", "opened_at"),
        Index(
            "ix_dispatch_attempt_answer",
            "answer_id",
            "id",
            postgresql_where=text("answer_id IS NOT NULL"),
            sqlite_where=text("answer_id IS NOT NULL"),
        ),
    )

    #: The run's id and a number within the run; no database need count it.
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    message_id: Mapped[int] = mapped_column(ForeignKey("dispatch_message.id"))
    number: Mapped[int] = mapped_column(SmallInteger)
    #: The id given to the gateway.
    key: Mapped[str] = mapped_column(String(26), unique=True)
    channel: Mapped[str] = mapped_column(String(32))
    address: Mapped[str] = mapped_column(String(320), default="")
    account_id: Mapped[int] = mapped_column(ForeignKey("dispatch_account.id"))
    run_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    answer_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch_answer.id"))
    #: What the gateway wrote, untouched.
    answer_text: Mapped[str] = mapped_column(LongText, default="")
    provider_id: Mapped[str | None] = mapped_column(String(255))
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    report: Mapped[str | None] = mapped_column(String(16))
    report_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: What it cost, as the gateway says; None: it did not say.
    price: Mapped[Decimal | None] = mapped_column(Amount)
    #: What was set aside for it from the account's caps before it went, until the gateway says the price.
    estimate: Mapped[Decimal | None] = mapped_column(Amount)
    #: Of both.
    currency: Mapped[str | None] = mapped_column(String(8))
    #: Parts the gateway counted.
    parts: Mapped[int | None] = mapped_column(SmallInteger)


class Block(Base):
    """An address we do not write to; it belongs to the address, never to the patient."""

    __tablename__ = "dispatch_block"
    __table_args__ = (UniqueConstraint("channel", "address_digest", "scope"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    channel: Mapped[str] = mapped_column(String(32))
    address_digest: Mapped[str] = mapped_column(String(64))
    #: Empty: nothing at all; else the one purpose it holds for.
    scope: Mapped[str] = mapped_column(String(16), default="")
    answer_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch_answer.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: The address as a list may show it, masked: the address itself is not kept.
    shown: Mapped[str] = mapped_column(String(320), default="", server_default="")


class Audit(Base):
    """Who did what to which mailing or message; only ever added to."""

    __tablename__ = "dispatch_audit"
    __table_args__ = (
        Index("ix_dispatch_audit_message_id", "message_id"),
        Index("ix_dispatch_audit_mailing_id", "mailing_id"),
        # What people did to settings belongs to no message.
        Index("ix_dispatch_audit_action", "action", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_ref: Mapped[str] = mapped_column(String(128))
    actor_name: Mapped[str] = mapped_column(String(255), default="")
    #: ``send``, ``resend``, ``correct_address``, ``view_contents`` …
    action: Mapped[str] = mapped_column(String(32))
    mailing_id: Mapped[int | None] = mapped_column(BigInteger)
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    details: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
