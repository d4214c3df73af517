"""What the simulated gateways do alike, and Infobip, whose interface any client of JSON speaks."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from clinic_dispatch_plugin.demo.cli import main
from clinic_dispatch_plugin.simulators.gateways.infobip import InfobipGateway
from clinic_dispatch_plugin.simulators.gateways.ledger import read_taken
from clinic_dispatch_plugin.simulators.gateways.plans import Plans, Trouble, asked_for, plan_of
from clinic_dispatch_plugin.simulators.gateways.server import MODE_PATH, HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings
from tests.simulators.listener import Listener

Simulator = HttpSimulator[InfobipGateway]
HEADERS = {"Authorization": "App key", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("infobip") / "ledger"


@pytest.fixture(scope="module")
def simulator(ledger: Path) -> Iterator[Simulator]:
    settings = GatewaySettings(password="key", ledger=ledger, retry_after=2)
    with HttpSimulator(InfobipGateway, settings) as running:
        yield running


def ask(
    simulator: Simulator, method: str, path: str, content: Any = None, *, key: str = "key"
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", simulator.port, timeout=5)
    try:
        body = None if content is None else json.dumps(content)
        headers = {**HEADERS, "Authorization": f"App {key}"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def send(simulator: Simulator, *numbers: str, path: str = "/sms/3/messages", **more: Any) -> Any:
    return json.loads(ask(simulator, "POST", path, messages(*numbers, **more))[2])["messages"]


def messages(*numbers: str, name: str = "", **more: Any) -> dict[str, Any]:
    where = [{"to": number, "messageId": name or f"m-{number}"} for number in numbers]
    return {
        "messages": [
            {"sender": "Klinik", "destinations": where, "content": {"text": "Morgen"}, **more}
        ]
    }


def statuses(answers: Any) -> list[str]:
    return [each["status"]["name"] for each in answers]


def test_each_message_of_a_list_has_its_own_answer(simulator: Simulator, ledger: Path) -> None:
    answers = send(simulator, "4915123450001", "4915100100052")
    assert statuses(answers) == ["PENDING_ACCEPTED", "REJECTED_DESTINATION"]
    taken = [line for line in read_taken(ledger) if line.recipient == "4915123450001"]
    assert [line.reference for line in taken] == ["m-4915123450001"]


def test_a_second_message_of_the_same_name_is_refused(simulator: Simulator) -> None:
    assert statuses(send(simulator, "4915123450002")) == ["PENDING_ACCEPTED"]
    assert statuses(send(simulator, "4915123450002")) == ["REJECTED_DUPLICATE_MESSAGE_ID"]


def test_a_report_is_handed_out_once_and_stays_in_the_log(simulator: Simulator) -> None:
    send(simulator, "4915100200027")
    path = "/sms/3/reports?messageId=m-4915100200027"
    (report,) = json.loads(ask(simulator, "GET", path)[2])["results"]
    assert (report["status"]["groupName"], report["error"]["id"]) == ("UNDELIVERABLE", 27)
    assert json.loads(ask(simulator, "GET", path)[2])["results"] == []
    path = path.replace("reports", "logs")
    assert len(json.loads(ask(simulator, "GET", path)[2])["results"]) == 1


def test_viber_messages_are_reported_and_seen(simulator: Simulator) -> None:
    with Listener() as listener:
        hooks = {
            "delivery": {"url": f"{listener.url}/delivery"},
            "seen": {"url": f"{listener.url}/seen"},
        }
        send(simulator, "4915100900001", path="/viber/2/messages", webhooks=hooks)
        heard = {call.path: json.loads(call.body)["results"][0] for call in listener.wait(2)}
    assert heard["/delivery"]["status"]["name"] == "DELIVERED_TO_HANDSET"
    assert heard["/seen"]["messageId"] == "m-4915100900001"


def test_the_wrong_key_is_refused(simulator: Simulator) -> None:
    status, _, body = ask(simulator, "GET", "/account/1/balance", key="wrong")
    assert (status, json.loads(body)["errorCode"]) == (401, "E401")


def test_too_many_says_how_long_to_wait(simulator: Simulator) -> None:
    status, headers, _ = ask(simulator, "POST", "/sms/3/messages", messages("4915100400001"))
    assert (status, headers["Retry-After"]) == (429, "2")
    assert statuses(send(simulator, "4915100400001")) == ["PENDING_ACCEPTED"]


@pytest.mark.parametrize("trouble", [each for each in Trouble if each is not Trouble.SILENCE])
@pytest.mark.parametrize("kept", [True, False])
def test_trouble_comes_as_the_number_asks_and_the_ledger_tells_who_is_right(
    simulator: Simulator, ledger: Path, trouble: Trouble, kept: bool
) -> None:
    number = f"49151{'005' if kept else '006'}{list(Trouble).index(trouble) + 1:05}"
    try:
        status, headers, body = ask(simulator, "POST", "/sms/3/messages", messages(number))
    except (OSError, http.client.HTTPException):
        assert trouble in {Trouble.CUT, Trouble.UNFINISHED}
    else:
        assert trouble not in {Trouble.CUT, Trouble.UNFINISHED}
        assert_bad(trouble, status, headers, body)
    assert [line.answered for line in read_taken(ledger) if line.recipient == number] == (
        [False] if kept else []
    )


def assert_bad(trouble: Trouble, status: int, headers: dict[str, str], body: bytes) -> None:
    if trouble is Trouble.STRANGE:
        assert "messages" not in json.loads(body)
        return
    assert {Trouble.ERROR: 500, Trouble.BAD_GATEWAY: 502, Trouble.REDIRECT: 302}.get(
        trouble, 200
    ) == status
    if trouble is Trouble.HUGE:
        assert len(body) > 10_000_000
    with pytest.raises(ValueError):  # no JSON, or no UTF-8
        json.loads(body)


def test_a_mode_is_switched_from_outside(simulator: Simulator) -> None:
    connection = HTTPConnection("127.0.0.1", simulator.port, timeout=5)
    for mode, status in (("broken", 500), ("throttled", 429), ("normal", 200)):
        connection.request("POST", MODE_PATH, mode)
        assert connection.getresponse().read().decode().strip() == mode
        assert ask(simulator, "GET", "/account/1/balance")[0] == status
    connection.request("POST", MODE_PATH, "nonsense")
    assert connection.getresponse().status == 400
    connection.close()


def test_a_gateway_that_is_down_keeps_its_port(simulator: Simulator) -> None:
    port = simulator.port
    simulator.switch(GatewayMode.DOWN)
    with pytest.raises(OSError):
        ask(simulator, "GET", "/account/1/balance")
    simulator.switch(GatewayMode.NORMAL)
    assert simulator.port == port
    assert ask(simulator, "GET", "/account/1/balance")[0] == 200


def test_reports_go_nowhere_but_to_this_machine(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = {"delivery": {"url": "https://example.org/reports"}}
    assert statuses(send(simulator, "4915123450009", webhooks=hooks)) == ["PENDING_ACCEPTED"]
    assert "not on this machine" in caplog.text


def test_words_and_numbers_ask_for_the_same() -> None:
    plans = Plans({"+49 (151) 1": "refuse:21211", "00491512": "untaken:html"})
    assert plans.of("491511") == plan_of("refuse:21211") == asked_for("4915100121211")
    assert plans.of("+491512") == plan_of("untaken:html") == asked_for("4915100600003")
    for words in ("refused:1", "trouble:none", "throttle:often"):
        with pytest.raises(ValueError, match="there are"):
            plan_of(words)


@pytest.mark.parametrize("name", ["smsc", "twilio", "infobip", "vonage", "smpp", "sip", "ari"])
def test_every_gateway_is_a_command_that_says_why_it_cannot_start(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, ["simulate", name, "--port", port])
    assert result.exit_code == 1
    assert f"127.0.0.1:{port}" in result.output
    assert "Traceback" not in result.output


def test_the_command_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    words = {"+49 151 7": "refuse:52"}
    (tmp_path / "scenarios").write_text(json.dumps(words))
    command = [sys.executable, "-m", "clinic_dispatch_plugin.demo.cli", "simulate", "infobip"]
    options = ["--port", "0", "--password", "key", "--scenarios", str(tmp_path / "scenarios")]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            port = int(program.stdout.readline().rpartition(":")[2])
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request(
                "POST", "/sms/3/messages", json.dumps(messages("491517", "491518")), HEADERS
            )
            answers = json.loads(connection.getresponse().read())["messages"]
            connection.close()
            assert statuses(answers) == ["REJECTED_DESTINATION", "PENDING_ACCEPTED"]
            program.terminate()
            assert program.stdout.readline() == "1 messages taken\n"
            assert program.wait(20) == 0
        finally:
            program.kill()
