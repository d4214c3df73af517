"""The Infobip simulator, asked by the provider's own client, which checks every field of every answer."""

from __future__ import annotations

import importlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clinic_dispatch_plugin.simulators.gateways.infobip import InfobipGateway
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings
from clinic_dispatch_plugin.testing import make_message
from clinic_dispatch_sms.infobip.protocol import InfobipProtocol
from clinic_dispatch_sms.settings import URL, load_accounts

Simulator = HttpSimulator[InfobipGateway]


@pytest.fixture(scope="module")
def theirs() -> Any:
    """The provider's package: imported late, for that takes seconds."""
    return importlib.import_module("infobip_api_client")


@pytest.fixture(scope="module")
def simulator(certificate: Path) -> Iterator[Simulator]:
    # The client knows HTTPS alone.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    settings = GatewaySettings(password="key", tls=context, ledger_fsync=False)
    with HttpSimulator(InfobipGateway, settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(simulator: Simulator, theirs: Any, certificate: Path) -> Any:
    return client_of(simulator, theirs, certificate)


def client_of(simulator: Simulator, theirs: Any, certificate: Path, *, key: str = "key") -> Any:
    configuration = theirs.Configuration(
        host=simulator.base_url,
        api_key=key,
        ssl_ca_cert=str(certificate),
    )
    return theirs.ApiClient(configuration)


def request_for(theirs: Any, *numbers: str) -> Any:
    where = [theirs.SmsDestination(to=number, message_id=f"c-{number}") for number in numbers]
    text = theirs.SmsMessageContent(theirs.SmsTextContent(text="Morgen um neun."))
    message = theirs.SmsMessage(sender="Klinik", destinations=where, content=text)
    return theirs.SmsRequest(messages=[message])


def test_messages_are_taken_each_with_its_own_state(
    simulator: Simulator, client: Any, theirs: Any
) -> None:
    sent = theirs.SmsApi(client).send_sms_messages(
        request_for(theirs, "4915123450001", "4915100100014")
    )
    states = [each.status.name for each in sent.messages]
    assert states == ["PENDING_ACCEPTED", "REJECTED_DESTINATION_BLOCKLISTED"]
    assert simulator.gateway.ledger.taken[-1].reference == "c-4915123450001"


@pytest.mark.parametrize(
    ("number", "group", "state", "error"),
    [
        ("4915123450002", "DELIVERED", 5, 0),
        ("4915100200027", "UNDELIVERABLE", 9, 27),
        ("4915100204098", "EXPIRED", 15, 4098),
        ("4915100250029", "EXPIRED", 29, 0),
        ("4915100250004", "UNDELIVERABLE", 4, 0),
    ],
)
def test_reports_and_logs_tell_the_end(
    client: Any, theirs: Any, number: str, group: str, state: int, error: int
) -> None:
    api = theirs.SmsApi(client)
    api.send_sms_messages(request_for(theirs, number))
    (log,) = api.get_outbound_sms_message_logs(message_id=[f"c-{number}"]).results
    (report,) = api.get_outbound_sms_message_delivery_reports(message_id=f"c-{number}").results
    for told in (log, report):
        assert (told.status.group_name, told.status.id, told.error.id) == (group, state, error)
    assert report.to == log.destination == number
    again = api.get_outbound_sms_message_delivery_reports(message_id=f"c-{number}")
    assert not again.results


def test_several_ids_are_asked_for_at_once(client: Any, theirs: Any) -> None:
    numbers = ["4915123450003", "4915123450004"]
    theirs.SmsApi(client).send_sms_messages(request_for(theirs, *numbers))
    names = [f"c-{number}" for number in numbers]
    logs = (
        theirs.SmsApi(client).get_outbound_sms_message_logs(message_id=[*names, "nobody"]).results
    )
    assert {log.message_id for log in logs} == set(names)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # the client's own
def test_viber_messages_are_taken_and_reported(client: Any, theirs: Any) -> None:
    where = [theirs.ViberToDestination(to="4915100207002", message_id="v-1")]
    message = theirs.ViberMessage(
        sender="Klinik", destinations=where, content=theirs.ViberOutboundTextContent(text="Morgen")
    )
    sent = theirs.ViberApi(client).send_viber_messages(theirs.ViberRequest(messages=[message]))
    assert sent.messages[0].status.group_name == "PENDING"
    (report,) = (
        theirs.ViberApi(client)
        .get_outbound_viber_message_delivery_reports(message_id="v-1")
        .results
    )
    assert report.error.name == "EC_UNKNOWN_USER"


def test_the_wrong_key_is_refused(simulator: Simulator, theirs: Any, certificate: Path) -> None:
    stranger = client_of(simulator, theirs, certificate, key="wrong")
    with pytest.raises(theirs.exceptions.UnauthorizedException):
        theirs.SmsApi(stranger).send_sms_messages(request_for(theirs, "4915123450005"))


def test_the_providers_own_code_understands_what_our_gateway_sends(theirs: Any) -> None:
    (account,) = load_accounts(
        {
            URL: "infobip://key@h/?sender=Klinik&validity=60&transliteration=TURKISH&language=TR"
            "&callback_url=https%3A%2F%2Fklinik.example%2Fr"
        }
    )
    message = make_message("+4915123450006", text="Bis morgen!")
    protocol = InfobipProtocol(account.settings.of_gateway)
    read = theirs.SmsRequest.from_json(protocol.compose([message]).body.decode())
    (sent,) = read.messages
    assert sent.destinations[0].to == "4915123450006"
    assert sent.destinations[0].message_id == message.attempt_key
    assert sent.content.actual_instance.text == "Bis morgen!"
    assert sent.content.actual_instance.transliteration == "TURKISH"
    assert sent.options.validity_period.amount == 60
    assert sent.webhooks.delivery.url.startswith("https://klinik.example/r?secret=")
    assert not read.options.tracking.shorten_url
