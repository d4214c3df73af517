"""The message centre with Kannel as its client: texts, parts, receipts, refusals, and a link that breaks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import parse_qs, urlsplit

import pytest

from clinic_dispatch_plugin.simulators.smpp import (
    CentreSettings,
    Plan,
    SmppSimulator,
    Way,
    number_for,
    read_ledger,
)
from tests.servers import kannel
from tests.servers.found import require
from tests.simulators.listener import Listener
from tests.simulators.raw_client import wait_until

ARRIVED, NOT_ARRIVED, TAKEN, REFUSED = "1", "2", "8", "16"


class Office:
    """A centre, Kannel bound to it, and somebody who hears its reports."""

    def __init__(self, centre: SmppSimulator, client: kannel.Kannel, heard: Listener) -> None:
        self.centre = centre
        self._client = client
        self._heard = heard

    def send(self, number: str, text: str = "Guten Tag") -> None:
        self._client.send(number, text, report_to=self._heard.url)

    def told(self, number: str) -> list[str]:
        """What was reported of a number, in order."""
        calls = [urlsplit(call.path) for call in list(self._heard.calls)]
        mine = [call for call in calls if call.path == f"/{number.removeprefix('+')}"]
        return [parse_qs(call.query)["status"][0] for call in mine]

    def taken(self, number: str) -> list[bytes]:
        """The texts to a number that the centre has."""
        assert self.centre.settings.ledger is not None
        lines = read_ledger(self.centre.settings.ledger)
        return [
            bytes.fromhex(line.text)
            for line in lines
            if line.destination == number.removeprefix("+")
        ]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    found = require(kannel.find())
    settings = CentreSettings(
        system_id="clinic",
        password=kannel.PASSWORD,
        ledger=tmp_path_factory.mktemp("centre") / "ledger",
        receipt_after=0.1,
    )
    with ExitStack() as stack:
        centre = stack.enter_context(SmppSimulator(settings))
        heard = stack.enter_context(Listener())
        client = stack.enter_context(kannel.running(found, centre=centre.port))
        wait_until(lambda: centre.counters.binds == 1)
        yield Office(centre, client, heard)


def test_a_text_arrives(office: Office) -> None:
    number = "+4915123456789"
    office.send(number)
    wait_until(lambda: ARRIVED in office.told(number))
    assert office.taken(number) == [b"Guten Tag"]
    assert office.told(number) == [TAKEN, ARRIVED]
    assert office.centre.counters.protocol_errors == 0


@pytest.mark.parametrize("text", ["Guten Tag, " * 30, "Приём завтра. " * 10])
def test_a_long_text_arrives_in_parts(office: Office, text: str) -> None:
    number = "+4915123456780" if text.isascii() else "+4915123456781"
    office.send(number, text)
    wait_until(lambda: ARRIVED in office.told(number))
    parts = office.taken(number)
    assert [part[4:6] for part in parts] == [
        bytes([len(parts), place]) for place in range(1, len(parts) + 1)
    ]
    coding = "ascii" if text.isascii() else "utf-16-be"
    whole = b"".join(part[6:] for part in parts).decode(coding)
    assert whole.strip() == text.strip()


def test_a_receipt_says_that_it_did_not_arrive(office: Office) -> None:
    number = number_for(Plan(state=5, error="034"))
    office.send(number)
    wait_until(lambda: NOT_ARRIVED in office.told(number))
    assert office.told(number) == [TAKEN, NOT_ARRIVED]


def test_a_refusal_is_one(office: Office) -> None:
    number = number_for(Plan(status=0x0B))
    office.send(number)
    wait_until(lambda: bool(office.told(number)))
    assert office.told(number) == [REFUSED]
    assert office.taken(number) == []


@pytest.mark.parametrize("way", [Way.TLV_ONLY, Way.WORDS_ONLY, Way.TWICE])
def test_receipts_of_other_shapes_are_understood(office: Office, way: Way) -> None:
    number = number_for(Plan(way=way))
    office.send(number)
    wait_until(lambda: ARRIVED in office.told(number))


def test_a_broken_link_is_bound_again(office: Office) -> None:
    binds = office.centre.counters.binds
    office.centre.cut_links()
    wait_until(lambda: office.centre.counters.binds == binds + 1)
    number = "+4915123456782"
    office.send(number)
    wait_until(lambda: ARRIVED in office.told(number))


def test_nothing_it_said_was_wrong(office: Office) -> None:
    assert office.centre.counters.protocol_errors == 0
