"""SMSC as a gateway: lists, doubt that can be asked away, states, money, and every sort of bad answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    AccountError,
    ChannelError,
    ConnectionFailed,
    DeliveryReport,
    Money,
    OutgoingMessage,
    Refused,
    ReportStatus,
    SendResult,
    SentMessage,
    Uncertain,
)
from clinic_dispatch_plugin.simulators.gateways.ledger import read_taken
from clinic_dispatch_plugin.simulators.gateways.plans import Trouble
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.smsc import SmscGateway
from clinic_dispatch_plugin.testing.batches import ListBatch
from tests.sms.conftest import Smsc, a_message, channel_at


def send(smsc: Smsc, messages: Sequence[OutgoingMessage], *options: str) -> dict[int, SendResult]:
    channel = channel_at(smsc.base_url, *options)
    with channel.open(channel.accounts()[0]) as sender:
        return {each.attempt_id: each for each in sender.send(ListBatch(messages))}


def ask(
    smsc: Smsc, messages: Sequence[OutgoingMessage], results: dict[int, SendResult]
) -> dict[int, DeliveryReport]:
    channel = channel_at(smsc.base_url)
    sent = {}
    for each in messages:
        result = results[each.attempt_id]
        assert isinstance(result, Accepted | Uncertain)
        sent[result.provider_id] = SentMessage(
            attempt_id=each.attempt_id,
            attempt_key=each.attempt_key,
            provider_id=result.provider_id,
            address=each.address,
            opened_at=datetime.now(UTC),
        )
    with channel.open(channel.accounts()[0]) as sender:
        return {
            sent[each.provider_id].attempt_id: each for each in sender.check(list(sent.values()))
        }


def taken(smsc: Smsc, message: OutgoingMessage) -> int:
    recipients = [each.recipient for each in smsc.gateway.ledger.taken]
    return recipients.count(message.address.removeprefix("+"))


# -- handing over ---------------------------------------------------------------------------------


def test_a_hundred_texts_go_in_one_request(smsc: Smsc) -> None:
    before = len(smsc.gateway.requests)
    messages = [a_message(text=f"Termin Nr. {number}\nRaum 1:2") for number in range(100)]
    results = send(smsc, messages)
    assert all(isinstance(each, Accepted) for each in results.values())
    assert smsc.gateway.requests[before:] == ["POST /sys/send.php"]
    held = {each.to: each.text for each in smsc.gateway.held.values()}
    assert all(held[each.address] == each.content.text for each in messages)
    assert len({each.provider_id for each in results.values() if isinstance(each, Accepted)}) == 100


def test_parts_and_price_are_what_the_gateway_says(smsc: Smsc) -> None:
    message = a_message(text="я" * 100)
    result = send(smsc, [message])[message.attempt_id]
    assert isinstance(result, Accepted)
    assert (result.parts, result.price) == (2, Money(amount=Decimal("0.15"), currency="KZT"))


def test_no_number_stands_in_an_id(smsc: Smsc) -> None:
    message = a_message()
    result = send(smsc, [message])[message.attempt_id]
    assert isinstance(result, Accepted)
    assert result.provider_id is not None
    assert result.provider_id.startswith(message.attempt_key)
    assert message.address[-6:] not in result.provider_id


def test_the_same_number_never_stands_twice_in_a_request(smsc: Smsc) -> None:
    first, second = a_message(text="eins"), a_message(text="zwei")
    again = OutgoingMessage(
        attempt_id=second.attempt_id,
        attempt_key=second.attempt_key,
        message_key=second.message_key,
        address=first.address,
        content=second.content,
    )
    results = send(smsc, [first, again])
    assert [type(each) for each in results.values()] == [Accepted, Accepted]
    assert taken(smsc, first) == 2
    ids = {each.provider_id for each in results.values() if isinstance(each, Accepted)}
    assert len(ids) == 2


def test_a_backslash_before_an_n_stays_one(smsc: Smsc) -> None:
    odd = a_message(text="Pfad C:\\neu")
    messages = [a_message(text="eins\nzwei"), odd, a_message(text="drei")]
    send(smsc, messages)
    held = {each.to: each.text for each in smsc.gateway.held.values()}
    assert [held[each.address] for each in messages] == [each.content.text for each in messages]


def test_a_number_that_is_not_taken_fails_alone(smsc: Smsc) -> None:
    messages = [a_message(text=str(number)) for number in range(5)]
    odd = a_message("refuse:1013", at=smsc, text="odd")
    results = send(smsc, [*messages, odd])
    refused = results[odd.attempt_id]
    assert isinstance(refused, Refused)
    assert (refused.answer.system, refused.answer.code) == ("smsc_delivery", "13")
    assert all(isinstance(results[each.attempt_id], Accepted) for each in messages)


@pytest.mark.parametrize("code", ["1", "6", "7", "8"])
def test_a_list_refused_for_one_of_them_is_sent_apart(smsc: Smsc, code: str) -> None:
    messages = [a_message(text=str(number)) for number in range(9)]
    odd = a_message(f"refuse:{code}", at=smsc, text="odd")
    results = send(smsc, [*messages[:4], odd, *messages[4:]])
    refused = results[odd.attempt_id]
    assert isinstance(refused, Refused)
    assert (refused.answer.system, refused.answer.code) == ("smsc_send", code)
    assert [taken(smsc, each) for each in messages] == [1] * 9
    assert taken(smsc, odd) == 0


def test_a_text_they_all_share_is_refused_for_all_at_once(smsc: Smsc) -> None:
    messages = [a_message("refuse:6", at=smsc) for _ in range(8)]
    before = len(smsc.gateway.requests)
    results = send(smsc, messages)
    assert all(isinstance(each, Refused) for each in results.values())
    assert len(smsc.gateway.requests) == before + 1


def test_a_text_the_gateway_would_cut_is_not_sent(smsc: Smsc) -> None:
    long, right = a_message(text="a" * 1001), a_message(text="a" * 1000)
    results = send(smsc, [long, right])
    refused = results[long.attempt_id]
    assert isinstance(refused, Refused)
    assert (refused.answer.system, refused.answer.code) == ("dispatch", "text_too_long")
    assert isinstance(results[right.attempt_id], Accepted)


@pytest.mark.parametrize(
    ("mode", "code"), [(GatewayMode.WRONG_PASSWORD, "2"), (GatewayMode.NO_BALANCE, "3")]
)
def test_an_account_at_fault_stops(smsc: Smsc, mode: GatewayMode, code: str) -> None:
    smsc.switch(mode)
    message = a_message()
    with pytest.raises(AccountError) as caught:
        send(smsc, [message])
    assert (caught.value.answer.system, caught.value.answer.code) == ("smsc_send", code)
    assert taken(smsc, message) == 0


@pytest.mark.parametrize(("words", "pause"), [("refuse:9", 60), ("refuse:4", 600)])
def test_too_many_requests_cost_no_message_a_try(smsc: Smsc, words: str, pause: int) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        send(smsc, [a_message(words, at=smsc)])
    assert caught.value.answer.system == "smsc_send"
    assert caught.value.retry_after == pause


# -- bad answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", list(Trouble))
def test_a_bad_answer_is_doubt_and_asking_ends_it(smsc: Smsc, trouble: Trouble) -> None:
    kept, lost = a_message(f"trouble:{trouble}", at=smsc), a_message(f"untaken:{trouble}", at=smsc)
    beside = a_message(text="in the same request")
    results = {**send(smsc, [kept, beside]), **send(smsc, [lost])}
    for message in (kept, lost, beside):
        result = results[message.attempt_id]
        assert isinstance(result, Uncertain)
        assert result.answer.system == "dispatch"
        assert "<" not in result.answer.text
    found = ask(smsc, [kept, lost, beside], results)
    assert found[kept.attempt_id].status is ReportStatus.DELIVERED
    assert found[beside.attempt_id].status is ReportStatus.DELIVERED
    assert found[lost.attempt_id].status is ReportStatus.NOT_FOUND
    assert (taken(smsc, kept), taken(smsc, lost), taken(smsc, beside)) == (1, 0, 1)


def test_a_broken_gateway_leaves_doubt(smsc: Smsc) -> None:
    smsc.switch(GatewayMode.BROKEN)
    message = a_message()
    assert isinstance(send(smsc, [message])[message.attempt_id], Uncertain)


def test_a_gateway_that_is_away_has_taken_nothing(smsc: Smsc) -> None:
    smsc.switch(GatewayMode.DOWN)
    with pytest.raises(ConnectionFailed) as caught:
        send(smsc, [a_message()])
    assert caught.value.answer.code == "connect_failed"


def test_what_the_ledger_holds_is_what_was_accepted(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with HttpSimulator(SmscGateway, GatewaySettings(ledger=ledger)) as smsc:
        messages = [a_message() for _ in range(3)]
        send(smsc, messages)
    assert [f"+{each.recipient}" for each in read_taken(ledger)] == [
        each.address for each in messages
    ]


# -- what became of it ----------------------------------------------------------------------------

STATES = [
    ("accept", ReportStatus.DELIVERED, None),
    ("seen", ReportStatus.DELIVERED, None),
    ("reports:never", ReportStatus.UNDER_WAY, None),
    ("fail:1", ReportStatus.FAILED, ("smsc_delivery", "1")),
    ("fail:253", ReportStatus.FAILED, ("smsc_delivery", "253")),
    ("fail:1003", ReportStatus.FAILED, ("smsc_status", "3")),
    ("fail:1022", ReportStatus.FAILED, ("smsc_status", "22")),
    ("fail:1025", ReportStatus.FAILED, ("smsc_status", "25")),
]


def test_states_of_many_are_asked_for_at_once(smsc: Smsc) -> None:
    messages = [a_message(words, at=smsc) for words, _, _ in STATES]
    results = send(smsc, messages)
    before = len(smsc.gateway.requests)
    found = ask(smsc, messages, results)
    assert smsc.gateway.requests[before:] == ["POST /sys/status.php"]
    for message, (_, status, code) in zip(messages, STATES, strict=True):
        report = found[message.attempt_id]
        assert report.status is status
        told = (report.answer.system, report.answer.code) if report.answer else None
        assert told == code
        assert report.details["parts"] == "1"
    assert found[messages[1].attempt_id].details["state"] == "read"


def test_one_question_about_one_message(smsc: Smsc) -> None:
    message = a_message("fail:6", at=smsc)
    found = ask(smsc, [message], send(smsc, [message]))
    assert found[message.attempt_id].answer is not None


def test_an_attempt_without_an_id_is_not_asked_for(smsc: Smsc) -> None:
    message = a_message()
    unknown = SentMessage(
        attempt_id=1,
        attempt_key=message.attempt_key,
        provider_id=None,
        address=message.address,
        opened_at=datetime.now(UTC),
    )
    channel = channel_at(smsc.base_url)
    with channel.open(channel.accounts()[0]) as sender:
        assert list(sender.check([unknown])) == []


def test_a_second_question_within_a_minute_waits() -> None:
    with HttpSimulator(SmscGateway, GatewaySettings(strict=True)) as smsc:
        message = a_message()
        results = send(smsc, [message])
        ask(smsc, [message], results)
        with pytest.raises(ConnectionFailed) as caught:
            ask(smsc, [message], results)
        assert caught.value.retry_after == 60


# -- money ----------------------------------------------------------------------------------------


def test_balance_and_price_are_decimal(smsc: Smsc) -> None:
    channel = channel_at(smsc.base_url)
    with channel.open(channel.accounts()[0]) as sender:
        balance = sender.balance()
        price = sender.price([a_message(text="я" * 71), a_message()])
    assert balance == Money(amount=smsc.gateway.balance, currency="KZT")
    assert price == Money(amount=Decimal("0.225"), currency="KZT")


def test_asking_for_a_price_sends_nothing(smsc: Smsc) -> None:
    message = a_message()
    channel = channel_at(smsc.base_url)
    with channel.open(channel.accounts()[0]) as sender:
        sender.price([message])
    assert taken(smsc, message) == 0


def test_the_log_in_is_tried_without_sending(smsc: Smsc) -> None:
    channel = channel_at(smsc.base_url)
    channel.connect(channel.accounts()[0])
    smsc.switch(GatewayMode.WRONG_PASSWORD)
    with pytest.raises(AccountError):
        channel.connect(channel.accounts()[0])
    smsc.switch(GatewayMode.BROKEN)
    with pytest.raises(ChannelError):
        channel.connect(channel.accounts()[0])
