"""Calls through SMSC and Twilio: what is said, which key does what, and what a call's end means."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    Account,
    CallbackRefused,
    ConfigurationError,
    DeliveryReport,
    InvalidAddress,
    OutgoingMessage,
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
from clinic_dispatch_plugin.testing.judgement import explained
from clinic_dispatch_sms import clinic_dispatch_reference_packs as packs_of_sms
from clinic_dispatch_sms.twilio.reports import signature
from clinic_dispatch_voice import clinic_dispatch_channels, clinic_dispatch_reference_packs
from clinic_dispatch_voice.channel import VoiceChannel
from clinic_dispatch_voice.settings import URL, load_accounts
from clinic_dispatch_voice.twilio.script import LONGEST, script_of
from tests.simulators.bad_answers import a_bad_answer_leaves_a_true_state_with_a_note
from tests.simulators.listener import Heard, Listener

PACKS = [*clinic_dispatch_reference_packs(), *packs_of_sms()]
SMSC = "smsc://clinic:secret@smsc.kz/?sender=77001234567"
TWILIO = "twilio://ACclinic:secret@/?sender=%2B493012345678"
PUBLIC = "https://klinik.example/dispatch/callbacks/voice/default"


@dataclass
class Place:
    """One gateway, the channel's account there, and a sender that stays open."""

    simulator: HttpSimulator[Any]
    channel: VoiceChannel
    account: Account
    sender: Sender
    listener: Listener
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def message(
        self, words: str = "", *, text: str = "Morgen um neun.", locale: str = "de"
    ) -> OutgoingMessage:
        address = f"+491511{next(self.numbers):07}"
        self.simulator.settings.plans.will(address, words)
        return replace(make_message(address, text=text), locale=locale)

    def send(self, *messages: OutgoingMessage) -> list[SendResult]:
        by_id = {each.attempt_id: each for each in self.sender.send(ListBatch(messages))}
        return [by_id[message.attempt_id] for message in messages]

    def said(self, message: OutgoingMessage, *words: str) -> str:
        """What was spoken to a recipient, once these words were."""
        gateway = self.simulator.gateway
        (held,) = [each for each in gateway.held.values() if each.to == message.address]

        def spoken() -> str:
            return " ".join(gateway.calls.said.get(held.id, []))

        _until(lambda: all(each in spoken() for each in words))
        return spoken()

    def asked(self, message: OutgoingMessage) -> DeliveryReport:
        """What the gateway says of a call it made."""
        (result,) = self.send(message)
        assert isinstance(result, Accepted)
        return self.check(message, result.provider_id)

    def check(self, message: OutgoingMessage, provider_id: str | None) -> DeliveryReport:
        sent = SentMessage(
            attempt_id=message.attempt_id,
            attempt_key=message.attempt_key,
            provider_id=provider_id,
            address=message.address,
            opened_at=datetime.now(UTC),
            text=message.content.text,
        )
        (report,) = self.sender.check([sent])
        return report

    def pressed(self, message: OutgoingMessage) -> Heard:
        """The call to our address that tells of the message's key."""
        self.send(message)
        found: list[Heard] = []

        def is_told() -> bool:
            found[:] = [
                call
                for call in self.listener.calls
                if message.attempt_key in call.path
                and ("key=" in call.path or b"Digits" in call.body)
            ]
            return bool(found)

        _until(is_told)
        return found[0]

    def understood(self, call: Heard) -> list[DeliveryReport]:
        headers = {**call.headers, ":path": call.path}
        return list(self.channel.parse_callback(self.account, headers, call.body))


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, Place]]:
    with ExitStack() as stack:
        listener = stack.enter_context(Listener(reply=b"<Response/>"))
        urls = {"smsc": SMSC, "twilio": TWILIO}
        yield {name: _opened(name, url, stack, listener) for name, url in urls.items()}


def _opened(name: str, url: str, stack: ExitStack, listener: Listener, options: str = "") -> Place:
    user = "ACclinic" if name == "twilio" else "clinic"
    simulator = stack.enter_context(HttpSimulator(KINDS[name], GatewaySettings(user=user)))
    url += f"&timeout=1&base_url={quote(simulator.base_url, safe='')}{options}"
    url += f"&callback_url={quote(listener.url, safe='')}%2Fvoice"
    (account,) = load_accounts({URL: url})
    channel = VoiceChannel([account])
    sender = stack.enter_context(channel.open(account))
    return Place(simulator, channel, account, sender, listener)


@pytest.fixture(params=["smsc", "twilio"])
def place(request: pytest.FixtureRequest, places: dict[str, Place]) -> Place:
    return places[request.param]


