"""What a mailing costs: before it is started, after it went out, and why one is held without enough money."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from clinic_dispatch_plugin.api import Accepted, Content, Money, OutgoingMessage, SendResult
from clinic_dispatch_plugin.engine.pump import pump
from clinic_dispatch_plugin.host.types import Audience, Recipient
from clinic_dispatch_plugin.mailings.costing import Kind, costs
from clinic_dispatch_plugin.mailings.sending import send
from clinic_dispatch_plugin.testing import FakeChannel, FakePlugin
from tests.cli.conftest import typing_in
from tests.clinic.browsing import fields_of, submit
from tests.clinic.host import Clinic, make_clinic

HOME = "/dispatch/mailings"


def eur(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="EUR")


class Paid(FakeChannel):
    """Costs money, and says with an acceptance how much; ``cost`` None: it says nothing."""

    cost: Money | None = None

    def tariff(self, address: str) -> str:
        return "KZ Kcell" if address.startswith("k") else "DE"

    def hand_over(self, message: OutgoingMessage) -> SendResult:
        super().hand_over(message)
        return Accepted(attempt_id=message.attempt_id, price=self.cost, parts=2)


@pytest.fixture(scope="module")
def paid() -> Paid:
    return Paid(key="paid")


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory, paid: Paid) -> Iterator[Clinic]:
    made = make_clinic(
        tmp_path_factory.mktemp("costs"),
        plugins=[FakePlugin(paid)],
        config={"CLINIC_DISPATCH_BLOCKED_PLUGINS": "email"},
    )
    made.host.audience_list = [Audience(key="day", label="Termine", placeholders=["room"])]
    made.host.patients = {
        ref: Recipient(
            ref=ref,
            name=f"Frau {ref}",
            addresses={"paid": f"{ref}@x.example"},
            values={"room": "2"},
        )
        for ref in ("k1", "k2", "d1")
    }
    yield made
    made.dispatch.database.dispose()


@pytest.fixture
def client(clinic: Clinic, paid: Paid) -> FlaskClient:
    paid.left, paid.price_each, paid.cost, paid.options = eur("100"), eur("0.075"), None, {}
    clinic.dispatch.cache.clear()
    return clinic.app.test_client()


def said(text: str) -> str:
    plain = html.unescape(re.sub(r"<[^>]+>", " ", text)).replace("\xa0", " ")
    return " ".join(plain.split())


def review(client: FlaskClient) -> tuple[str, str]:
    """The address and the page of a mailing's third step."""
    data = {"whom": "audience:day", "purpose": "", "channel": "paid"}
    what = submit(client, f"{HOME}/new", data).headers["Location"]
    told = {"name": "Termine", "subject": "Termin", "text": "Raum {{ room }}", "go": "next"}
    shown = submit(client, what, told).headers["Location"]
    return shown, client.get(shown).text


def press_start(client: FlaskClient, address: str, page: str) -> tuple[int, str]:
    start = address.replace("/check", "/start")
    done = client.post(start, data=fields_of(page, action=start))
    return done.status_code, said(done.text)


def test_the_review_says_the_cost_by_network_and_the_balance(client: FlaskClient) -> None:
    _, page = review(client)
    words = said(page)
    assert "Was es kosten wird Zusammen: ≈ 0,23 €" in words
    assert "Paid KZ Kcell 1 2 ≈ 0,075 € ≈ 0,15 €" in words
    assert "Paid DE 1 1 ≈ 0,075 € ≈ 0,08 €" in words
    assert "Guthaben 100,00 €" in words
    assert "reicht nicht" not in words


def test_the_account_of_the_purpose_is_asked_and_what_goes_on_is_reckoned_at_most(
    clinic: Clinic, client: FlaskClient, paid: Paid
) -> None:
    kinds = {
        ("paid", "DE", 2): Kind(count=3, address="d@x.example", content=Content(text="Hallo")),
    }
    paid.options = {"purposes": frozenset({"results"})}
    begins = {"fake": 10, "paid": 3}
    assert not costs(clinic.dispatch, kinds, "promotion", begins=begins)
    found = costs(clinic.dispatch, kinds, "results", begins=begins)
    assert found.totals == [eur("0.225")]
    # Ten begin with a channel that costs nothing, and may all go on.
    assert found.further == [eur("0.75")]
    assert found.at_most == [eur("0.975")]
    [purse] = found.purses
    assert (purse.needs, purse.further) == ([eur("0.225")], eur("0.75")), "exactly, and at most"
    # An account that only messages going on may need is told with its balance, too.
    begins = {"fake": 10, "paid": 0}
    [purse] = costs(clinic.dispatch, {}, "results", begins=begins).purses
    assert (purse.balance, purse.needs, purse.short) == (eur("100"), [], None)
    paid.price_each = None
    clinic.dispatch.cache.pop("purse")
    assert costs(clinic.dispatch, kinds, "results", begins=begins).at_most == ()


