"""The accounts as all workers see them: one state, one breaker, one rate."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import (
    CheckConstraint,
    Date,
    Float,
    ForeignKey,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from clinic_dispatch_plugin.accounts.rules import AccountState
from clinic_dispatch_plugin.database.base import Amount, Base, BigId, LongText, UtcDateTime


class AccountRow(Base):
    """One configured account; its secrets stay in the configuration."""

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
