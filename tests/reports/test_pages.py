"""The pages of returned mails as a browser without JavaScript gets them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.reports.service import take
from tests.clinic.browsing import submit
from tests.reports.conftest import Post
from tests.reports.making import Shape, standard
from tests.reports.shapes_standard import OTHERS, STANDARD
from tests.reports.shapes_words import WORDS

SHAPES: dict[str, Shape] = {shape.name: shape for shape in [*STANDARD, *OTHERS, *WORDS]}
LIST = "/dispatch/bounces"
FOREIGN = standard(
    "smtp; 550 5.1.1 <x>: gone", status="5.1.1", envelope_id=False, returned="From: x@y.example\n"
)


@pytest.fixture
def client(office: Post) -> FlaskClient:
    return office.clinic.app.test_client()


def kept(office: Post, raw: bytes = FOREIGN) -> int:
    found = take(office.dispatch, raw, source="command", by="A. Kern").bounce_id
    assert found is not None
    return found


def test_an_empty_list_says_what_to_do(client: FlaskClient) -> None:
    page = client.get(LIST).text
    assert "Noch kam keine Mail zurück" in page
    assert "Rückläufer einreichen" in page
    assert f'href="{LIST}"' in client.get("/dispatch/").text


@pytest.mark.parametrize(
    ("language", "title"), [("de", "Rückläufer"), ("en", "Returned mails"), ("ru", "Возвраты")]
)
def test_the_page_speaks_three_languages(
    office: Post, client: FlaskClient, language: str, title: str
) -> None:
    office.clinic.host.language = language
    assert f"<h1>{title}</h1>" in client.get(LIST).text


def test_a_pasted_mail_is_read_and_leads_to_its_message(office: Post, client: FlaskClient) -> None:
    message_id = office.sent()
    raw = office.mail(SHAPES["mail.ru"].raw, message_id)
    answer = submit(client, LIST, {"mail": raw.decode()})
    assert answer.status_code == 303
    page = client.get(answer.location).text
    assert "Die Mail ist gespeichert" in page
    assert "Zugeordnet" in page
    assert "5.1.1" in page
    assert f"/dispatch/messages/{message_id}" in page
    shown = client.get(f"/dispatch/messages/{message_id}").text
    assert "Nicht zugestellt" in shown
    assert "Rückläufer: nicht zugestellt" in shown
    assert "zu Versuch 1" in shown
    again = submit(client, LIST, {"mail": raw.decode()})
    assert "war schon hier" in client.get(again.location).text


def test_files_are_uploaded(office: Post, client: FlaskClient) -> None:
    message_id = office.sent()
    raw = office.mail(SHAPES["qmail"].raw, message_id)
    one = submit(client, LIST, {"file": (io.BytesIO(raw), "a.eml")})
    assert one.status_code == 303
    assert office.message(message_id)["state"] == "undelivered"
    two = [(io.BytesIO(FOREIGN), "b.eml"), (io.BytesIO(SHAPES["advertising"].raw), "c.eml")]
    several = submit(client, LIST, {"file": two})
    assert "Die Mails sind gespeichert" in client.get(several.location).text
    assert [row["source"] for row in office.bounces()] == ["uploaded"] * 3
    page = client.get(LIST).text
    assert "Gehört zu keiner Nachricht" in page
    assert "Nicht lesbar" in page
    filtered = client.get(f"{LIST}?state=unreadable").text
    assert "Andere Mail" in filtered
    assert "anna@example.org" not in filtered


@pytest.mark.parametrize(
    ("data", "fault", "field"),
    [
        ({}, "Fügen Sie hier eine Mail ein", "mail"),
        ({"mail": "   \n"}, "Fügen Sie hier eine Mail ein", "mail"),
        ({"mail": "x" * 300_000}, "mehr als 256 KiB", "mail"),
        ({"file": (io.BytesIO(b""), "leer.eml")}, "Eine Datei ist leer", "file"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    office: Post, client: FlaskClient, data: dict[str, Any], fault: str, field: str
) -> None:
    answer = submit(client, LIST, data)
    assert answer.status_code == 422
    assert f'id="e-{field}"' in answer.text
    assert fault in answer.text
    assert office.bounces() == []


def test_a_mail_of_no_message_is_tied_by_hand(office: Post, client: FlaskClient) -> None:
    message_id, bounce_id = office.sent(), kept(office)
    page = f"{LIST}/{bounce_id}"
    for typed, fault in (
        ("", "Geben Sie die Nummer"),
        ("zwölf", "Geben Sie die Nummer"),
        ("9" * 30, "Geben Sie die Nummer"),
        ("999999", "gibt es nicht"),
    ):
        wrong = submit(client, page, {"message": typed}, to=f"{page}/tie")
        assert wrong.status_code == 422
        assert fault in wrong.text
    answer = submit(client, page, {"message": f"#{message_id}"}, to=f"{page}/tie")
    assert answer.status_code == 303
    shown = client.get(answer.location).text
    assert "zugeordnet von A. Kern" in shown
    assert office.message(message_id)["state"] == "undelivered"


def test_the_mail_itself_needs_its_own_right_and_is_written_down(
    office: Post, client: FlaskClient
) -> None:
    message_id = office.sent()
    bounce_id = kept(office, office.mail(SHAPES["qmail"].raw, message_id))
    words = "This is the qmail-send program"
    assert words not in client.get(f"{LIST}/{bounce_id}").text
    assert office.trail("view_contents") == []
    shown = client.get(f"{LIST}/{bounce_id}/mail")
    assert words in shown.text
    assert shown.headers["Cache-Control"] == "no-store"
    (row,) = office.trail("view_contents")
    assert (row["actor_ref"], row["message_id"]) == ("admin", message_id)
    office.clinic.host.actions = frozenset({Action.VIEW, Action.SEND})
    assert client.get(f"{LIST}/{bounce_id}/mail").status_code == 403
    assert f"{bounce_id}/mail" not in client.get(f"{LIST}/{bounce_id}").text


def test_whoever_may_only_look_hands_nothing_in(office: Post, client: FlaskClient) -> None:
    bounce_id = kept(office)
    office.clinic.host.actions = frozenset({Action.VIEW})
    assert '<form method="post"' not in client.get(LIST).text
    assert '<form method="post"' not in client.get(f"{LIST}/{bounce_id}").text
    assert client.post(LIST).status_code == 403
    assert client.post(f"{LIST}/{bounce_id}/tie").status_code == 403


def test_a_mail_of_a_hidden_patient_is_not_there(office: Post, client: FlaskClient) -> None:
    message_id = office.sent()
    bounce_id = kept(office, office.mail(SHAPES["postfix"].raw, message_id))
    address = office.message(message_id)["address"]
    office.clinic.host.hidden = {office.message(message_id)["ref"]}
    assert address not in client.get(LIST).text
    for page in (f"{LIST}/{bounce_id}", f"{LIST}/{bounce_id}/mail", f"{LIST}/999999"):
        assert client.get(page).status_code == 404
    other = kept(office)
    answer = submit(
        client, f"{LIST}/{other}", {"message": str(message_id)}, to=f"{LIST}/{other}/tie"
    )
    assert answer.status_code == 422
    assert "gibt es nicht" in answer.text


def test_many_mails_are_shown_page_by_page(office: Post, client: FlaskClient) -> None:
    for number in range(53):
        kept(office, FOREIGN + f"\nX-Number: {number}\n".encode())
    first = client.get(LIST).text
    assert first.count('data-label="Status"') == 50
    assert f"{LIST}?before=" in first
    second = client.get(f"{LIST}?before=4").text
    assert second.count('data-label="Status"') == 3
    assert client.get(f"{LIST}?before=x").status_code == 400
    assert client.get(f"{LIST}?state=x").status_code == 400


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("delayed", "Rückmeldung: verzögert"),
        ("complaint with the recipient", "als unerwünscht gemeldet: keine Werbung mehr"),
        ("vacation by RFC 3834", "Eine automatische Antwort kam"),
    ],
)
def test_the_history_of_a_message_tells_what_came(
    office: Post, client: FlaskClient, name: str, said: str
) -> None:
    message_id = office.sent()
    kept(office, office.mail(SHAPES[name].raw, message_id))
    page = client.get(f"/dispatch/messages/{message_id}").text
    assert said in page
    assert page.count(said) == 1
    assert office.message(message_id)["state"] == "sent"


def test_hostile_words_stay_words(office: Post, client: FlaskClient) -> None:
    raw = FOREIGN.replace(b"<x>: gone", b"<script>alert(1)</script>")
    bounce_id = kept(office, raw)
    for page in (LIST, f"{LIST}/{bounce_id}", f"{LIST}/{bounce_id}/mail"):
        assert "<script>alert" not in client.get(page).text