def test_too_little_money_holds_the_whole_mailing_with_one_sentence(
    client: FlaskClient, paid: Paid
) -> None:
    paid.left = eur("0.20")
    address, page = review(client)
    assert "Vorhanden sind 0,20 €, es fehlen ≈ 0,025 €" in said(page)
    before = len(paid.handed)
    status, words = press_start(client, address, page)
    assert status == 422
    assert "Nicht gestartet" in words
    assert len(paid.handed) == before
    paid.left = eur("0.225")  # somebody topped it up: just enough
    status, _ = press_start(client, address, page)
    assert status == 303


def test_what_nobody_knows_is_called_unknown_and_holds_nothing(
    client: FlaskClient, paid: Paid
) -> None:
    paid.price_each, paid.left = None, eur("0")
    address, page = review(client)
    words = said(page)
    assert "Der Dienst sagt nicht vorher, was diese Nachrichten kosten." in words
    assert "unbekannt" in words
    assert "0,00 €" in words  # the balance, which is known
    assert press_start(client, address, page)[0] == 303


def test_a_cap_that_will_be_passed_is_said_before(client: FlaskClient, paid: Paid) -> None:
    paid.options = {"cap_day": Decimal("0.10")}
    words = said(review(client)[1])
    assert "lässt noch 0,10 € zu" in words


def test_a_used_up_cap_says_until_when(clinic: Clinic, client: FlaskClient, paid: Paid) -> None:
    paid.options = {"cap_month": Decimal("0.10")}
    paid.cost = eur("0.075")
    send(clinic.dispatch, to=["k1", "k2"], channel="paid", subject="S", text="Kappe", name="Kappe")
    mailing_id = max(int(found) for found in re.findall(r"/mailings/(\d+)", client.get(HOME).text))
    pump(clinic.dispatch)
    words = said(client.get(f"{HOME}/{mailing_id}").text)
    assert "Die Obergrenze von 0,10 € im Monat für das Konto ist ausgeschöpft." in words
    assert "Es geht von selbst weiter:" in words
    client.post(f"{HOME}/{mailing_id}/cancel")


def test_prices_stand_with_the_message_under_the_list_and_in_the_file(
    clinic: Clinic, client: FlaskClient, paid: Paid
) -> None:
    paid.cost = eur("0.0832")
    mailing_id = send(
        clinic.dispatch, to=["k1", "k2"], channel="paid", subject="S", text="Preis", name="Preis"
    )
    pump(clinic.dispatch)
    page = client.get(f"{HOME}/{mailing_id}").text
    assert "Kosten dieser Nachrichten: 0,17 €" in said(page)
    listed = client.get(f"/dispatch/?mailing={mailing_id}&q=k1")
    assert "Kosten dieser Nachrichten: 0,08 €" in said(listed.text)
    message = re.findall(r"/dispatch/messages/(\d+)", page)[0]
    assert "Preis: 0,0832 € · 2 Teile" in said(client.get(f"/dispatch/messages/{message}").text)
    file = client.get(f"/dispatch/messages.csv?mailing={mailing_id}").get_data(as_text=True)
    rows = list(csv.DictReader(io.StringIO(file.removeprefix("\ufeff")), delimiter=";"))
    assert [(row["Preis"], row["Währung"]) for row in rows] == [("0,0832", "EUR")] * 2


def test_the_command_rehearses_and_refuses(
    clinic: Clinic, client: FlaskClient, paid: Paid, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("Raum {{ room }}", encoding="utf-8")
    words = ["send", "--channel", "paid", "--audience", "day", "--subject", "S"]
    words += ["--text", str(tmp_path / "text.txt")]
    before = len(paid.handed)
    tried = typing_in(clinic)(*words, "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert "3 of 3 would get it" in tried.output
    assert "balance 100 EUR, needs about 0.225 EUR" in tried.output
    paid.left = eur("0.1")
    clinic.dispatch.cache.clear()
    refused = typing_in(clinic)(*words)
    assert refused.exit_code == 1
    assert "about 0.125 EUR are lacking" in refused.output
    assert len(paid.handed) == before
