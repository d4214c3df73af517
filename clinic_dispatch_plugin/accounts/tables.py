"""The accounts as all workers see them: one state, one breaker, one rate."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    Float,
    ForeignKey,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from clinic_dispatch_plugin.accounts.rules import AccountState
from clinic_dispatch_plugin.database.base import (
    Amount,
    Base,
    BigId,
    Json,
    LongText,
    UtcDateTime,
)


class AccountRow(Base):
    """One configured account as it stands; how it signs in is elsewhere."""

    __tablename__ = "dispatch_account"
    __table_args__ = (
        UniqueConstraint("channel", "key"),
        CheckConstraint(
            f"state IN ({', '.join(repr(state.value) for state in AccountState)})", name="state"
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    channel: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), default=AccountState.READY.value)
    #: When a resting account is checked; of one that is being checked, how long one run may take for it.
    rest_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Rests in a row; each is up to twice as long.
    rests: Mapped[int] = mapped_column(SmallInteger, default=0)
    #: Connection failures in a row.
    failures: Mapped[int] = mapped_column(SmallInteger, default=0)
    #: Refusals in a row that concern the account, without an acceptance between them.
    refusals: Mapped[int] = mapped_column(SmallInteger, default=0)
    #: Theoretical arrival time of the rate limit, seconds since 1970 by the database's clock.
    tat: Mapped[float | None] = mapped_column(Float(53))
    #: Why it stopped or rests.
    answer_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch_answer.id"))
    answer_text: Mapped[str] = mapped_column(LongText, default="")
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: What a part cost last, the dearest of the last window: what is set aside for the next ones.
    part_price: Mapped[Decimal | None] = mapped_column(Amount)
    part_currency: Mapped[str | None] = mapped_column(String(8))


class Spending(Base):
    """What was spent through an account on one day of the clinic's, with what is set aside for what is under way."""

    __tablename__ = "dispatch_spending"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("dispatch_account.id"), primary_key=True, autoincrement=False
    )
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    currency: Mapped[str] = mapped_column(String(8), primary_key=True)
    amount: Mapped[Decimal] = mapped_column(Amount)


class AccountSetup(Base):
    """An account that people set up on the settings page; one of the configuration has no such row."""

    __tablename__ = "dispatch_account_setup"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("dispatch_account.id"), primary_key=True, autoincrement=False
    )
    #: How its URL begins: which gateway it is, readable without the key.
    scheme: Mapped[str] = mapped_column(String(32))
    #: The URL with everything secret in it, encrypted.
    url: Mapped[str] = mapped_column(LongText)
    #: What may go through it, separated by blanks; empty: everything.
    purposes: Mapped[str] = mapped_column(String(255), default="")
    #: Within its channel, the smallest first.
    position: Mapped[int] = mapped_column(Integer)
    #: When each secret was set, ISO 8601, by field.
    secrets_at: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[str] = mapped_column(String(255), default="")


class AccountTest(Base):
    """The last time somebody tried whether an account can sign in."""

    __tablename__ = "dispatch_account_test"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("dispatch_account.id"), primary_key=True, autoincrement=False
    )
    #: Names this trial: a late end of an earlier one says nothing of it.
    token: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: None: it is still under way, or whoever tried has died.
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: ``ok``, ``failed`` or ``none`` (the channel has no way to try).
    outcome: Mapped[str] = mapped_column(String(16), default="")
    answer_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch_answer.id"))
    answer_text: Mapped[str] = mapped_column(LongText, default="")
    started_by: Mapped[str] = mapped_column(String(255), default="")


class AccountCallback(Base):
    """The secret in the address an account's gateway calls: known to whoever was shown it, and to nobody here."""

    __tablename__ = "dispatch_account_callback"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("dispatch_account.id"), primary_key=True, autoincrement=False
    )
    #: SHA-256 of the secret, in hexadecimal digits.
    digest: Mapped[str] = mapped_column(String(64))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[str] = mapped_column(String(255), default="")


class AccountShare(Base):
    """How many of an account's connections one run may hold open."""

    __tablename__ = "dispatch_account_share"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("dispatch_account.id"), primary_key=True, autoincrement=False
    )
    #: Runs are forgotten after a while, and their shares with them.
    run_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    connections: Mapped[int] = mapped_column(Integer)


class KeptKey(Base):
    """A key of this installation, made with the tables; the configuration's keys seal it where there are any."""

    __tablename__ = "dispatch_key"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    #: ``open:`` and hexadecimal digits, or sealed.
    value: Mapped[str] = mapped_column(Text)
