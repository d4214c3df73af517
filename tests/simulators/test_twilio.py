"""The Twilio simulator, asked by the provider's own client."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.twilio import TwilioGateway
from tests.simulators.listener import Listener

ACCOUNT, TOKEN = "AC" + "0" * 32, "12345"
SCRIPT = (
    '<Response><Gather numDigits="1" action="{}"><Say>Morgen um neun.</Say></Gather></Response>'
)

Simulator = HttpSimulator[TwilioGateway]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    settings = GatewaySettings(user=ACCOUNT, password=TOKEN, retry_after=3, ledger_fsync=False)
    with HttpSimulator(TwilioGateway, settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(simulator: Simulator) -> Client:
    return client_of(simulator)


def client_of(simulator: Simulator, *, token: str = TOKEN) -> Client:
    made = Client(ACCOUNT, token, http_client=TwilioHttpClient(timeout=10))
    made.api.base_url = simulator.base_url
    made.pricing.base_url = simulator.base_url
    return made


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listening:
        yield listening


def test_a_message_is_taken_and_found_again(simulator: Simulator, client: Client) -> None:
    sent = client.messages.create(to="+4915123450001", from_="Klinik", body="Morgen um neun.")
    assert (sent.status, sent.num_segments, sent.price) == ("queued", "1", None)
    assert simulator.gateway.ledger.taken[-1].recipient == "4915123450001"
    found = client.messages(sent.sid or "").fetch()
    assert (found.status, found.price, found.error_code) == ("delivered", "-0.0750", None)
    listed = client.messages.list(to="+4915123450001", date_sent=sent.date_created)
    assert [each.sid for each in listed] == [sent.sid]


def test_long_lists_come_in_pages(client: Client) -> None:
    for number in range(5):
        client.messages.create(to="+4915123450002", from_="Klinik", body=f"Nummer {number}")
    listed = client.messages.list(to="+4915123450002", page_size=2)
    assert [each.body for each in listed] == [f"Nummer {number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("to", "body", "code"),
    [
        ("+4915100121610", "Morgen", 21610),
        ("0151", "Morgen", 21211),
        ("+4915123450003", "x" * 1601, 21617),
        ("+4915123450003", "", 21602),
    ],
)
def test_a_refusal_has_its_code(client: Client, to: str, body: str, code: int) -> None:
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=to, from_="Klinik", body=body)
    assert (caught.value.status, caught.value.code) == (400, code)


def test_a_failure_shows_later(client: Client) -> None:
    sent = client.messages.create(to="+4915100230003", from_="Klinik", body="Morgen")
    found = client.messages(sent.sid or "").fetch()
    assert (found.status, found.error_code) == ("undelivered", 30003)


def test_a_throttled_number_is_taken_the_next_time(client: Client) -> None:
    for attempt in range(2):
        with pytest.raises(TwilioRestException) as caught:
            client.messages.create(to="+4915100400002", from_="Klinik", body="Morgen")
        assert (caught.value.status, caught.value.code, attempt < 2) == (429, 20429, True)
    assert client.messages.create(to="+4915100400002", from_="Klinik", body="Morgen").sid


def test_the_wrong_token_is_refused(simulator: Simulator) -> None:
    with pytest.raises(TwilioRestException) as caught:
        client_of(simulator, token="wrong").messages("SM" + "0" * 32).fetch()
    assert (caught.value.status, caught.value.code) == (401, 20003)


def test_balance_and_price_are_told(simulator: Simulator, client: Client) -> None:
    balance = client.api.account.balance.fetch()
    assert (balance.balance, balance.currency) == (str(simulator.gateway.balance), "EUR")
    country = client.pricing.v1.messaging.countries("DE").fetch()
    assert country.price_unit == "EUR"


def test_without_money_nothing_is_sent(simulator: Simulator, client: Client) -> None:
    simulator.switch(GatewayMode.NO_BALANCE)
    try:
        with pytest.raises(TwilioRestException) as caught:
            client.messages.create(to="+4915123450004", from_="Klinik", body="Morgen")
        assert caught.value.code == 20005
    finally:
        simulator.switch(GatewayMode.NORMAL)


def test_a_report_carries_a_signature_the_providers_own_code_accepts(
    client: Client, listener: Listener
) -> None:
    url = f"{listener.url}/dispatch/callbacks/sms/main?k=abc"
    client.messages.create(
        to="+4915100230006", from_="Klinik", body="Äpfel & Birnen", status_callback=url
    )
    validator = RequestValidator(TOKEN)
    steps = []
    for call in listener.wait(2):
        fields = dict(parse_qsl(call.body.decode()))
        assert call.path.endswith("?k=abc")
        assert validator.validate(url, fields, call.headers["X-Twilio-Signature"])
        steps.append((fields["MessageStatus"], fields.get("ErrorCode")))
    assert steps == [("sent", None), ("undelivered", "30006")]


@pytest.mark.parametrize(
    ("to", "steps"),
    [
        ("+4915100300003", ["sent", "sent", "delivered", "delivered"]),
        ("+4915100300004", ["delivered", "sent"]),
        ("+4915100300005", ["sent", "delivered"]),
        ("+4915100300006", ["sent", "delivered", "undelivered"]),
    ],
)
def test_reports_come_as_the_number_asks(
    client: Client, listener: Listener, to: str, steps: list[str]
) -> None:
    client.messages.create(to=to, from_="Klinik", body="Morgen", status_callback=listener.url)
    heard = [dict(parse_qsl(call.body.decode())) for call in listener.wait(len(steps))]
    assert [fields["MessageStatus"] for fields in heard] == steps


@pytest.mark.parametrize(
    ("to", "status", "by"),
    [
        ("+4915123450005", "completed", "human"),
        ("+4915100800002", "completed", "machine_start"),
        ("+4915100800003", "busy", None),
        ("+4915100800004", "no-answer", None),
        ("+4915100800005", "failed", None),
    ],
)
def test_a_call_ends_as_the_number_asks(
    client: Client, to: str, status: str, by: str | None
) -> None:
    begun = client.calls.create(
        to=to,
        from_="+4930123456",
        twiml="<Response><Say>Morgen</Say></Response>",
        machine_detection="Enable",
    )
    assert begun.status == "queued"
    ended = client.calls(begun.sid or "").fetch()
    assert (ended.status, ended.answered_by) == (status, by)


def test_a_key_reaches_whoever_asked_for_it(
    simulator: Simulator, client: Client, listener: Listener
) -> None:
    listener.reply = b"<Response><Say>Danke.</Say></Response>"
    begun = client.calls.create(
        to="+4915100800007",
        from_="+4930123456",
        twiml=SCRIPT.format(f"{listener.url}/key"),
        status_callback=f"{listener.url}/status",
        status_callback_event=["initiated", "ringing", "answered", "completed"],
    )
    heard = listener.wait(5)
    keys = [dict(parse_qsl(call.body.decode())) for call in heard if call.path == "/key"]
    steps = [dict(parse_qsl(call.body.decode())) for call in heard if call.path == "/status"]
    assert [fields["Digits"] for fields in keys] == ["2"]
    assert [fields["CallStatus"] for fields in steps] == [
        "initiated",
        "ringing",
        "in-progress",
        "completed",
    ]
    assert simulator.gateway.calls.said[begun.sid or ""] == ["Morgen um neun.", "Danke."]
