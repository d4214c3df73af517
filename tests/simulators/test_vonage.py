"""The Vonage simulator, asked by the provider's own client."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from urllib.request import urlopen

import pytest
from vonage import Auth, HttpClientOptions, Vonage
from vonage_account import GetCountryPricingRequest
from vonage_http_client.errors import HttpRequestError
from vonage_sms import SmsMessage
from vonage_sms.errors import SmsError

from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.vonage import VonageGateway
from tests.simulators.listener import Listener

KEY, SECRET, SIGNING = "abcd1234", "canary-secret", "canary-signing"

Simulator = HttpSimulator[VonageGateway]


@pytest.fixture(scope="module")
def simulator(certificate: Path) -> Iterator[Simulator]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    settings = GatewaySettings(
        user=KEY,
        password=SECRET,
        signature_secret=SIGNING,
        signature_method="sha256",
        tls=context,
        ledger_fsync=False,
    )
    with HttpSimulator(VonageGateway, settings) as running:
        yield running


@pytest.fixture
def client(simulator: Simulator, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Vonage:
    # The client knows HTTPS alone.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return client_of(simulator, Auth(api_key=KEY, api_secret=SECRET))


def client_of(simulator: Simulator, auth: Auth) -> Vonage:
    host = f"127.0.0.1:{simulator.port}"
    options = HttpClientOptions(api_host=host, rest_host=host, timeout=10, max_retries=0)
    return Vonage(auth, options)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listening:
        yield listening


def message(to: str, text: str = "Morgen um neun.", **more: str) -> SmsMessage:
    return SmsMessage(to=to, from_="Klinik", text=text, **more)


def test_a_message_is_taken(simulator: Simulator, client: Vonage) -> None:
    sent = client.sms.send(message("4915123450001", client_ref="mine"))
    (part,) = sent.messages
    assert (sent.message_count, part.status, part.client_ref) == ("1", "0", "mine")
    taken = simulator.gateway.ledger.taken[-1]
    assert (taken.recipient, taken.reference) == ("4915123450001", "mine")


def test_every_part_has_an_id_of_its_own(client: Vonage) -> None:
    sent = client.sms.send(message("4915123450002", "ö" * 100, type="unicode"))
    assert len({part.message_id for part in sent.messages}) == 2


@pytest.mark.parametrize(("to", "code"), [("4915100100015", "15"), ("0151x", "3")])
def test_a_refusal_has_its_code(client: Vonage, to: str, code: str) -> None:
    with pytest.raises(SmsError, match=f"error code {code}"):
        client.sms.send(message(to))


def test_a_signed_request_is_let_in_and_a_badly_signed_one_is_not(
    simulator: Simulator, client_tls: ssl.SSLContext
) -> None:
    # The client signs the fields it leaves out, too, so that its own signed messages are refused: sign by hand.
    for secret, status in ((SIGNING, "0"), ("wrong", "14")):
        fields: dict[str, Any] = {"api_key": KEY, "to": "4915123450003", "from": "A", "text": "a&b"}
        signing = Auth(api_key=KEY, signature_secret=secret, signature_method="sha256")
        fields["sig"] = signing.sign_params(fields)
        body = urlencode(fields).encode()
        with urlopen(f"{simulator.base_url}/sms/json", body, context=client_tls) as answer:
            assert json.load(answer)["messages"][0]["status"] == status


def test_the_wrong_secret_is_refused(simulator: Simulator, client: Vonage) -> None:
    stranger = client_of(simulator, Auth(api_key=KEY, api_secret="wrong"))
    with pytest.raises(SmsError, match="error code 4"):
        stranger.sms.send(message("4915123450004"))
    with pytest.raises(HttpRequestError):
        stranger.account.get_balance()


def test_balance_and_price_are_told(simulator: Simulator, client: Vonage) -> None:
    assert client.account.get_balance().value == pytest.approx(float(simulator.gateway.balance))
    price = client.account.get_country_pricing(GetCountryPricingRequest(country_code="DE"))
    assert price.currency == "EUR"


def test_a_receipt_carries_a_signature_the_providers_own_code_accepts(
    client: Vonage, listener: Listener
) -> None:
    client.sms.send(message("4915100200001", callback=f"{listener.url}/r", client_ref="a=b&c"))
    signing = Auth(api_key=KEY, signature_secret=SIGNING, signature_method="sha256")
    heard = [dict(parse_qsl(call.body.decode())) for call in listener.wait(2)]
    assert [(each["status"], each["err-code"]) for each in heard] == [
        ("accepted", "0"),
        ("failed", "1"),
    ]
    for fields in heard:
        assert signing.check_signature(dict(fields))
        assert not signing.check_signature({**fields, "status": "delivered", "x": "y"})
