"""Twilio, Infobip and Vonage through their simulators: what bad answers leave behind, and what asking puts right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    Account,
    AccountError,
    Answer,
    Channel,
    ChannelError,
    ConnectionFailed,
    DeliveryReport,
    Money,
    OutgoingMessage,
    Refused,
    ReportStatus,
    Sender,
    SendResult,
    SentMessage,
    Uncertain,
)
from clinic_dispatch_plugin.simulators.gateways.kinds import KINDS
from clinic_dispatch_plugin.simulators.gateways.plans import Trouble
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings
from clinic_dispatch_plugin.testing import ListBatch, make_message
from clinic_dispatch_plugin.testing.judgement import explained
from clinic_dispatch_sms import clinic_dispatch_reference_packs
from clinic_dispatch_sms.channel import SmsChannel
from tests.contract.simulated import account_at

GATEWAYS = ("twilio", "infobip", "vonage")
LOGIN = "ACclinic:secret"


@dataclass
class Place:
    """One gateway, the channel's account there, and a sender that stays open."""

    name: str
    simulator: HttpSimulator[Any]
    account: Account
    channel: Channel
    sender: Sender
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(10_000)))

    def message(self, words: str = "", *, text: str = "Morgen um neun.") -> OutgoingMessage:
        """A message to a number of its own, to which this happens."""
        address = f"+491511{next(self.numbers):07}"
        self.simulator.settings.plans.will(address, words)
        return make_message(address, text=text)

    def send(self, *messages: OutgoingMessage) -> list[SendResult]:
        by_id = {each.attempt_id: each for each in self.sender.send(ListBatch(messages))}
        return [by_id[message.attempt_id] for message in messages]

    def took(self, message: OutgoingMessage) -> int:
        digits = message.address.removeprefix("+")
        return sum(line.recipient == digits for line in self.simulator.gateway.ledger.taken)

    def ask(self, *sent: SentMessage) -> list[DeliveryReport]:
        return list(self.sender.check(sent))


@pytest.fixture(scope="module")
def places() -> Iterator[Mapping[str, Place]]:
    with ExitStack() as stack:
        yield {name: opened(name, stack) for name in GATEWAYS}


def opened(name: str, stack: ExitStack) -> Place:
    settings = GatewaySettings(user="ACclinic", password="secret", balance=Decimal("12.34"))
    simulator = stack.enter_context(HttpSimulator(KINDS[name], settings))
    options = {"connections": "3", "timeout": "0.8", "sender": "Klinik"}
    more = {"list": "2"} if name == "infobip" else {}
    account = account_at(simulator, name, LOGIN, **options, **more)
    channel = SmsChannel([account])
    return Place(name, simulator, account, channel, stack.enter_context(channel.open(account)))


@pytest.fixture(params=GATEWAYS)
def place(request: pytest.FixtureRequest, places: Mapping[str, Place]) -> Iterator[Place]:
    chosen = places[request.param]
    yield chosen
    chosen.simulator.switch(GatewayMode.NORMAL)


def sent(message: OutgoingMessage, result: SendResult) -> SentMessage:
    provider_id = result.provider_id if isinstance(result, Accepted | Uncertain) else None
    return SentMessage(
        attempt_id=message.attempt_id,
        attempt_key=message.attempt_key,
        provider_id=provider_id,
        address=message.address,
        opened_at=datetime.now(UTC),
    )


def assert_explained(*answers: Answer | None) -> None:
    for answer in answers:
        assert answer is not None
        assert explained(answer, clinic_dispatch_reference_packs()).described, answer


# -- bad answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", list(Trouble))
def test_a_bad_answer_leaves_a_true_state_with_a_note(place: Place, trouble: Trouble) -> None:
    taken, untaken = place.message(f"trouble:{trouble}"), place.message(f"untaken:{trouble}")
    for message in (taken, untaken):
        (result,) = place.send(message)
        assert isinstance(result, Uncertain), result
        assert_explained(result.answer)
    assert (place.took(taken), place.took(untaken)) == (1, 0)


def test_a_bad_answer_to_one_does_not_hold_up_the_others(place: Place) -> None:
    messages = [place.message() for _ in range(4)] + [place.message("trouble:html")]
    messages += [place.message() for _ in range(4)]
    results = place.send(*messages)
    for message, result in zip(messages, results, strict=True):
        assert place.took(message) == 1
        assert isinstance(result, Accepted | Uncertain)
    assert sum(isinstance(each, Uncertain) for each in results) <= 2


def test_a_gateway_that_is_down_or_broken_sends_nothing_twice(place: Place) -> None:
    place.simulator.switch(GatewayMode.DOWN)
    message = place.message()
    with pytest.raises(ConnectionFailed) as caught:
        place.send(message)
    assert_explained(caught.value.answer)
    place.simulator.switch(GatewayMode.BROKEN)
    (result,) = place.send(message)
    assert isinstance(result, Uncertain)
    place.simulator.switch(GatewayMode.NORMAL)
    assert isinstance(place.send(message)[0], Accepted)
    assert place.took(message) == 1


