"""A cap per day and month: set aside before a window opens, corrected by prices, and no message beyond it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from clinic_dispatch_plugin.accounts.spending_rules import Lacking, Reached
from clinic_dispatch_plugin.accounts.tables import Spending
from clinic_dispatch_plugin.api import (
    Accepted,
    DeliveryReport,
    Money,
    OutgoingMessage,
    ReportStatus,
    SendResult,
)
from clinic_dispatch_plugin.engine.tender import tend
from clinic_dispatch_plugin.error_reference import editing
from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.mailings.sending import send
from clinic_dispatch_plugin.messages.holds import why_on_hold
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.tables import Attempt
from clinic_dispatch_plugin.reports import asking_first, inbox
from clinic_dispatch_plugin.testing import FakeChannel
from clinic_dispatch_plugin.testing.fake_channel import refuse
from tests.engine.dispatching import Desk, open_desk


def eur(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="EUR")


class Priced(FakeChannel):
    """Says with each acceptance what it cost; None: it says nothing."""

    cost: Money | None = None

    def hand_over(self, message: OutgoingMessage) -> SendResult:
        result = super().hand_over(message)
        if isinstance(result, Accepted):
            return Accepted(
                attempt_id=result.attempt_id, provider_id=message.attempt_key, price=self.cost
            )
        return result


@pytest.fixture
def channel() -> Priced:
    made = Priced()
    made.price_each = eur("0.075")
    return made


@pytest.fixture
def desk(database_url: str, tmp_path: Path, channel: Priced) -> Iterator[Desk]:
    made = open_desk(database_url, tmp_path, channel=channel, TIMEZONE="Europe/Berlin")
    yield made
    made.dispatch.database.dispose()


def spent(desk: Desk) -> Decimal:
    with desk.dispatch.database.begin() as connection:
        return connection.execute(select(func.sum(Spending.amount))).scalar() or Decimal(0)


def counted(desk: Desk) -> Decimal:
    """The same, added up from the attempts."""
    query = select(func.sum(func.coalesce(Attempt.price, Attempt.estimate))).where(
        Attempt.state.in_(["accepted", "open", "uncertain"])
    )
    with desk.dispatch.database.begin() as connection:
        return connection.execute(query).scalar() or Decimal(0)


def test_a_cap_in_the_middle_of_a_window_stops_there_and_the_next_day_goes_on(
    desk: Desk, channel: Priced
) -> None:
    channel.cost = eur("0.075")
    channel.options = {"cap_day": Decimal("4.50")}  # 60 messages: one window and ten
    mailing = desk.mailing(70)
    desk.pump()
    assert len(channel.handed) == 60
    assert spent(desk) == counted(desk) == Decimal("4.50")
    row = desk.state_of_mailing(mailing)
    assert (row["state"], row["pause_reason"]) == ("paused", "cap")
    full = Reached.read(row["pause_text"])
    assert full is not None
    assert (full.period, full.cap) == ("day", eur("4.50"))
    assert full.until > datetime.now(UTC)
    tend(desk.dispatch)  # the day is not over
    assert desk.state_of_mailing(mailing)["state"] == "paused"
    # The next day: what was spent lies behind, and the mailing goes on by itself.
    past = str(Reached(period="day", cap=full.cap, until=datetime(2020, 1, 1, tzinfo=UTC)))
    desk.change(Spending, day=date(2020, 1, 1))
    desk.change(Mailing, Mailing.id == mailing, pause_text=past)
    tend(desk.dispatch)
    desk.pump()
    assert desk.states(mailing) == {"sent": 70}


def test_a_mailing_its_account_has_too_little_for_is_held_whole_until_it_is_topped_up(
    desk: Desk, channel: Priced
) -> None:
    channel.cost, channel.left = eur("0.075"), eur("0.40")
    with desk.dispatch.database.begin() as connection:
        # Inside the host's own transaction nobody can be asked: it is looked at before the first message goes.
        mailing = send(
            desk.dispatch,
            to=[
                Recipient(ref="", name=f"P{n}", addresses={"fake": f"p{n}@example.org"})
                for n in range(6)
            ],
            channel="fake",
            subject="S",
            text="T",
            connection=connection,
        )
    desk.pump()
    assert channel.handed == [], "five could be paid for: the whole waits"
    row = desk.state_of_mailing(mailing)
    assert (row["state"], row["pause_reason"]) == ("paused", "money")
    short = Lacking.read(row["pause_text"])
    assert short is not None
    assert (short.balance, short.need) == (eur("0.40"), eur("0.450000"))
    with desk.dispatch.app_context():
        said = why_on_hold(row)
    assert "There is not enough money on the account nowhere" in said
    tend(desk.dispatch)  # it is not time to look again
    assert desk.state_of_mailing(mailing)["state"] == "paused"
    past = str(replace(short, until=datetime(2020, 1, 1, tzinfo=UTC)))
    desk.change(Mailing, Mailing.id == mailing, pause_text=past)
    tend(desk.dispatch)
    desk.pump()
    assert desk.state_of_mailing(mailing)["pause_reason"] == "money", "it still lacks"
    channel.left = eur("0.45")
    desk.change(Mailing, Mailing.id == mailing, pause_text=past)
    tend(desk.dispatch)
    desk.pump()
    assert desk.states(mailing) == {"sent": 6}


def test_a_cap_that_is_raised_lets_the_mailing_go_on_by_itself(desk: Desk, channel: Priced) -> None:
    channel.cost = eur("0.075")
    channel.options = {"cap_day": Decimal("0.30")}
    mailing = desk.mailing(6)
    desk.pump()
    assert len(channel.handed) == 4
    channel.options = {"cap_day": Decimal("0.20")}  # lowered: it stands still
    tend(desk.dispatch)
    assert desk.state_of_mailing(mailing)["pause_reason"] == "cap"
    channel.options = {"cap_day": Decimal("0.375")}
    tend(desk.dispatch)
    desk.pump()
    assert len(channel.handed) == 5  # up to the new cap, and no further
    assert desk.state_of_mailing(mailing)["pause_reason"] == "cap"
    channel.options = {}
    tend(desk.dispatch)
    desk.pump()
    assert desk.states(mailing) == {"sent": 6}


def test_what_it_really_cost_corrects_what_was_set_aside(desk: Desk, channel: Priced) -> None:
    channel.cost = eur("0.10")  # dearer than quoted
    channel.options = {"cap_month": Decimal(5)}
    channel.will("p0@example.org", refuse("user_unknown", retryable=False))
    mailing = desk.mailing(70)
    desk.pump()
    assert spent(desk) == counted(desk)
    # One window was set aside by the quoted price: the cap is passed by its difference at most.
    assert Decimal(5) - Decimal("0.10") <= spent(desk) <= Decimal(5) + 50 * Decimal("0.025")
    assert desk.state_of_mailing(mailing)["pause_reason"] == "cap"


def test_a_price_that_comes_later_is_kept_and_counted_once(desk: Desk, channel: Priced) -> None:
    channel.options = {"cap_day": Decimal(5)}
    desk.mailing(2)
    desk.pump()
    assert spent(desk) == Decimal("0.15")
    [attempt] = desk.attempts_of("p0@example.org")
    assert (attempt["price"], attempt["estimate"]) == (None, Decimal("0.075"))
    report = DeliveryReport(
        status=ReportStatus.DELIVERED,
        provider_id=attempt["provider_id"],
        details={"price": "0.0832", "currency": "EUR"},
    )
    for state in ("delivered", "read"):
        again = DeliveryReport(
            status=report.status,
            provider_id=report.provider_id,
            details={**report.details, "state": state},
        )
        inbox.keep(
            desk.dispatch,
            [again],
            channel="fake",
            account_id=attempt["account_id"],
            source="callback",
        )
    inbox.process(desk.dispatch)
    [attempt] = desk.attempts_of("p0@example.org")
    assert (attempt["price"], attempt["currency"]) == (Decimal("0.0832"), "EUR")
    assert spent(desk) == Decimal("0.1582")


def test_where_nobody_knows_a_price_nothing_goes_under_a_cap(desk: Desk, channel: Priced) -> None:
    channel.price_each = None
    channel.options = {"cap_day": Decimal(5)}
    mailing = desk.mailing(2)
    desk.pump()
    assert channel.handed == []
    assert desk.state_of_mailing(mailing)["pause_reason"] == "price_unknown"
    channel.price_each = eur("0.01")
    desk.change(Mailing, Mailing.id == mailing, pause_text="2020-01-01T00:00:00+00:00")
    tend(desk.dispatch)
    desk.pump()
    assert desk.states(mailing) == {"sent": 2}


def test_without_a_cap_prices_are_kept_all_the_same(desk: Desk, channel: Priced) -> None:
    channel.cost = eur("0.05")
    desk.mailing(3)
    desk.pump()
    assert spent(desk) == counted(desk) == Decimal("0.15")
    assert desk.account()["part_price"] == Decimal("0.05")


def test_a_refusal_that_was_asked_about_first_costs_nothing(desk: Desk, channel: Priced) -> None:
    content = {
        "category": "duplicate",
        "permanence": "permanent",
        "short.de": "Schon da",
        "policy.ask_first": True,
    }
    editing.add_entry(desk.dispatch, system="fake", code="twice", content=content, by="A. Kern")
    channel.options = {"cap_month": Decimal(5)}
    channel.will("a@example.org", refuse("twice"))
    desk.mailing(["a@example.org"])
    desk.pump()
    assert spent(desk) == counted(desk) == Decimal("0.075"), "in doubt"
    ago = datetime.now(tz=UTC) - timedelta(minutes=20)
    desk.change(Attempt, Attempt.address == "a@example.org", opened_at=ago, closed_at=ago)
    assert asking_first.go_on(desk.dispatch, {}) == 1
    assert desk.message("a@example.org")["state"] == "undelivered"
    assert spent(desk) == counted(desk) == Decimal(0)
