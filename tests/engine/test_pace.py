"""The size of windows follows how fast messages leave."""

from __future__ import annotations

from clinic_dispatch_plugin.engine.pace import WIDEST_WINDOW, WINDOW, WINDOW_SECONDS, Pace


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _paced(rate: float, *, most: int = WIDEST_WINDOW) -> Pace:
    """After two seconds at so many messages a second."""
    clock = _Clock()
    pace = Pace(most=most, clock=clock)
    for _ in range(200):
        clock.now += 0.01
        pace.answered(round(rate / 100))
    return pace


def test_it_begins_with_the_usual_size() -> None:
    assert Pace().size == WINDOW


def test_a_fast_gateway_gets_what_leaves_in_a_moment() -> None:
    assert abs(_paced(500).size - 500 * WINDOW_SECONDS) <= 1
    assert _paced(1_000_000).size == WIDEST_WINDOW


def test_a_slow_gateway_leaves_no_more_in_doubt_than_before() -> None:
    assert _paced(100).size == WINDOW


def test_it_becomes_small_again_where_the_gateway_becomes_slow() -> None:
    clock = _Clock()
    pace = Pace(clock=clock)
    clock.now += 0.01
    pace.answered(WIDEST_WINDOW)
    assert pace.size == WIDEST_WINDOW

    clock.now += 60
    pace.answered(WIDEST_WINDOW)

    assert pace.size == WINDOW


def test_one_message_to_see_whether_an_account_works_stays_one() -> None:
    assert _paced(1_000_000, most=1).size == 1