def test_too_many_requests_rest_the_account_as_long_as_was_said(place: Place) -> None:
    message = place.message("throttle:1")
    with pytest.raises(ConnectionFailed) as caught:
        place.send(message)
    assert caught.value.retry_after == 1.0
    assert_explained(caught.value.answer)
    assert place.took(message) == 0
    assert isinstance(place.send(message)[0], Accepted)


def test_a_wrong_password_is_the_accounts_fault_in_every_question(place: Place) -> None:
    place.simulator.switch(GatewayMode.WRONG_PASSWORD)
    message = place.message()
    questions: list[Callable[[], object]] = [
        lambda: place.send(message),
        lambda: place.ask(sent(message, Accepted(attempt_id=1, provider_id="x"))),
        place.sender.balance,
        lambda: place.channel.connect(place.account),
    ]
    for question in questions:
        with pytest.raises(AccountError) as caught:
            question()
        assert_explained(caught.value.answer)
    assert place.took(message) == 0


def test_an_account_that_does_not_exist_is_no_messages_fault(places: Mapping[str, Place]) -> None:
    place = places["twilio"]
    account = account_at(
        place.simulator, "twilio", LOGIN, sender="Klinik", account_sid="ACnobody", auth_token="x"
    )
    with SmsChannel([account]).open(account) as sender, pytest.raises(AccountError) as caught:
        list(sender.send(ListBatch([message := place.message()])))
    assert_explained(caught.value.answer)
    assert place.took(message) == 0


def test_without_money_the_account_stops(place: Place) -> None:
    place.simulator.switch(GatewayMode.NO_BALANCE)
    message = place.message()
    try:
        (result,) = place.send(message)
    except AccountError as error:
        answer = error.answer
    else:
        assert isinstance(result, Refused)
        answer = result.answer
    explanation = explained(answer, clinic_dispatch_reference_packs())
    assert explanation.entry is not None
    assert explanation.entry.policy_for(answer).action == "stop_account"
    assert place.took(message) == 0


def test_a_refusal_names_its_code(place: Place) -> None:
    codes = {"twilio": "21610", "infobip": "10", "vonage": "15"}
    (result,) = place.send(place.message(f"refuse:{codes[place.name]}"))
    assert isinstance(result, Refused)
    assert result.answer.code == codes[place.name]
    assert_explained(result.answer)


def test_an_empty_text_is_refused_before_it_is_asked_for(place: Place) -> None:
    message = place.message(text=" \n ")
    (result,) = place.send(message)
    assert isinstance(result, Refused)
    assert_explained(result.answer)
    assert place.took(message) == 0


# -- asking ------------------------------------------------------------------------------------------


def test_what_became_of_messages_is_asked_for(place: Place) -> None:
    failures = {"twilio": "30003", "infobip": "27", "vonage": "1"}
    messages = [
        place.message(),
        place.message(f"fail:{failures[place.name]}"),
        place.message("reports:never"),
    ]
    results = place.send(*messages)
    asked = [sent(message, result) for message, result in zip(messages, results, strict=True)]
    reports = {report.provider_id: report for report in place.ask(*asked)}
    found = [reports[each.provider_id] for each in asked]
    assert found[0].status is ReportStatus.DELIVERED
    assert found[0].details["currency"] == "EUR"
    assert found[1].status is ReportStatus.FAILED
    assert_explained(found[1].answer)
    assert found[2].status in {ReportStatus.ACCEPTED, ReportStatus.UNDER_WAY}


def test_a_lost_answer_is_asked_for_and_not_sent_again(place: Place) -> None:
    taken, untaken = place.message("trouble:cut"), place.message("untaken:cut")
    asked = [sent(message, place.send(message)[0]) for message in (taken, untaken)]
    reports = {report.attempt_key: report for report in place.ask(*asked)}
    assert reports[taken.attempt_key].status is ReportStatus.DELIVERED
    assert reports[taken.attempt_key].provider_id
    silent = reports.get(untaken.attempt_key)
    if place.name == "infobip":  # the only one whose log is asked by an id of ours
        assert silent is not None
        assert silent.status is ReportStatus.NOT_FOUND
    else:
        assert silent is None, "that none is found proves nothing"
    assert place.took(taken) == 1


def test_nothing_is_said_of_a_message_nobody_can_remember(places: Mapping[str, Place]) -> None:
    place = places["infobip"]
    message = place.message()
    long_ago = datetime.now(UTC) - timedelta(days=3)
    unknown = replace(sent(message, Uncertain(attempt_id=1, answer=_NOBODY)), opened_at=long_ago)
    assert place.ask(unknown) == []


_NOBODY = Answer(system="dispatch", code="timeout")


