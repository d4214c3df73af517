"""Calls through Asterisk's interface: the same people, and what Asterisk says of those who do not answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clinic_dispatch_plugin.api import (
    Accepted,
    AccountError,
    ConfigurationError,
    ConnectionFailed,
    DeliveryReport,
    HearsReports,
    Refused,
    SendResult,
    Uncertain,
)
from clinic_dispatch_plugin.simulators.ari import AriSimulator, AsteriskSettings
from clinic_dispatch_plugin.simulators.sip import Plan, Way, number_for
from clinic_dispatch_plugin.testing import ListBatch, make_message
from clinic_dispatch_plugin.testing.judgement import explained
from clinic_dispatch_sms import clinic_dispatch_reference_packs as packs_of_sms
from clinic_dispatch_voice import clinic_dispatch_reference_packs
from clinic_dispatch_voice.channel import VoiceChannel
from clinic_dispatch_voice.settings import URL, load_accounts
from tests.voice.exchange import account_at_asterisk, recording

PACKS = [*clinic_dispatch_reference_packs(), *packs_of_sms()]


class Place:
    """One Asterisk, and where recordings and notes go."""

    def __init__(self, asterisk: AriSimulator, folder: Path) -> None:
        self.asterisk = asterisk
        self.folder = folder
        self.sound = recording(folder, 0.3)
        self._prefixes = iter(range(100_000, 999_999))

    def call(self, *plans: Plan, **options: str) -> tuple[list[SendResult], list[DeliveryReport]]:
        numbers = [number_for(plan, prefix=f"+49{next(self._prefixes)}") for plan in plans]
        messages = [make_message(number) for number in numbers]
        options = {"folder": str(self.folder), "keys": "off", "calls": "12", **options}
        account = account_at_asterisk(self.asterisk, self.sound, **options)
        with VoiceChannel([account]).open(account) as sender:
            found = {each.attempt_id: each for each in sender.send(ListBatch(messages))}
            assert isinstance(sender, HearsReports)
            reports = list(sender.reports())
        return [found[message.attempt_id] for message in messages], reports


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    settings = AsteriskSettings(password="se/cret", ring_seconds=0.0, press_after=0.15)
    with AriSimulator(settings) as asterisk:
        yield Place(asterisk, tmp_path_factory.mktemp("asterisk"))


def test_who_listens_to_the_end_was_told_and_nothing_is_left_behind(place: Place) -> None:
    (result,), (report,) = place.call(Plan())
    assert isinstance(result, Accepted)
    assert report.details["heard"] == "whole"
    call = place.asterisk.calls[-1]
    assert (call.answered, call.ended_by, call.sender) == (True, "caller", "+493012345678")
    assert call.loud >= 0.2, "the recording came through as sound"
    assert place.asterisk.left_behind == []


def test_key_2_confirms(place: Place) -> None:
    _, (report,) = place.call(Plan(way=Way.KEY_2))
    assert report.details["state"] == "confirmed"


def test_who_hangs_up_at_once_was_not_told(place: Place) -> None:
    (result,), _ = place.call(Plan(way=Way.HANGS_UP))
    assert isinstance(result, Refused)
    assert (result.answer.system, result.answer.code) == ("call", "hung_up_early")
    assert place.asterisk.left_behind == []


def test_every_end_that_asterisk_tells_has_its_note(place: Place) -> None:
    expected = [
        (Plan(status=404), "q850", "1"),
        (Plan(status=486), "q850", "17"),
        (Plan(status=503), "q850", "34"),
        (Plan(status=603), "q850", "21"),
        (Plan(status=488), "asterisk", "DIALSTATUS:CHANUNAVAIL"),
        (Plan(status=503, cause=27), "q850", "27"),
        (Plan(way=Way.RINGS), "asterisk", "DIALSTATUS:NOANSWER"),
    ]
    results, _ = place.call(*(plan for plan, _, _ in expected), ring="1")
    for result, (_, system, code) in zip(results, expected, strict=True):
        assert isinstance(result, Refused), code
        assert (result.answer.system, result.answer.code) == (system, code)
        entry = explained(result.answer, PACKS).entry
        assert entry is not None and entry.text("short", "de"), code


def test_a_call_nothing_is_heard_of_is_uncertain(place: Place) -> None:
    (result,), _ = place.call(Plan(way=Way.SILENT), ring="0.2", timeout="0.3")
    assert isinstance(result, Uncertain)


#: What may stand in the place of a good answer.
ODD: dict[str, dict[str, Any]] = {
    "a page": {"text": "<html>It works!</html>", "content_type": "text/html"},
    "half": {"text": '{"id": "x', "content_type": "application/json"},
    "another encoding": {"body": '{"id": "Müller"}'.encode("latin-1")},
    "an error with a page": {"text": "<h1>Internal Server Error</h1>", "status": 500},
    "a gateway before it": {"text": "Bad Gateway", "status": 502},
    "another address": {"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}},
    "another address, the same method": {
        "status": 307,
        "headers": {"Location": "http://127.0.0.1:9/"},
    },
    "ten megabytes": {"body": b" " * 10_000_000},
    "nothing": {"body": b""},
    "something else": {"text": "[1, 2]", "content_type": "application/json"},
}


class OddAsterisk(AriSimulator):
    """Does what it is asked, or does not, and says something odd, each time the next thing."""

    does_it = True

    async def _originate(self, request: web.Request) -> web.Response:
        answer = list(ODD.values())[self.asked % len(ODD)]
        self.asked += 1
        if self.does_it:
            await super()._originate(request)
        return web.Response(**answer)

    asked = 0


def test_whatever_is_said_to_a_call_its_own_events_tell_the_truth(tmp_path: Path) -> None:
    settings = AsteriskSettings(password="se/cret", ring_seconds=0.0)
    with OddAsterisk(settings) as asterisk:
        place = Place(asterisk, tmp_path)
        results, reports = place.call(*[Plan()] * len(ODD), timeout="5")
        assert [type(each) for each in results] == [Accepted] * len(ODD)
        assert len(reports) == len(asterisk.ledger.taken) == len(ODD)
        assert asterisk.left_behind == []
        asterisk.does_it = False
        results, _ = place.call(*[Plan()] * len(ODD), ring="0.2", timeout="0.3")
        assert len(asterisk.ledger.taken) == len(ODD)
    for result in results:
        assert isinstance(result, Uncertain)
        assert explained(result.answer, PACKS).entry is not None


def test_an_endpoint_that_asterisk_does_not_take_has_its_note(place: Place) -> None:
    (result,), _ = place.call(Plan(), codec="ulaw")  # the simulated one knows A-law alone
    assert isinstance(result, Refused)
    assert result.answer.code == "ARI:400"
    assert explained(result.answer, PACKS).entry is not None


def test_the_doctor_signs_in_and_calls_nobody(place: Place) -> None:
    with AriSimulator() as asterisk:
        account = account_at_asterisk(asterisk, place.sound)
        VoiceChannel([account]).connect(account)
        assert asterisk.calls == []
        asterisk.is_closed = True
        with pytest.raises(AccountError):
            VoiceChannel([account]).connect(account)
    with pytest.raises(ConnectionFailed):
        VoiceChannel([account]).connect(account)


@pytest.mark.parametrize(
    "url",
    [
        "ari://u:p@127.0.0.1/?sender=123",
        "ari://u:p@127.0.0.1/?sender=123&endpoint=PJSIP/trunk",
        "ari://u:p@asterisk.example/?sender=123&endpoint=PJSIP/{number}@t&tls=off",
        "ari://127.0.0.1/?sender=123&endpoint=PJSIP/{number}@t",
        "ari://u:p@127.0.0.1/?sender=123&endpoint=PJSIP/{number}@t&app=a%20b",
    ],
)
def test_a_wrong_setting_is_named_before_anybody_is_called(url: str) -> None:
    with pytest.raises(ConfigurationError):
        load_accounts({URL: url})


def test_the_password_travels_with_tls_alone() -> None:
    url = "ari://u:p@asterisk.example/?sender=123&endpoint=PJSIP/{number}@t"
    (account,) = load_accounts({URL: url})
    assert account.settings.of_gateway.root == "https://asterisk.example:8089/ari"
