"""The message centre with a client of another house: smpplib speaks, and understands every answer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm
from click.testing import CliRunner

from clinic_dispatch_plugin.demo.cli import main
from clinic_dispatch_plugin.simulators.smpp import (
    ByNumber,
    CentreSettings,
    Plan,
    SmppSimulator,
    Way,
    number_for,
    plan_of,
    read_ledger,
)
from tests.simulators.raw_client import wait_until

SETTINGS = CentreSettings(
    system_id="clinic", password="secret", receipt_after=0.0, receipt_again=0.2, sessions=1
)


class Client:
    """smpplib's client, which remembers what it was told."""

    def __init__(self, port: int) -> None:
        self.smpp = smpplib.client.Client(
            "127.0.0.1", port, timeout=5, allow_unknown_opt_params=True
        )
        self.answers: dict[int, Any] = {}
        self.receipts: list[Any] = []
        self.asked: list[Any] = []
        #: What a receipt is answered with.
        self.receipt_status = 0
        self.smpp.set_message_sent_handler(lambda pdu: self.answers.update({pdu.sequence: pdu}))
        self.smpp.set_message_received_handler(self._receive)
        self.smpp.set_query_resp_handler(self.asked.append)
        self.smpp.set_error_pdu_handler(lambda pdu: None)

    def _receive(self, pdu: Any) -> int:
        self.receipts.append(pdu)
        return self.receipt_status

    def bind(self, password: str = "secret") -> None:
        self.smpp.connect()
        self.smpp.bind_transceiver(system_id="clinic", password=password)

    def send(self, number: str, text: bytes = b"Guten Tag", **fields: Any) -> int:
        pdu = self.smpp.send_message(
            source_addr_ton=5,
            source_addr_npi=0,
            source_addr="Klinik",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=number.removeprefix("+"),
            short_message=text,
            registered_delivery=True,
            **fields,
        )
        return int(pdu.sequence)

    def answer(self, number: str, **fields: Any) -> Any:
        """Send, and wait for the answer."""
        sequence = self.send(number, **fields)
        self.until(lambda: sequence in self.answers)
        return self.answers[sequence]

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.smpp.read_once()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[SmppSimulator, Client]]]:
    with ExitStack() as stack:

        def begin(**settings: Any) -> tuple[SmppSimulator, Client]:
            chosen = replace(SETTINGS, ledger=tmp_path / "ledger", **settings)
            centre = stack.enter_context(SmppSimulator(chosen))
            client = Client(centre.port)
            stack.callback(client.smpp.disconnect)
            return centre, client

        yield begin


Start = Callable[..., tuple[SmppSimulator, Client]]


def test_a_text_is_taken_reported_and_asked_about(start: Start, tmp_path: Path) -> None:
    _, client = start()
    client.bind()
    answer = client.answer("+4915123456789")
    assert (answer.status, answer.message_id) == (0, b"1000000001")
    client.until(lambda: bool(client.receipts))
    (receipt,) = client.receipts
    assert receipt.esm_class == 4
    assert (receipt.source_addr, receipt.destination_addr) == (b"4915123456789", b"Klinik")
    assert receipt.receipted_message_id == b"1000000001"
    assert receipt.message_state == smpplib.consts.SMPP_MESSAGE_STATE_DELIVERED
    assert b"id:1000000001 sub:001 dlvrd:001" in receipt.short_message
    assert b"stat:DELIVRD err:000 text:Guten Tag" in receipt.short_message
    client.smpp.query_message(
        message_id="1000000001", source_addr_ton=5, source_addr_npi=0, source_addr="Klinik"
    )
    client.until(lambda: bool(client.asked))
    assert client.asked[0].message_state == 2
    client.smpp.unbind()
    (line,) = read_ledger(tmp_path / "ledger")
    assert (line.destination, bytes.fromhex(line.text)) == ("4915123456789", b"Guten Tag")
    assert (line.source, line.system_id, line.answered) == ("Klinik", "clinic", True)


@pytest.mark.parametrize("status", [0x01, 0x0A, 0x0B, 0x14, 0x45, 0x58, 0x61, 0xFF, 0x411])
def test_any_status_is_had_by_a_number(start: Start, tmp_path: Path, status: int) -> None:
    _, client = start()
    client.bind()
    assert client.answer(number_for(Plan(status=status))).status == status
    assert client.answer("+4915123456789").status == 0, "the link goes on"
    assert len(read_ledger(tmp_path / "ledger")) == 1


@pytest.mark.parametrize("state", [3, 4, 5, 7, 8, 9])
def test_any_end_is_had_by_a_number(start: Start, state: int) -> None:
    _, client = start()
    client.bind()
    client.answer(number_for(Plan(state=state, error="034")))
    client.until(lambda: bool(client.receipts))
    (receipt,) = client.receipts
    assert receipt.message_state == state
    assert b"err:034" in receipt.short_message