# -- what is said ------------------------------------------------------------------------------------


def test_a_call_says_the_text_and_which_keys_there_are(place: Place) -> None:
    message = place.message("call:human", text="Ihr Termin:\nmorgen um neun & <pünktlich>.")
    place.send(message)
    place.said(message, "Ihr Termin: morgen um neun & <pünktlich>.", "drücken Sie die 1")
    assert place.simulator.gateway.ledger.taken[-1].kind == "call"


def test_the_keys_are_explained_in_the_recipients_language(place: Place) -> None:
    messages = [
        place.message("call:human", text="-", locale=locale) for locale in ("ru", "en", "kk")
    ]
    place.send(*messages)
    for message, words in zip(messages, ("нажмите 1", "press 1", "press 1"), strict=True):
        place.said(message, words)


def test_key_1_says_it_again(place: Place) -> None:
    message = place.message("call:key_1", text="Morgen um neun.")
    place.send(message)
    _until(lambda: place.said(message).count("Morgen um neun.") == 2)
    assert not [each for each in place.listener.calls if b"Digits=1" in each.body]


def test_key_2_is_told_as_a_confirmation(place: Place) -> None:
    message = place.message("call:key_2")
    (report,) = place.understood(place.pressed(message))
    assert (report.status, report.attempt_key) == (ReportStatus.DELIVERED, message.attempt_key)
    assert report.details == {"state": "confirmed", "key": "2"}


def test_whoever_confirms_is_thanked_in_their_language(places: dict[str, Place]) -> None:
    place = places["twilio"]
    call = place.pressed(place.message("call:key_2", locale="ru"))
    headers = {**call.headers, ":path": call.path}
    reply = place.channel.callback_reply(place.account, headers, call.body)
    assert reply is not None
    assert reply.media_type == "text/xml"
    assert "Спасибо" in "".join(ET.fromstring(reply.body).itertext())
    state = urlencode({"CallSid": "CA1", "CallStatus": "completed"}).encode()
    assert place.channel.callback_reply(place.account, headers, state) is None


def test_no_text_stands_in_an_address_that_is_called(places: dict[str, Place]) -> None:
    place = places["twilio"]
    message = place.message("call:key_2", text="Befund liegt vor")
    place.pressed(message)
    assert not [each for each in place.listener.calls if "Befund" in each.path]


@pytest.mark.parametrize("path", ["/voice?attempt=a&key=2&secret=x", "/voice?attempt=a&key=2"])
def test_a_key_nobody_can_have_pressed_is_refused(places: dict[str, Place], path: str) -> None:
    place = places["smsc"]
    with pytest.raises(CallbackRefused):
        place.channel.parse_callback(place.account, {":path": path}, b"")


def test_a_forged_state_is_refused(places: dict[str, Place]) -> None:
    place = places["twilio"]
    with pytest.raises(CallbackRefused):
        place.channel.parse_callback(place.account, {"X-Twilio-Signature": "x"}, b"Digits=2")


def test_a_script_is_said_less_often_before_it_is_too_long() -> None:
    short = script_of("kurz", locale="de", action=PUBLIC, repeat=3)
    assert short.count("kurz") == 3
    assert [each.get("finishOnKey") for each in ET.fromstring(short).iter("Gather")] == [
        "1",
        "1",
        "#",
    ]
    text = "ж" * 1300
    script = script_of(text, locale="de", action=PUBLIC, repeat=3)
    assert script.count(text) == 2
    assert len(script) <= LONGEST
    assert ET.fromstring(script) is not None


def test_a_text_too_long_for_a_script_is_refused_before_it_goes(place: Place) -> None:
    (result,) = place.send(place.message(text="ж" * 4000))
    assert isinstance(result, Refused)
    assert explained(result.answer, PACKS).described


def test_a_text_too_long_for_a_menu_goes_without_one(places: dict[str, Place]) -> None:
    place = places["smsc"]
    message = place.message("call:human", text="ж" * 900)
    (result,) = place.send(message)
    assert isinstance(result, Accepted)
    assert place.said(message) == "ж" * 900


def test_a_text_is_no_command() -> None:
    script = script_of("</Say><Dial>1</Dial>\x00{menu: x}", locale="en")
    assert {each.tag for each in ET.fromstring(script).iter()} == {"Response", "Say", "Pause"}


def test_languages_do_not_share_a_voice(places: dict[str, Place]) -> None:
    place = places["smsc"]
    german, russian = place.message(), place.message(locale="ru")
    place.send(german, russian)
    held = {each.to: each.more for each in place.simulator.gateway.held.values()}
    assert held[german.address]["voice"] == "w,de"
    assert held[russian.address]["voice"] == "w"
    assert held[german.address]["param"] == "30,20,1"


