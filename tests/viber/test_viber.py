"""Viber through SMSC and Infobip: what is asked of the gateway, what comes back, and when an SMS follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    Account,
    CallbackRefused,
    ConfigurationError,
    DeliveryReport,
    OutgoingMessage,
    Purpose,
    Refused,
    ReportStatus,
    Sender,
    SendResult,
    SentMessage,
)
from clinic_dispatch_plugin.error_reference.policy import PolicyAction, policy_of
from clinic_dispatch_plugin.simulators.gateways.kinds import KINDS
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings
from clinic_dispatch_plugin.testing import ListBatch, make_message
from clinic_dispatch_plugin.testing.judgement import explained, judged
from clinic_dispatch_sms import clinic_dispatch_reference_packs as packs_of_sms
from clinic_dispatch_viber import clinic_dispatch_channels, clinic_dispatch_reference_packs
from clinic_dispatch_viber.channel import ViberChannel
from clinic_dispatch_viber.infobip import ViberInfobipSettings, ViberProtocol
from clinic_dispatch_viber.retelling import _OWN
from clinic_dispatch_viber.settings import URL, load_accounts
from tests.simulators.bad_answers import a_bad_answer_leaves_a_true_state_with_a_note
from tests.simulators.listener import Listener

PACKS = [*clinic_dispatch_reference_packs(), *packs_of_sms()]
PLAIN = "smsc://clinic:secret@smsc.kz/?sender=Clinic"


@dataclass
class Place:
    """One gateway, the channel's account there, and a sender that stays open."""

    simulator: HttpSimulator[Any]
    channel: ViberChannel
    account: Account
    sender: Sender
    listener: Listener
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def message(self, words: str = "", *, text: str = "Morgen um neun.") -> OutgoingMessage:
        address = f"+491511{next(self.numbers):07}"
        self.simulator.settings.plans.will(address, words)
        return make_message(address, text=text)

    def send(self, *messages: OutgoingMessage) -> list[SendResult]:
        by_id = {each.attempt_id: each for each in self.sender.send(ListBatch(messages))}
        return [by_id[message.attempt_id] for message in messages]

    def asked(self, message: OutgoingMessage) -> DeliveryReport:
        """What the gateway says of a message it took."""
        (result,) = self.send(message)
        assert isinstance(result, Accepted)
        sent = SentMessage(
            attempt_id=message.attempt_id,
            attempt_key=message.attempt_key,
            provider_id=result.provider_id,
            address=message.address,
            opened_at=datetime.now(UTC),
        )
        (report,) = self.sender.check([sent])
        return report


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, Place]]:
    with ExitStack() as stack:
        listener = stack.enter_context(Listener())
        yield {name: _opened(name, stack, listener) for name in ("smsc", "infobip")}


def _opened(name: str, stack: ExitStack, listener: Listener) -> Place:
    simulator = stack.enter_context(HttpSimulator(KINDS[name], GatewaySettings()))
    options = f"sender=Klinik&timeout=1&ttl=90&base_url={quote(simulator.base_url, safe='')}"
    if name == "infobip":
        options += f"&callback_url={quote(listener.url, safe='')}%2Fviber"
    (account,) = load_accounts({URL: f"{name}://clinic:secret@gateway.example/?{options}"})
    channel = ViberChannel([account])
    sender = stack.enter_context(channel.open(account))
    return Place(simulator, channel, account, sender, listener)


@pytest.fixture(params=["smsc", "infobip"])
def place(request: pytest.FixtureRequest, places: dict[str, Place]) -> Place:
    return places[request.param]


# -- what is asked -----------------------------------------------------------------------------------


def test_it_goes_by_viber_and_not_as_a_text(place: Place) -> None:
    messages = [place.message(text=f"Raum {number}") for number in range(3)]
    before = len(place.simulator.gateway.requests)
    assert all(isinstance(each, Accepted) and each.parts == 1 for each in place.send(*messages))
    assert len(place.simulator.gateway.requests) == before + 1
    taken = place.simulator.gateway.ledger.taken[-3:]
    assert {each.kind for each in taken} == {"viber"}


def test_a_bad_answer_leaves_a_true_state_with_a_note(place: Place) -> None:
    a_bad_answer_leaves_a_true_state_with_a_note(place, PACKS)


def test_a_lifetime_is_told_in_hours_and_minutes(places: dict[str, Place]) -> None:
    message = places["smsc"].message()
    places["smsc"].send(message)
    held = list(places["smsc"].simulator.gateway.held.values())[-1]
    assert held.more["valid"] == "01:30"


