"""The demo clinic's own pages: who gets in, where they are led, what each role sees, and that rubbish harms nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from axe_core_python.sync_playwright import Axe
from flask import Flask, session
from flask.testing import FlaskClient
from playwright.sync_api import Page
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from clinic_dispatch_plugin.demo.adapter import DemoClinic
from clinic_dispatch_plugin.demo.models import Patient, db
from clinic_dispatch_plugin.host.types import Action
from tests.demo.conftest import SignIn, token_of

PAGES = ["/", "/patients", "/patients/P-00042", "/appointments", "/results"]


def post(client: FlaskClient, path: str, **data: str) -> tuple[int, str, str]:
    """Send a form; gives status, where it leads, and the page."""
    answer = client.post(path, data={"form_token": token_of(client, "/patients"), **data})
    return answer.status_code, answer.headers.get("Location", ""), answer.get_data(as_text=True)


def test_whoever_is_not_signed_in_finds_the_form_in_place_of_the_page(clinic: Flask) -> None:
    for path in PAGES:
        answer = clinic.test_client().get(path + "?a=1")
        assert answer.status_code == 401
        assert f'name="next" value="{path}?a=1"' in answer.get_data(as_text=True)


def test_signing_in_leads_where_one_wanted_to_go(clinic: Flask) -> None:
    client = clinic.test_client()
    page = client.get("/sign-in?next=/dispatch/mailings/7?cause=a%26b").get_data(as_text=True)
    assert 'name="next" value="/dispatch/mailings/7?cause=a&amp;b"' in page
    status, where, _ = post(
        client,
        "/sign-in",
        username="empfang",
        password="demo",
        next="/dispatch/mailings/7?cause=a&b",
    )
    assert (status, where) == (302, "/dispatch/mailings/7?cause=a&b")


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\tevil",
        "patients",
        "",
    ],
)
def test_signing_in_leads_nowhere_else(clinic: Flask, elsewhere: str) -> None:
    status, where, _ = post(
        clinic.test_client(), "/sign-in", username="empfang", password="demo", next=elsewhere
    )
    assert (status, where) == (302, "/")


@pytest.mark.parametrize("username", ["empfang", "nobody", "", "'; --", "\0", "x" * 5000])
def test_a_wrong_sign_in_says_so_and_lets_nobody_in(clinic: Flask, username: str) -> None:
    client = clinic.test_client()
    status, _, page = post(client, "/sign-in", username=username, password="falsch")
    assert status == 422
    assert "Benutzername oder Kennwort stimmt nicht." in page
    assert client.get("/").status_code == 401


def test_a_form_without_its_token_is_refused(clinic: Flask, sign_in: SignIn) -> None:
    client = sign_in("empfang")
    for path in ("/sign-in", "/sign-out", "/language", "/patients/P-00042"):
        assert client.post(path, data={"form_token": "ü"}).status_code == 400
        assert client.post(path).status_code == 400
    assert client.get("/").status_code == 200


def test_signing_out_ends_it_and_keeps_the_language(sign_in: SignIn) -> None:
    client = sign_in("empfang")
    assert post(client, "/language", language="ru", next="/patients")[:2] == (302, "/patients")
    assert '<html lang="ru">' in client.get("/").get_data(as_text=True)
    assert post(client, "/sign-out")[0] == 302
    assert client.get("/").status_code == 401
    assert '<html lang="ru">' in client.get("/sign-in").get_data(as_text=True)


@pytest.mark.parametrize(
    ("language", "word"), [("de", "Termine"), ("en", "Appointments"), ("ru", "Приём")]
)
def test_every_page_speaks_the_chosen_language(sign_in: SignIn, language: str, word: str) -> None:
    client = sign_in("empfang")
    post(client, "/language", language=language)
    for path in PAGES:
        page = client.get(path).get_data(as_text=True)
        assert f'<html lang="{language}">' in page
        assert word in page
        assert page.count("<h1") == 1


def test_each_role_sees_its_part_of_the_clinic(sign_in: SignIn) -> None:
    seen = {
        username: [sign_in(username).get(path).status_code for path in PAGES]
        for username in ("empfang", "verwaltung", "marketing", "gast")
    }
    assert seen == {
        "empfang": [200, 200, 200, 200, 200],
        "verwaltung": [200, 200, 200, 200, 200],
        "marketing": [200, 200, 200, 403, 403],
        "gast": [200, 403, 403, 403, 403],
    }
    assert "noch keine Rechte" in sign_in("gast").get("/").get_data(as_text=True)


def test_marketing_neither_sees_protected_cards_nor_changes_any(
    clinic: Flask, sign_in: SignIn
) -> None:
    with clinic.app_context(), Session(db.engine) as database:
        hidden = database.scalars(select(Patient.id).where(Patient.vip)).first()
    client = sign_in("marketing")
    assert client.get(f"/patients/{hidden}").status_code == 403
    assert f"/patients/{hidden}" not in client.get(f"/patients?q={hidden}").get_data(as_text=True)
    assert sign_in("empfang").get(f"/patients/{hidden}").status_code == 200
    assert post(client, "/patients/P-00042", email="a@example.org")[0] == 403


def test_reception_corrects_an_address_on_the_card(clinic: Flask, sign_in: SignIn) -> None:
    client = sign_in("empfang")
    status, where, _ = post(
        client, "/patients/P-00042", email=" neu@example.org ", consent_promotion="no"
    )
    assert (status, where) == (302, "/patients/P-00042")
    page = client.get(where).get_data(as_text=True)
    assert "Die Karte ist gespeichert." in page
    assert 'value="neu@example.org"' in page
    with clinic.app_context():
        found = DemoClinic(clinic).recipient("P-00042")
    assert found is not None
    assert found.addresses["email"] == "neu@example.org"
    assert found.consent["promotion"] == "no"


def test_a_mistake_on_the_card_is_named_beside_the_field_and_nothing_is_saved(
    clinic: Flask, sign_in: SignIn
) -> None:
    status, _, page = post(
        sign_in("empfang"), "/patients/P-00042", email="<b>quatsch", phone="+49 30 23125999"
    )
    assert status == 422
    assert 'id="email-error"' in page
    assert "&lt;b&gt;quatsch" in page
    with clinic.app_context():
        found = DemoClinic(clinic).recipient("P-00042")
    assert found is not None
    assert found.addresses["sms"] != "+49 30 23125999"


@pytest.mark.parametrize(
    "wanted", ["müller", "MÜLLER", "журавлёв", "ЖУРАВЛЁВ", "P-00042", "wolf stefan"]
)
def test_the_search_knows_umlauts_cyrillic_and_numbers(sign_in: SignIn, wanted: str) -> None:
    page = sign_in("empfang").get("/patients", query_string={"q": wanted}).get_data(as_text=True)
    assert "/patients/P-" in page
    assert "344 Patienten" not in page


def test_a_percent_sign_is_searched_as_such(sign_in: SignIn) -> None:
    assert "Nichts gefunden." in sign_in("empfang").get("/patients?q=%25").get_data(as_text=True)


@pytest.mark.parametrize(
    "path",
    [
        "/patients?page=0",
        "/patients?page=999999999999",
        "/patients?page=-1",
        "/patients?page=٣",
        "/patients?q=%00%ed%a0%80",
        "/patients?q=" + "x" * 20000,
        "/patients/P-99999",
        "/patients/%00",
        "/patients/<script>",
        "/appointments?day=morgen",
        "/appointments?day=0001-01-01",
        "/appointments?day=9999-12-31",
        "/appointments?day=%00",
        "/results?new=%00",
        "/sign-in?next=//evil.example/%00",
        "/nowhere",
    ],
)
def test_rubbish_gets_a_page_of_the_clinic(sign_in: SignIn, path: str) -> None:
    answer = sign_in("empfang").get(path)
    assert answer.status_code < 500
    if answer.status_code != 302:
        page = answer.get_data(as_text=True)
        assert "Klinik am Park" in page
        assert "<script" not in page


def test_every_answer_carries_the_strict_policy(sign_in: SignIn) -> None:
    client = sign_in("empfang")
    for path in [*PAGES, "/nowhere", "/static/clinic.css"]:
        with client.get(path) as answer:
            policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
    for path in PAGES:
        page = client.get(path).get_data(as_text=True)
        assert "<script" not in page
        assert " style=" not in page
        assert "<style" not in page


def test_the_adapter_knows_who_is_signed_in(clinic: Flask) -> None:
    host = DemoClinic(clinic)
    with clinic.test_request_context("/"):
        session["user"] = "marketing"
        session["language"] = "ru"
        clinic.preprocess_request()
        actor = host.current_actor()
        assert actor is not None
        assert (actor.ref, actor.name) == ("marketing", "Jonas Wolf")
        assert actor.addresses == {"email": "marketing@klinik-am-park.example"}
        assert host.is_allowed(actor, Action.SEND)
        assert not host.is_allowed(actor, Action.VIEW_CONTENTS)
        assert [each.key for each in host.audiences()] == ["birthdays", "all"]
        with pytest.raises(ValueError, match="получателей"):
            list(host.recipients("appointments", {}))
        assert host.update_address("P-00042", "email", "a@example.org") is False
        assert host.locale() == "ru"
        assert host.recipient_url("P-00042") == "/patients/P-00042"
    with clinic.test_request_context("/"):
        clinic.preprocess_request()
        assert host.current_actor() is None
        assert host.locale() == "de"


def test_links_lead_below_the_path_the_clinic_is_mounted_at(clinic: Flask) -> None:
    answer = clinic.test_client().get("/patients", environ_overrides={"SCRIPT_NAME": "/intern"})
    page = answer.get_data(as_text=True)
    assert 'name="next" value="/intern/patients"' in page
    assert 'action="/intern/sign-in"' in page


@pytest.fixture
def address(clinic: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, clinic, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_is_accessible_and_fits(page: Page, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{address}/sign-in?next=/")
    _is_good(page, width)
    page.fill("#username", "empfang")
    page.fill("#password", "demo")
    page.press("#password", "Enter")
    page.wait_for_url(f"{address}/")
    for path in PAGES:
        page.goto(address + path)
        _is_good(page, width)


def _is_good(page: Page, width: int) -> None:
    found = Axe().run(page)["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