# -- what an end means -------------------------------------------------------------------------------


def test_a_person_who_answers_was_reached(place: Place) -> None:
    report = place.asked(place.message("call:human"))
    assert report.status is ReportStatus.DELIVERED
    assert report.details["seconds"] == "12"
    assert "parts" not in report.details


@pytest.mark.parametrize(
    ("end", "cause"),
    [("busy", "busy"), ("no-answer", "no_answer"), ("machine", "no_answer")],
)
def test_whoever_did_not_answer_is_called_again_by_the_reference(
    place: Place, end: str, cause: str
) -> None:
    report = place.asked(place.message(f"call:{end}"))
    assert report.status is ReportStatus.FAILED
    assert report.answer is not None
    found = explained(report.answer, PACKS)
    assert found.described
    assert found.entry is not None
    assert found.entry.content["category"] == cause
    policy = policy_of(found.entry.content)
    assert policy.action is PolicyAction.RETRY
    assert policy.tries == 3


def test_a_bad_answer_leaves_a_true_state_with_a_note(place: Place) -> None:
    a_bad_answer_leaves_a_true_state_with_a_note(place, PACKS)


def test_a_machine_may_be_enough(places: dict[str, Place]) -> None:
    with ExitStack() as stack:
        options = "&machine=enough"
        place = _opened("twilio", TWILIO, stack, places["twilio"].listener, options)
        report = place.asked(place.message("call:machine"))
        assert report.status is ReportStatus.DELIVERED
        assert report.details["answered_by"] == "machine_end_beep"


def test_a_signed_state_names_the_attempt(places: dict[str, Place]) -> None:
    (account,) = load_accounts({URL: f"{TWILIO}&callback_url={quote(PUBLIC, safe='')}"})
    fields = {"CallSid": "CA1", "CallStatus": "busy", "SipResponseCode": "486"}
    path = "/dispatch/callbacks/voice/default?attempt=abc"
    signed = signature(f"https://klinik.example{path}", fields, "secret")
    headers = {"X-Twilio-Signature": signed, ":path": path}
    (report,) = VoiceChannel([account]).parse_callback(account, headers, urlencode(fields).encode())
    assert (report.status, report.attempt_key) == (ReportStatus.FAILED, "abc")
    assert report.answer is not None
    assert (report.answer.system, report.answer.code) == ("twilio_call", "busy")
    assert report.answer.text == "SIP 486"


def test_a_lost_call_is_found_by_its_number(places: dict[str, Place]) -> None:
    place = places["twilio"]
    message = place.message("trouble:cut")
    place.send(message)
    report = place.check(message, None)
    assert (report.status, report.attempt_key) == (ReportStatus.DELIVERED, message.attempt_key)


# -- numbers and the variable ------------------------------------------------------------------------


def test_landlines_can_be_called_and_extensions_cannot(places: dict[str, Place]) -> None:
    channel = places["twilio"].channel
    assert channel.normalise_address("030 12345678", region="DE") == "+493012345678"
    assert channel.normalise_address("0151 12345678", region="DE") == "+4915112345678"
    for raw, code in (("030 12345678 Durchwahl 12", "malformed_address"), ("112", "short_number")):
        with pytest.raises(InvalidAddress) as caught:
            channel.normalise_address(raw, region="DE")
        assert caught.value.answer.code == code


def test_without_an_account_the_channel_waits_for_one_of_the_settings_page() -> None:
    for config, number in (({}, 0), ({URL: SMSC}, 1)):
        (channel,) = clinic_dispatch_channels(config)
        assert (channel.key, len(channel.accounts())) == ("voice", number)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("infobip://key@h/?sender=Clinic", "begin with one of smsc://, twilio://"),
        (f"{SMSC}&ring=5", "ring is '5'"),
        (f"{SMSC}&voice=x", "voice is 'x'"),
        (f"{SMSC}&translit=1", "'translit' is no option"),
        ("smsc://a:canary@smsc.kz/?sender=Clinic", "sender has at most 15 digits"),
        ("twilio://AC1:canary@/?sender=Clinic", "sender is a number of yours"),
        (f"{TWILIO}&machine=maybe", "machine is 'maybe'"),
        (f"{TWILIO}&repeat=9", "repeat is '9'"),
    ],
)
def test_a_mistake_is_named_and_no_secret_shown(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_accounts({URL: url})
    assert "canary" not in str(caught.value)


def _until(what: Any, *, patience: float = 20.0) -> None:
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)