@pytest.mark.parametrize(
    ("purpose", "label"),
    [
        (Purpose.SERVICE, "TRANSACTIONAL"),
        (Purpose.REMINDER, "TRANSACTIONAL"),
        (Purpose.RESULTS, "TRANSACTIONAL"),
        (Purpose.PROMOTION, "PROMOTIONAL"),
        (Purpose.GREETING, "PROMOTIONAL"),
    ],
)
def test_the_label_follows_from_the_purpose(
    places: dict[str, Place], purpose: Purpose, label: str
) -> None:
    settings = places["infobip"].account.settings.of_gateway
    assert isinstance(settings, ViberInfobipSettings)
    message = replace(make_message("+4915111111111"), purpose=purpose)
    asked = json.loads(ViberProtocol(settings).compose([message]).body)["messages"][0]
    assert asked["options"]["label"] == label
    assert asked["options"]["validityPeriod"] == {"amount": 90, "timeUnit": "MINUTES"}
    assert set(asked["webhooks"]) == {"delivery", "seen"}
    assert asked["destinations"] == [{"to": "4915111111111", "messageId": message.attempt_key}]


def test_a_text_that_is_too_long_is_refused_before_it_goes(place: Place) -> None:
    (result,) = place.send(place.message(text="ж" * 1001))
    assert isinstance(result, Refused)
    assert (result.answer.system, result.answer.code) == ("dispatch", "text_too_long")


# -- what comes back ---------------------------------------------------------------------------------


def test_seen_is_told_in_the_details(places: dict[str, Place]) -> None:
    report = places["smsc"].asked(places["smsc"].message("seen"))
    assert (report.status, report.details["state"]) == (ReportStatus.DELIVERED, "read")
    place = places["infobip"]
    message = place.message("seen")
    before = len(place.listener.calls)
    place.send(message)
    told = [
        report
        for call in place.listener.wait(before + 2)[before:]
        for report in place.channel.parse_callback(
            place.account, {**call.headers, ":path": call.path}, call.body
        )
    ]
    assert {each.attempt_key for each in told} == {message.attempt_key}
    assert {each.status for each in told} == {ReportStatus.DELIVERED}
    assert "read" in [each.details.get("state") for each in told]


def test_a_call_that_does_not_know_the_secret_is_refused(places: dict[str, Place]) -> None:
    place = places["infobip"]
    with pytest.raises(CallbackRefused):
        place.channel.parse_callback(place.account, {":path": "/viber?secret=x"}, b"{}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("smsc", "fail:1020"),
        ("smsc", "fail:1003"),
        ("smsc", "fail:11"),
        ("infobip", "fail:7002"),
        ("infobip", "fail:4098"),
        ("infobip", "fail:50009"),
        ("infobip", "fail:50015"),
    ],
)
def test_who_is_not_reached_by_viber_gets_the_next_channel(
    places: dict[str, Place], name: str, words: str
) -> None:
    report = places[name].asked(places[name].message(words))
    assert report.status is ReportStatus.FAILED
    assert report.answer is not None
    found = explained(report.answer, PACKS)
    assert found.described, report.answer
    assert found.entry is not None
    policy = policy_of(found.entry.content)
    assert policy.next_channel
    assert not policy.block
    assert policy.action is PolicyAction.FAIL


def test_whoever_blocked_the_sender_is_not_written_to_another_way(
    places: dict[str, Place],
) -> None:
    report = places["infobip"].asked(places["infobip"].message("fail:7003"))
    assert report.answer is not None
    found = explained(report.answer, PACKS)
    assert found.entry is not None
    assert not policy_of(found.entry.content).next_channel


def test_a_refusal_at_once_goes_on_at_once(places: dict[str, Place]) -> None:
    (result,) = places["smsc"].send(places["smsc"].message("refuse:1011"))
    assert isinstance(result, Refused)
    assert result.answer.system == "viber_smsc"
    assert judged(result, PACKS).falls


def test_every_code_that_is_retold_has_an_entry_of_its_own() -> None:
    known = {(pack.system, entry.code) for pack in PACKS for entry in pack.entries}
    for system, codes in _OWN.values():
        assert {(system, code) for code in codes} <= known


# -- the variable ------------------------------------------------------------------------------------


def test_without_an_account_the_channel_waits_for_one_of_the_settings_page() -> None:
    for config, number in (({}, 0), ({URL: PLAIN}, 1)):
        (channel,) = clinic_dispatch_channels(config)
        assert (channel.key, len(channel.accounts())) == ("viber", number)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("twilio://a:b@/?sender=Clinic", "begin with one of smsc://, infobip://"),
        ("smsc://a:b@smsc.kz/", "sender has the name registered at Viber"),
        (f"{PLAIN}&ttl=0", "ttl is '0'"),
        (f"{PLAIN}&valid=3", "'valid' is no option"),
        (f"infobip://canary@h/?sender={'x' * 29}", "sender has the name"),
    ],
)
def test_a_mistake_is_named_and_no_secret_shown(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_accounts({URL: url})
    assert "canary" not in str(caught.value)