def test_receipts_come_twice_reversed_and_again_until_they_are_kept(start: Start) -> None:
    centre, client = start()
    client.bind()
    client.answer(number_for(Plan(way=Way.TWICE)))
    client.until(lambda: len(client.receipts) == 2)
    client.answer(number_for(Plan(way=Way.DISORDERED)))
    client.until(lambda: len(client.receipts) == 4)
    assert [each.message_state for each in client.receipts] == [2, 2, 2, 1]
    client.receipt_status = 0x64
    client.answer("+4915123456789")
    client.until(lambda: len(client.receipts) == 5)
    client.receipt_status = 0
    client.until(lambda: len(client.receipts) == 6)
    wait_until(lambda: centre.counters.receipts_kept == 5)


def test_a_receipt_waits_for_the_next_link(start: Start) -> None:
    centre, client = start()
    client.bind()
    with pytest.raises(smpplib.exceptions.ConnectionError):
        client.answer(number_for(Plan(way=Way.CUT_AFTER)))
    client.smpp.disconnect()
    again = Client(centre.port)
    again.bind()
    again.until(lambda: bool(again.receipts))
    again.smpp.disconnect()


@pytest.mark.parametrize(
    ("system_id", "password", "status"), [("clinic", "wrong", 0x0E), ("nobody", "secret", 0x0F)]
)
def test_only_who_may_is_let_in(start: Start, system_id: str, password: str, status: int) -> None:
    _, client = start()
    client.smpp.connect()
    with pytest.raises(smpplib.exceptions.PDUError) as caught:
        client.smpp.bind_transceiver(system_id=system_id, password=password)
    assert caught.value.args[1] == status


def test_more_links_than_allowed_and_more_texts_than_allowed(start: Start) -> None:
    centre, client = start(rate=1.0)
    client.bind()
    second = Client(centre.port)
    with pytest.raises(smpplib.exceptions.PDUError) as caught:
        second.bind()
    assert caught.value.args[1] == 0x05
    second.smpp.disconnect()
    statuses = [client.answer("+4915123456789").status for _ in range(4)]
    assert statuses[0] == 0 and statuses[-1] == 0x58


def test_a_long_text_of_anothers_making_arrives_in_parts(start: Start, tmp_path: Path) -> None:
    _, client = start()
    client.bind()
    parts, coding, esm_class = smpplib.gsm.make_parts("Приём завтра. " * 10)
    for part in parts:
        client.answer("+4915123456789", text=part, data_coding=coding, esm_class=esm_class)
    lines = read_ledger(tmp_path / "ledger")
    assert [line.esm_class for line in lines] == [0x40] * len(parts)
    texts = [bytes.fromhex(line.text)[6:].decode("utf-16-be") for line in lines]
    assert "".join(texts) == "Приём завтра. " * 10


def test_a_table_goes_before_the_digits(tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    table.write_text(json.dumps({"+49 151 1": "receipt EXPIRED 034", "49152": "cut_after"}))
    behaviour = ByNumber.from_file(table)
    assert behaviour.plan("491511") == Plan(state=3, error="034")
    assert behaviour.plan("+49152") == Plan(way=Way.CUT_AFTER)
    assert behaviour.plan("4915123456789") == Plan()
    for words in ("vanish", "status", "receipt GONE"):
        with pytest.raises(ValueError, match="cannot happen"):
            plan_of(words)


@pytest.mark.parametrize(
    "plan", [Plan(status=0x411), Plan(state=5, error="034"), *(Plan(way=way) for way in Way)]
)
def test_every_plan_has_a_number(plan: Plan) -> None:
    assert ByNumber().plan(number_for(plan)) == plan


def test_the_command_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    options = ["--port", "0", "--ledger", str(tmp_path / "ledger"), "--receipt-after", "0"]
    command = [sys.executable, "-m", "clinic_dispatch_plugin.demo.cli", "simulate", "smpp"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        assert first.startswith("SMPP message centre listening on 127.0.0.1:")
        client = Client(int(first.rpartition(":")[2]))
        client.bind()
        client.answer("+4915123456789")
        client.until(lambda: bool(client.receipts))
        client.smpp.unbind()
        client.smpp.disconnect()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert rest.startswith("1 texts taken, 0 refused, 0 too fast;")
    assert len(read_ledger(tmp_path / "ledger")) == 1


def test_a_table_that_says_nothing_stops_the_command(tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    table.write_text('{"+49": "vanish"}')
    result = CliRunner().invoke(main, ["simulate", "smpp", "--scenarios", str(table)])
    assert result.exit_code == 1
    assert "'vanish' cannot happen" in result.output
    result = CliRunner().invoke(main, ["simulate", "smpp", "--user", "clinic"])
    assert "--user and --password belong together" in result.output
