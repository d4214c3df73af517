"""Trying answers, calling them the same, and taking changes back, as pages."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import editing, service, store
from tests.clinic.browsing import fields_of, token_in
from tests.clinic.host import Clinic
from tests.web.test_reference_pages import UNKNOWN, entry_of, seen, text_of

TRY = "/dispatch/errors/try"
VACATION = Answer(
    system="smtp", code="5.9.3", text="550 5.9.3 attachment of kind zip unwelcome at this mailbox"
)


def tried(client: FlaskClient, **fields: str) -> str:
    page = client.get(TRY).text
    return text_of(client.post(TRY, data={"csrf_token": token_in(page), **fields}).text)


def test_an_answer_is_tried_and_says_what_speaks_why_and_what_came_close(
    client: FlaskClient, clinic: Clinic
) -> None:
    said = tried(client, system="smtp", code="550", text="550 5.1.1 <eva@x.example> User unknown")
    assert "Postfach gibt es nicht" in said
    assert "Am Wortlaut erkannt." in said
    assert "Aufbewahrt ohne das, was eine Person nennt: 550 5.1.1 <@> User unknown" in said
    assert "Die allgemeine" not in said
    assert "An der Kennzahl 5.1.1 erkannt." in said
    with clinic.dispatch.database.begin() as connection:
        assert store.answers(connection) == []


def test_several_lines_are_read_as_a_worker_reads_them(client: FlaskClient) -> None:
    said = tried(client, system="smtp", code="550", text="550-mx: Relay access\n550 denied")
    assert "Mailserver leitet unsere Nachricht nicht weiter" in said


def test_what_the_program_would_do_is_about_this_very_answer(client: FlaskClient) -> None:
    full = "Mailbox is full"
    for_good = tried(client, system="smtp", code="552", text=f"552 5.2.2 {full}")
    for_now = tried(client, system="smtp", code="452", text=f"452 4.2.2 {full}")
    assert "Kein neuer Versuch." in for_good
    assert "Versucht es von selbst wieder" in for_now


def test_nothing_typed_shows_only_the_form_and_too_much_says_so(client: FlaskClient) -> None:
    assert "Die Nachricht würde zeigen" not in tried(client, system="smtp")
    page = client.get(TRY).text
    data = {"csrf_token": token_in(page), "system": "smtp", "code": "550", "text": "x" * 5_000}
    assert client.post(TRY, data=data).status_code == 422


def test_one_click_calls_an_answer_the_same_as_a_similar_one(
    client: FlaskClient, clinic: Clinic
) -> None:
    draft = seen(clinic, VACATION)
    page = client.get(f"/dispatch/errors/drafts/{draft}").text
    same = re.search(r'action="([^"]*/same)".*?name="entry" value="(\d+)"', page, re.DOTALL)
    assert same is not None, "similar entries stand beside it"
    done = client.post(same[1], data={"csrf_token": token_in(page), "entry": same[2]})
    assert done.status_code == 303
    shown = text_of(client.get(done.location).text)
    assert "Diese Antwort bedeutet dasselbe wie" in shown
    assert "einem anderen Eintrag gleichgestellt" in shown
    found = service.explain(clinic.dispatch, VACATION).entry
    assert found is not None
    assert found.same_as == int(same[2])


def test_one_click_takes_no_whole_code_along(client: FlaskClient, clinic: Clinic) -> None:
    draft = seen(clinic, Answer(system="smtp", code="550", text="550 mx9.praxis-roth.de"))
    page = client.get(f"/dispatch/errors/drafts/{draft}").text
    data = {"csrf_token": token_in(page), "entry": str(entry_of(clinic, "5.1.1").id)}
    done = client.post(f"/dispatch/errors/drafts/{draft}/same", data=data)
    assert done.location.endswith(f"/drafts/{draft}?said=unclear")
    assert "Ein Klick genügt hier nicht" in client.get(done.location).text
    plain = service.explain(clinic.dispatch, Answer(system="smtp", code="550", text="550 no"))
    assert plain.entry is not None
    assert plain.entry.origin == "shipped"


@pytest.mark.parametrize("entry", ["", "x", "0", "99999999999999999999", "\0", "-1"])
def test_the_same_as_nothing_is_no_entry(client: FlaskClient, clinic: Clinic, entry: str) -> None:
    draft = seen(clinic, UNKNOWN)
    page = client.get(f"/dispatch/errors/drafts/{draft}").text
    data = {"csrf_token": token_in(page), "entry": entry}
    assert client.post(f"/dispatch/errors/drafts/{draft}/same", data=data).status_code == 404


def test_a_change_is_taken_back_from_the_history(client: FlaskClient, clinic: Clinic) -> None:
    entry = entry_of(clinic, "5.1.1")
    address = f"/dispatch/errors/{entry.id}"
    editing.change_entry(
        clinic.dispatch, entry.id, content={"short.de": "Kennt niemand"}, by="A. Kern"
    )
    page = client.get(address).text
    assert "geändert · A. Kern" in text_of(page)
    undo = re.search(r'action="([^"]*/undo)"', page)
    assert undo is not None
    done = client.post(undo[1], data={"csrf_token": token_in(page)})
    assert "Zurückgenommen." in client.get(done.location).text
    assert entry_of(clinic, "5.1.1").text("short", "de") == entry.text("short", "de")
    assert client.post(undo[1], data={"csrf_token": token_in(page)}).status_code == 409
    gone = client.post("/dispatch/errors/changes/999999/undo", data={"csrf_token": token_in(page)})
    assert gone.status_code == 404


def test_one_language_is_restored_alone(client: FlaskClient, clinic: Clinic) -> None:
    entry = entry_of(clinic, "5.1.1")
    words = {"short.de": "Kennt niemand", "short.en": "Nobody knows it"}
    editing.change_entry(clinic.dispatch, entry.id, content=words, by="A. Kern")
    page = client.get(f"/dispatch/errors/{entry.id}").text
    assert "Mitgelieferten Text wiederherstellen: Deutsch" in text_of(page)
    assert "Mitgelieferten Text wiederherstellen: Русский" not in text_of(page)
    data = {"csrf_token": token_in(page), "language": "de"}
    client.post(f"/dispatch/errors/{entry.id}/restore", data=data)
    assert entry_of(clinic, "5.1.1").own == {"short.en"}
    strange = client.post(f"/dispatch/errors/{entry.id}/restore", data={**data, "language": "xx"})
    assert strange.status_code == 400


def test_an_entry_out_of_use_has_no_form(client: FlaskClient, clinic: Clinic) -> None:
    own = editing.add_entry(
        clinic.dispatch, system="smtp", code="5.9.1", content={"short.de": "x"}, by=""
    )
    address = f"/dispatch/errors/{own.id}"
    page = client.get(address).text
    fields = fields_of(page, action=address)
    editing.restore_entry(clinic.dispatch, own.id, by="")
    assert 'name="short.de"' not in client.get(address).text
    assert client.post(address, data=fields).status_code == 409
