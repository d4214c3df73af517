"""Caps and amounts, without any database: decimals alone, and days of the clinic's."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_dispatch_plugin.accounts.spending_rules import (
    Caps,
    Reached,
    Spent,
    counted,
    day_of,
    fitting,
    reached,
    room_in,
    storable_money,
)
from clinic_dispatch_plugin.api import ConfigurationError, GatewayUrl, Money
from clinic_dispatch_sms.accounts import accounts_of
from clinic_dispatch_sms.gateways import GATEWAYS

BERLIN = ZoneInfo("Europe/Berlin")
AMOUNTS = st.decimals(min_value=0, max_value=100, places=4)


def eur(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="EUR")


def test_a_float_is_no_amount() -> None:
    with pytest.raises(TypeError, match="Decimal"):
        Money(amount=0.1, currency="EUR")  # type: ignore[arg-type]


@given(st.lists(AMOUNTS, max_size=60), AMOUNTS)
def test_what_fits_never_passes_the_room_and_one_more_would(
    prices: list[Decimal], room: Decimal
) -> None:
    many = fitting(room, prices)
    assert sum(prices[:many], Decimal(0)) <= room
    assert many == len(prices) or sum(prices[: many + 1], Decimal(0)) > room


def test_without_a_cap_there_is_no_end_of_room() -> None:
    assert room_in(Caps(), Spent(day=Decimal(9))) is None
    assert fitting(None, [Decimal(1)] * 3) == 3


def test_the_tighter_of_two_caps_counts() -> None:
    caps = Caps(day=Decimal(20), month=Decimal(300))
    assert room_in(caps, Spent(day=Decimal(5), month=Decimal(290))) == 10
    assert room_in(caps, Spent(day=Decimal(15), month=Decimal(100))) == 5


def test_a_day_ends_at_the_clinics_midnight_also_when_the_clock_is_changed() -> None:
    late = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)  # the night the clocks go back
    assert day_of(late, BERLIN).isoformat() == "2026-10-25"
    spent = Spent(day=Decimal(20), month=Decimal(20))
    full = reached(Caps(day=Decimal(20)), spent, eur("0.1"), now=late, zone=BERLIN)
    assert full is not None
    assert full.until == datetime(2026, 10, 26, tzinfo=BERLIN)
    assert (full.until - late).total_seconds() == 24.5 * 3600


def test_a_month_that_is_used_up_lasts_longer_than_its_day() -> None:
    caps = Caps(day=Decimal(20), month=Decimal(20))
    spent = Spent(day=Decimal(20), month=Decimal(20))
    now = datetime(2026, 12, 31, 12, tzinfo=UTC)
    full = reached(caps, spent, eur("0.1"), now=now, zone=BERLIN)
    assert full is not None
    assert (full.period, full.until.date().isoformat()) == ("month", "2027-01-01")
    assert Reached.read(str(full)) == full


@pytest.mark.parametrize("text", ["", "day", "day|x|EUR|2026-01-01", "a|1|EUR|never", "|||"])
def test_a_pauses_text_of_another_kind_is_no_cap(text: str) -> None:
    assert Reached.read(text) is None


@pytest.mark.parametrize(
    ("state", "price", "estimate", "wanted"),
    [
        ("accepted", "0.07", "0.10", "0.07"),
        ("accepted", None, "0.10", "0.10"),
        ("uncertain", None, "0.10", "0.10"),
        ("refused", None, "0.10", "0"),
        ("withdrawn", None, "0.10", "0"),
        ("refused", "0.02", "0.10", "0.02"),  # some gateways bill what they refuse
        ("accepted", None, None, "0"),
    ],
)
def test_what_an_attempt_is_counted_for(
    state: str, price: str | None, estimate: str | None, wanted: str
) -> None:
    assert counted(state, price and Decimal(price), estimate and Decimal(estimate)) == Decimal(  # type: ignore[arg-type]
        wanted
    )


@pytest.mark.parametrize(
    "money", [("NaN", "EUR"), ("Infinity", "EUR"), ("1e12", "EUR"), ("1", ""), ("1", "€")]
)
def test_what_no_column_can_hold_is_no_amount(money: tuple[str, str]) -> None:
    assert storable_money(Money(amount=Decimal(money[0]), currency=money[1])) is None


def account(url: str):  # type: ignore[no-untyped-def]
    [found] = accounts_of({"SMS": url}, "SMS", "sms", GATEWAYS)
    return found


def test_caps_stand_in_the_accounts_url() -> None:
    found = account("smsc://a:b@smsc.kz/?sender=Klinik&cap_day=20.00&cap_month=300")
    assert (found.cap_day, found.cap_month) == (Decimal("20.00"), Decimal(300))


def test_a_cap_needs_a_price_where_the_gateway_tells_none() -> None:
    with pytest.raises(ConfigurationError, match="price="):
        account("infobip://key@api.infobip.com/?sender=Klinik&cap_day=20")
    url = "infobip://key@api.infobip.com/?sender=Klinik&cap_day=20&price=0.05&price_currency=EUR"
    assert account(url).part_price == eur("0.05")
    with pytest.raises(ConfigurationError, match="price_currency"):
        account("infobip://key@api.infobip.com/?sender=Klinik&price=0.05")


@pytest.mark.parametrize("value", ["0", "-1", "1,5", "1e3", "NaN", "ten", "1.1234567"])
def test_a_wrong_cap_is_refused_with_a_right_one(value: str) -> None:
    url = GatewayUrl("SMS", f"smsc://a:b@smsc.kz/?cap_day={value}")
    with pytest.raises(ConfigurationError, match=r"such as 20\.00"):
        url.money("cap_day")
