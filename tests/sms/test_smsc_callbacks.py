"""What SMSC calls back: genuine calls are understood in any order and as often as they come, forged ones are not."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import urlencode

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    CallbackRefused,
    DeliveryReport,
    ReportStatus,
)
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.smsc import SmscGateway
from clinic_dispatch_plugin.testing.batches import ListBatch
from clinic_dispatch_sms.smsc.ids import message_id
from clinic_dispatch_sms.smsc.reports import MOST_BYTES, called_back
from tests.simulators.listener import Listener
from tests.sms.conftest import SECRET, a_message, channel_at

NUMBER, KEY = "77011234567", "k" * 26


def understood(body: bytes, *options: str) -> list[DeliveryReport]:
    channel = channel_at("http://127.0.0.1:9", *options)
    return list(channel.parse_callback(channel.accounts()[0], {}, body))


def call(*, secret: str = SECRET, method: str = "md5", **changed: str) -> dict[str, str]:
    fields = {"id": KEY, "phone": NUMBER, "status": "1", "ts": "1700000000", "err": "0", **changed}
    text = f"{fields['id']}:{fields['phone']}:{fields['status']}:{secret}".encode()
    return {**fields, method: hashlib.new(method, text).hexdigest()}


@pytest.mark.parametrize("words", ["accept", "fail:6", "reports:twice", "reports:reversed"])
def test_calls_of_the_simulator_name_the_message(words: str) -> None:
    with Listener() as clinic:
        settings = GatewaySettings(
            signature_secret=SECRET,
            callback_url=f"{clinic.url}/dispatch/callbacks/sms/default?md5=1",
        )
        with HttpSimulator(SmscGateway, settings) as smsc:
            message = a_message(words, at=smsc)
            channel = channel_at(smsc.base_url)
            with channel.open(channel.accounts()[0]) as sender:
                [result] = sender.send(ListBatch([message]))
            calls = clinic.wait(4 if words == "reports:twice" else 2)
    assert isinstance(result, Accepted)
    reports = [report for each in calls for report in understood(each.body)]
    assert {each.provider_id for each in reports} == {result.provider_id}
    end = ReportStatus.FAILED if words.startswith("fail") else ReportStatus.DELIVERED
    assert {each.status for each in reports} == {ReportStatus.UNDER_WAY, end}


@pytest.mark.parametrize("method", ["md5", "sha1"])
def test_a_form_and_json_are_understood_alike(method: str) -> None:
    fields = call(method=method, status="20", err="253", cnt="2", cost="3.10")
    for body in (urlencode(fields).encode(), json.dumps(fields).encode()):
        [report] = understood(body)
        assert report.provider_id == message_id(KEY, f"+{NUMBER}")
        assert report.status is ReportStatus.FAILED
        assert report.answer is not None
        assert (report.answer.system, report.answer.code) == ("smsc_delivery", "253")
        assert report.details == {"parts": "2", "price": "3.10", "currency": "KZT"}
        assert report.at is not None
        assert report.at.year == 2023


def test_calls_that_tell_no_state_are_taken_and_say_nothing() -> None:
    text = f"{NUMBER}:Ja:Clinic:{SECRET}".encode()
    incoming = {
        "phone": NUMBER,
        "mes": "Ja",
        "to": "Clinic",
        "sha1": hashlib.sha1(text).hexdigest(),
    }
    assert understood(urlencode(incoming).encode()) == []


FORGED = [
    {**call(), "status": "20"},
    {**call(), "phone": "77010000000"},
    {**call(), "id": "other"},
    call(secret="guessed"),
    {key: value for key, value in call().items() if key != "md5"},
    {**call(), "md5": ""},
    {**call(), "md5": "é"},
    {"crc32": "12345678", "id": KEY, "phone": NUMBER, "status": "1"},
    {},
]


@pytest.mark.parametrize("fields", FORGED)
def test_what_is_forged_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(CallbackRefused) as caught:
        understood(urlencode(fields).encode())
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 403),
        (b"[" * 50_000, 403),
        (b'{"id":' * 10_000, 403),
        (b"\xff\xfe\x00", 403),
        (b"a=1&" * 1_000, 413),
        (b"a" * (MOST_BYTES + 1), 413),
        (urlencode(call(status="much")).encode(), 403),
    ],
)
def test_rubbish_is_refused(body: bytes, status: int) -> None:
    with pytest.raises(CallbackRefused) as caught:
        understood(body)
    assert caught.value.status == status


def test_without_a_secret_nothing_is_believed() -> None:
    body = urlencode(call(secret="")).encode()
    with pytest.raises(CallbackRefused):
        called_back(body, "")
