"""Step two of a mailing by text message: its length in what is billed, what is cheaper, and numbers that are none."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from clinic_dispatch_plugin.host.types import Audience, Recipient
from tests.clinic.browsing import fields_of, submit, token_in
from tests.clinic.host import Clinic, make_clinic

HOME = "/dispatch/mailings"
DEAR = "Guten Tag {{ name }}, Ihr Termin ist morgen – „Klinik am Park“, Parkweg 3, bitte nüchtern kommen."
NUMBERS = ["0170 1234567", "030 901820", "110", "keine", "0170 12", "030 901820 / 0171 7654321"]


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    config = {
        "CLINIC_DISPATCH_SMS_URL": "smsc://clinic:secret@smsc.kz/",
        "CLINIC_DISPATCH_EMAIL_URL": "smtp://127.0.0.1:9",
        "CLINIC_DISPATCH_EMAIL_FROM": "praxis@clinic.example",
    }
    made = make_clinic(tmp_path_factory.mktemp("clinic"), config=config)
    made.host.audience_list = [Audience(key="all", label="Alle", purpose="service")]
    made.host.patients = {
        str(place): Recipient(
            ref=str(place), name=f"Frau {place}", locale="de", addresses={"sms": number}
        )
        for place, number in enumerate(NUMBERS)
    }
    yield made
    made.dispatch.database.dispose()


@pytest.fixture
def client(clinic: Clinic) -> FlaskClient:
    return clinic.app.test_client()


@pytest.fixture
def page(client: FlaskClient) -> str:
    """Where the text of a new mailing is written."""
    chosen = submit(
        client,
        f"{HOME}/new",
        {"whom": "audience:all", "purpose": "service", "channel": "sms"},
    )
    return str(chosen.headers["Location"])


def words_of(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def write(client: FlaskClient, page: str, text: str, go: str = "keep") -> str:
    """Send the form and open where it leads."""
    done = submit(client, page, {"name": "Termine", "text": text, "go": go})
    assert done.status_code == 303
    return client.get(done.headers["Location"]).text


def test_the_length_stands_below_the_text_and_beside_what_arrives(
    client: FlaskClient, page: str
) -> None:
    shown = words_of(write(client, page, DEAR))
    assert "SMS: 2 · Zeichen: 95 · noch frei: 39 · 70 statt 160 je SMS wegen: – „ “" in shown
    assert "jeder Wert mit 8 Zeichen gerechnet" in shown
    assert "Bei diesem Empfänger: SMS: 2 · Zeichen: 93" in shown
    plain = words_of(write(client, page, "Bis morgen!"))
    assert "SMS: 1 · Zeichen: 11 · noch frei: 149" in plain
    assert "statt 160" not in plain


def test_what_is_cheaper_is_shown_and_written_when_somebody_wants_it(
    client: FlaskClient, page: str
) -> None:
    shown = write(client, page, DEAR)
    assert "Mit einfachen Zeichen wird daraus 1 SMS statt 2." in words_of(shown)
    assert 'Termin ist morgen - "Klinik am Park"' in html.unescape(shown)
    after = write(client, page, DEAR, "cheaper:text:signs")
    assert "Bitte sehen Sie ihn durch." in words_of(after)
    text = fields_of(after)["text"]
    assert text == DEAR.replace("–", "-").replace("„", '"').replace("“", '"')
    assert "cheaper:" not in after


@pytest.mark.parametrize("kind", ["cheaper:text:latin", "cheaper:", "cheaper:text:nonsense"])
def test_an_offer_that_does_not_hold_changes_nothing(
    client: FlaskClient, page: str, kind: str
) -> None:
    assert fields_of(write(client, page, "Bis morgen!", kind))["text"] == "Bis morgen!"


def test_the_script_gets_the_same_words(client: FlaskClient, page: str) -> None:
    write(client, page, DEAR)
    shown = client.get(page).text
    assert 'type="module" src="' in shown
    assert "sms-count.js" in shown
    assert 'data-count="f-text"' in shown
    kept = client.post(
        page.replace("/what", "/draft"),
        data={"csrf_token": token_in(shown), "name": "T", "text": "ж" * 71},
        headers={"Accept": "application/json"},
    )
    part = json.loads(kept.data)["html"]
    assert "Bei diesem Empfänger: SMS: 2 · Zeichen: 71" in words_of(part)
    assert "In lateinischen Buchstaben wird daraus 1 SMS statt 2." in words_of(part)


def test_whoever_has_no_mobile_number_is_named_before_anything_is_paid(
    client: FlaskClient, page: str
) -> None:
    shown = words_of(write(client, page, "Bis morgen!", "next"))
    assert "2 von 6 Patienten erhalten die Nachricht" in shown
    for words in (
        "Keine Handynummer, vermutlich Festnetz",
        "Kurzwahl oder Servicenummer statt Handynummer",
        "Keine Adresse oder Nummer hinterlegt",
        "Adresse oder Nummer kann nicht stimmen",
    ):
        assert words in shown


def test_the_words_of_a_later_channel_are_counted_too(client: FlaskClient) -> None:
    chosen = submit(
        client,
        f"{HOME}/new",
        {"whom": "audience:all", "purpose": "service", "channel": "email", "channel.2": "sms"},
    )
    page = str(chosen.headers["Location"])
    content = {"name": "Termine", "subject": "Termin", "text": DEAR, "text.sms": ""}
    first = submit(client, page, {**content, "go": "keep"})
    shown = client.get(first.headers["Location"]).text
    assert 'data-count="f-text.sms" data-first="f-text"' in shown
    assert 'data-count="f-text"' not in shown, "nobody pays for the length of a mail"
    assert "SMS: 2 · Zeichen: 95" in words_of(shown), "left empty, the first text goes"
    done = submit(client, page, {**content, "go": "cheaper:text.sms:signs"})
    fields = fields_of(client.get(done.headers["Location"]).text)
    assert fields["text"] == DEAR
    assert fields["text.sms"] == DEAR.replace("–", "-").replace("„", '"').replace("“", '"')