def test_two_messages_that_could_be_the_lost_one_settle_nothing(
    places: Mapping[str, Place],
) -> None:
    place = places["twilio"]
    first = place.message("trouble:cut")
    second = make_message(first.address, text="Ein anderer Text.")
    lost = [sent(message, place.send(message)[0]) for message in (first, second)]
    assert place.ask(*lost) == []
    # Where the text is known, there is but one of each.
    known = [
        replace(each, text=message.content.text)
        for each, message in zip(lost, (first, second), strict=True)
    ]
    reports = place.ask(*known)
    assert {report.attempt_key for report in reports} == {first.attempt_key, second.attempt_key}
    assert len({report.provider_id for report in reports}) == 2


def test_a_list_that_lags_settles_the_attempt_later(places: Mapping[str, Place]) -> None:
    place = places["twilio"]
    message = place.message("trouble:cut")
    lost = sent(message, place.send(message)[0])
    held = next(each for each in place.simulator.gateway.held.values() if each.to == lost.address)
    held.listed_at += 3600
    assert place.ask(lost) == []
    held.listed_at -= 3600
    assert [report.attempt_key for report in place.ask(lost)] == [message.attempt_key]


@pytest.mark.parametrize("minutes", [-4, 4, -60, 60])
def test_a_clock_some_minutes_wrong_finds_a_lost_message_and_an_hour_wrong_settles_nothing(
    place: Place, minutes: int
) -> None:
    message = place.message("trouble:cut")
    (result,) = place.send(message)
    asked = sent(message, result)
    asked = replace(asked, opened_at=asked.opened_at + timedelta(minutes=minutes))
    reports = place.ask(asked)
    # Who takes our ids is asked by them, whatever the time.
    if abs(minutes) < 5 or asked.provider_id:
        assert [each.status for each in reports] == [ReportStatus.DELIVERED]
    else:
        assert reports == [], "found nowhere, and yet no proof that it was not taken"


def test_someone_elses_message_to_the_same_number_is_not_taken_for_ours(
    places: Mapping[str, Place],
) -> None:
    place = places["twilio"]
    lost_one = place.message("untaken:cut")
    lost = sent(lost_one, place.send(lost_one)[0])
    place.simulator.settings.plans.will(lost_one.address, "accept")
    before = make_message(lost_one.address)
    (result,) = place.send(before)
    assert [each.attempt_key for each in place.ask(lost, sent(before, result))] == [None]


def test_the_same_id_again_is_one_message(places: Mapping[str, Place]) -> None:
    place = places["infobip"]
    message = place.message("trouble:cut")
    assert isinstance(place.send(message)[0], Uncertain)
    place.simulator.settings.plans.will(message.address, "accept")
    (again,) = place.send(message)
    assert isinstance(again, Accepted)
    assert again.provider_id == message.attempt_key
    assert place.took(message) == 1


# -- money -------------------------------------------------------------------------------------------


def test_the_balance_is_told(place: Place) -> None:
    before = place.sender.balance()
    assert before == Money(amount=place.simulator.gateway.balance, currency="EUR")
    assert before is not None
    (result,) = place.send(place.message())
    assert place.sender.balance() == replace(before, amount=before.amount - Decimal("0.0750"))
    if place.name == "vonage":  # the others tell the price when the message has arrived
        assert isinstance(result, Accepted)
        assert result.price == Money(amount=Decimal("0.0750"), currency="EUR")


def test_the_price_is_told_beforehand_where_the_gateway_knows_it(place: Place) -> None:
    batch = [place.message(), place.message(text="Sehr geehrte Frau Müller, " + "ж" * 100)]
    price = place.sender.price(batch)
    if place.name == "infobip":
        assert price is None
    else:
        assert price == Money(amount=Decimal("0.0750") * 3, currency="EUR")


# -- requests ----------------------------------------------------------------------------------------


def test_lists_are_used_where_there_are_lists(place: Place) -> None:
    before = len(place.simulator.gateway.requests)
    place.send(*[place.message() for _ in range(6)])
    requests = len(place.simulator.gateway.requests) - before
    assert requests == (3 if place.name == "infobip" else 6)


def test_letters_beyond_the_small_alphabet_are_announced(places: Mapping[str, Place]) -> None:
    place = places["vonage"]
    small, large = place.message(text="Grüße {1}"), place.message(text="Здравствуйте! " * 8)
    results: Sequence[SendResult] = place.send(small, large)
    assert [each.parts for each in results if isinstance(each, Accepted)] == [1, 2]


def test_no_question_is_asked_with_an_account_that_must_not(places: Mapping[str, Place]) -> None:
    place = places["vonage"]
    account = account_at(place.simulator, "vonage", LOGIN, sender="Klinik", records="off")
    with SmsChannel([account]).open(account) as sender:
        (result,) = sender.send(ListBatch([message := place.message()]))
        assert list(sender.check([sent(message, result)])) == []


def test_a_question_that_fails_says_so(place: Place) -> None:
    place.simulator.switch(GatewayMode.BROKEN)
    message = place.message()
    with pytest.raises(ChannelError) as caught:
        place.ask(sent(message, Accepted(attempt_id=1, provider_id="x")))
    assert not isinstance(caught.value, AccountError)
