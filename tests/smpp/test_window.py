"""What each answer, each silence and the end of the link say about a message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_dispatch_plugin.api import (
    Accepted,
    Answer,
    NotSent,
    Refused,
    SendResult,
    Uncertain,
)
from clinic_dispatch_sms.smpp.pace import Pace
from clinic_dispatch_sms.smpp.window import Flight, Window
from tests.smpp.making import a_message

WHY = Answer(system="dispatch", code="connection_lost", text="gone")


class Trial:
    """A window whose requests are numbered from 1 and end 100 octets apart."""

    def __init__(self, size: int = 10) -> None:
        self.results: list[SendResult] = []
        self.window = Window(size, deliver=lambda result, _: self.results.append(result))
        self.sequence = 0

    def take(self, number: int = 1, *, parts: int = 1) -> None:
        self.window.take(Flight(a_message(number), [b"x"] * parts))

    def write(self) -> None:
        while self.window.may_write:
            self.sequence += 1
            request = self.window.next_request()
            request.ends_at = 100 * self.sequence
            self.window.opened(self.sequence, request)

    @property
    def only(self) -> Any:
        (result,) = self.results
        return result


def test_an_accepted_text_has_the_ids_of_all_its_parts() -> None:
    trial = Trial()
    trial.take(parts=3)
    trial.write()
    for number in (2, 1, 3):
        assert not trial.results
        trial.window.accepted(number, f"id{number}")
    assert isinstance(trial.only, Accepted)
    assert (trial.only.provider_id, trial.only.parts) == ("id1..id2..id3", 3)


def test_ids_that_do_not_fit_are_left_out_whole() -> None:
    trial = Trial()
    trial.take(parts=5)
    trial.write()
    for number in range(1, 6):
        trial.window.accepted(number, f"{number}" * 60)
    assert trial.only.provider_id == "..".join(f"{number}" * 60 for number in (1, 2, 3))


def test_a_refused_part_takes_what_waits_with_it_and_is_not_tried_again() -> None:
    trial = Trial(size=2)
    trial.take(parts=4)
    trial.write()
    trial.window.accepted(1, "id1")
    trial.window.refused(2, 0x14)
    assert not trial.window.in_hand
    assert isinstance(trial.only, Refused)
    assert trial.only.retryable is False, "again would bring the first part twice"
    assert "part 2 of 4" in trial.only.answer.text


def test_a_text_refused_whole_is_left_to_the_reference() -> None:
    trial = Trial()
    trial.take()
    trial.write()
    trial.window.refused(1, 0x0B)
    assert isinstance(trial.only, Refused)
    assert trial.only.retryable is None
    assert (trial.only.answer.system, trial.only.answer.code) == ("smpp", "0x0000000B")


def test_a_postponed_request_goes_first_when_the_link_goes_on() -> None:
    trial = Trial(size=2)
    for number in (1, 2, 3):
        trial.take(number)
    trial.write()
    trial.window.postponed(1)
    assert trial.window.next_request().flight.message.attempt_id == 1


def test_the_end_of_the_link_tells_what_left_from_what_did_not() -> None:
    trial = Trial(size=3)
    for number in (1, 2, 3, 4):
        trial.take(number)
    trial.write()
    trial.window.give_up(WHY, written=250)
    kinds = {each.attempt_id: type(each) for each in trial.results}
    assert kinds == {1: Uncertain, 2: Uncertain, 3: NotSent, 4: NotSent}


def test_a_text_taken_in_part_when_the_link_ends_is_in_doubt() -> None:
    trial = Trial(size=1)
    trial.take(parts=2)
    trial.write()
    trial.window.accepted(1, "id1")
    trial.window.give_up(WHY, written=100)
    assert isinstance(trial.only, Uncertain)
    assert "1 of 2 parts" in trial.only.answer.text


def test_an_answer_after_all_finds_its_message_once() -> None:
    trial = Trial()
    trial.take()
    trial.write()
    trial.window.doubted(1, WHY)
    assert isinstance(trial.only, Uncertain)
    flight = trial.window.late(1)
    assert flight is not None and flight.message.attempt_id == 1
    assert trial.window.late(1) is None


@given(
    st.integers(1, 6),
    st.lists(st.integers(1, 4), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from("andpg"), st.integers(0, 50)), max_size=40),
    st.integers(0, 4000),
)
def test_every_message_has_one_result_whatever_happens(
    size: int, texts: list[int], events: list[tuple[str, int]], written: int
) -> None:
    trial = Trial(size)
    window = trial.window
    for number, parts in enumerate(texts, 1):
        trial.take(number, parts=parts)
    for kind, which in events:
        trial.write()
        numbers = [each for each in range(1, trial.sequence + 1) if window.find(each)]
        assert len(numbers) <= size
        if not numbers:
            break
        number = numbers[which % len(numbers)]
        if kind == "a":
            window.accepted(number, f"id{number}")
        elif kind == "n":
            window.refused(number, 0x14)
        elif kind == "d":
            window.doubted(number, WHY)
        elif kind == "p":
            window.postponed(number)
        else:
            window.give_up(WHY, written=written)
    window.give_up(WHY, written=written)
    assert not window.in_hand
    assert sorted(each.attempt_id for each in trial.results) == list(range(1, len(texts) + 1))


# How fast


def test_the_rate_is_kept_with_a_tenth_of_a_second_at_once() -> None:
    pace, now, went = Pace(100.0), 50.0, 0
    while now < 60.0:
        if pace.ready_at() <= now:
            pace.sent(now)
            went += 1
        else:
            now = pace.ready_at()
    assert 1_000 <= went <= 1_011


def test_pauses_double_up_to_a_minute_and_begin_small_again_after_success() -> None:
    pace, now, pauses = Pace(None), 0.0, []
    for _ in range(8):
        pace.throttled(now)
        pace.throttled(now)  # the rest of the same volley
        pauses.append(pace.pause)
        now = pace.ready_at()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    pace.went_well(now)
    pace.throttled(now)
    assert pace.pause == 1


def test_too_fast_halves_the_rate_for_ten_minutes() -> None:
    def gap(pace: Pace, now: float) -> float:
        for _ in range(3):
            pace.sent(now)
        before = pace.ready_at()
        pace.sent(now)
        return pace.ready_at() - before

    pace = Pace(10.0)
    pace.throttled(0.0)
    assert gap(pace, 100.0) == pytest.approx(0.2)
    assert gap(pace, 1_000.0) == pytest.approx(0.1)
