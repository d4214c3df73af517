"""When it is quiet, and when a message that waits may go: on the wall clock, also where that is put on or back."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from clinic_dispatch_plugin.config import ConfigurationError
from clinic_dispatch_plugin.config_values import quiet_hours
from clinic_dispatch_plugin.quiet_hours import (
    DEFAULT,
    SPREAD_SECONDS,
    Hours,
    QuietHours,
    due_after,
    next_allowed,
    zone_named,
)

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Hours(begin=time(20), end=time(8))


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        ("2026-11-24 19:59", "2026-11-24 19:59"),
        ("2026-11-24 20:00", "2026-11-25 08:00"),
        ("2026-11-25 03:00", "2026-11-25 08:00"),
        ("2026-11-25 08:00", "2026-11-25 08:00"),
        ("2026-12-31 23:00", "2027-01-01 08:00"),
        # Summer time begins and ends in the night: it is quiet until eight on the clock all the same.
        ("2026-03-28 22:00", "2026-03-29 08:00"),
        ("2026-10-24 22:00", "2026-10-25 08:00"),
    ],
)
def test_what_is_quiet_waits_for_the_end_on_the_wall_clock(now: str, allowed: str) -> None:
    assert next_allowed(at(now), BERLIN, [NIGHT]) == at(allowed)


def test_hours_that_end_where_the_clock_jumps_end_with_the_jump() -> None:
    hours = [Hours(begin=time(22), end=time(2, 30))]
    assert next_allowed(at("2026-03-29 01:00"), BERLIN, hours) == at("2026-03-29 03:00")


def test_hours_that_end_in_the_hour_that_comes_twice_hold_twice() -> None:
    hours = [Hours(begin=time(22), end=time(2, 30))]
    assert next_allowed(at("2026-10-25 01:00"), BERLIN, hours) == at("2026-10-25 02:30")
    again = at("2026-10-25 02:10", fold=1)
    assert next_allowed(again, BERLIN, hours) == at("2026-10-25 02:30", fold=1)


def test_every_minute_of_both_days_of_change_is_allowed_or_leads_to_one_that_is() -> None:
    for hours in (
        [NIGHT],
        [Hours(begin=time(22), end=time(2, 30))],
        [NIGHT, Hours(begin=time(7), end=time(9, 15))],
    ):
        for day in ("2026-03-28 12:00", "2026-10-24 12:00"):
            moment = at(day)
            for _ in range(0, 36 * 60, 7):
                first = next_allowed(moment, BERLIN, hours)
                assert moment <= first < moment + timedelta(hours=26)
                assert not any(each.hold(first.astimezone(BERLIN).time()) for each in hours)
                moment += timedelta(minutes=7)


def test_the_recipients_clock_counts() -> None:
    now = at("2026-11-24 19:30")
    assert due_after(now, BERLIN, [NIGHT]) is None
    moscow = due_after(now, zone_named("Europe/Moscow", BERLIN), [NIGHT])
    assert moscow is not None and moscow >= at("2026-11-25 08:00", ZoneInfo("Europe/Moscow"))
    assert zone_named("Mars/Olympus", BERLIN) is BERLIN
    assert zone_named("", BERLIN) is BERLIN


def test_what_waited_is_spread_so_that_the_first_minute_is_no_stampede() -> None:
    now, eight = at("2026-11-24 23:00"), at("2026-11-25 08:00")
    dues = [due_after(now, BERLIN, [NIGHT]) for _ in range(200)]
    late = [(due - eight).total_seconds() for due in dues if due is not None]
    assert len(late) == 200 and min(late) >= 0 and max(late) <= SPREAD_SECONDS
    assert len({int(seconds // 60) for seconds in late}) > 5


def test_the_spread_misses_no_last_moment() -> None:
    now = at("2026-11-24 23:00")
    last = at("2026-11-25 08:00:01")
    assert all(due_after(now, BERLIN, [NIGHT], not_after=last) < last for _ in range(50))  # type: ignore[operator]


def test_purpose_and_channel_hold_together_and_both_named_hold_alone() -> None:
    quiet = quiet_hours("Q", "promotion=20:00-08:00, voice=12:00-14:00, promotion.email=none")
    assert len(quiet.of("promotion", "voice")) == 2
    assert quiet.of("promotion", "email") == ()
    assert quiet.of("service", "email") == ()
    # What is not named stays as it is shipped.
    assert quiet.of("greeting", "email") == DEFAULT.of("greeting", "email") != ()


def test_the_shipped_hours_wake_nobody() -> None:
    for channel in ("email", "sms", "viber", "voice"):
        for purpose in ("promotion", "greeting"):
            assert any(
                each.hold(time(3)) and each.hold(time(20)) for each in DEFAULT.of(purpose, channel)
            )
    assert any(each.hold(time(3)) for each in DEFAULT.of("results", "voice"))
    assert any(each.hold(time(3)) for each in DEFAULT.of("results", "sms"))
    assert DEFAULT.of("results", "email") == DEFAULT.of("reminder", "email") == ()


def test_settings_are_read_from_text_and_from_the_hosts_own_values() -> None:
    assert quiet_hours("Q", "none") == QuietHours()
    assert quiet_hours("Q", {"voice": "19:00-9:30", "promotion": None}).of("results", "voice") == (
        Hours(begin=time(19), end=time(9, 30)),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "night",
        "voice=late",
        "voice=20:00-20:00",
        "voice=25:00-08:00",
        "fun.sms=none",
        "a b=none",
        7,
    ],
)
def test_a_wrong_value_is_refused_with_what_to_write(wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="promotion=20:00-08:00"):
        quiet_hours("CLINIC_DISPATCH_QUIET_HOURS", wrong)
