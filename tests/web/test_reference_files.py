"""The pages that carry the reference out and in, show its state and print it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from clinic_dispatch_plugin.error_reference import bytes_read, editing, importing, kept_files
from tests.clinic.browsing import fields_of, token_in
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import STRANGE, UNKNOWN_USER, Mailbag
from tests.web.test_reference_pages import entry_of, text_of

FILES = "/dispatch/errors/files"
HEAD = '{"format": "clinic-dispatch-reference", "version": 2}\n'
OWN = {"origin": "clinic", "system": "smtp", "code": "5.9.1", "own": {"short.de": "Zorgon streikt"}}
RECEPTION = {"X-Actor": "reception"}


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = make_clinic(
        tmp_path,
        config={
            "CLINIC_DISPATCH_EMAIL_URL": "smtp://127.0.0.1:9",
            "CLINIC_DISPATCH_EMAIL_FROM": "praxis@clinic.example",
        },
    )
    yield made
    made.dispatch.database.dispose()


def lines(*rows: object) -> bytes:
    return (HEAD + "".join(json.dumps(row) + "\n" for row in rows)).encode()


def handed_in(client: FlaskClient, content: bytes, name: str = "words.jsonl") -> TestResponse:
    token = token_in(client.get(FILES).text)
    data = {"csrf_token": token, "file": (BytesIO(content), name)}
    return client.post(FILES, data=data)


def agreed(client: FlaskClient, page: str) -> TestResponse:
    address = f"{FILES}/import"
    return client.post(address, data=fields_of(page, action=address))


def kept(clinic: Clinic) -> list[Path]:
    return list(kept_files.folder(clinic.dispatch).iterdir())


def test_a_file_is_looked_at_then_imported_and_taken_back(
    client: FlaskClient, clinic: Clinic
) -> None:
    entry = entry_of(clinic, "5.1.1")
    shipped = {"origin": "shipped", "system": "smtp", "code": "5.1.1"}
    wrong = {**OWN, "code": "5.9.2", "own": {"short.de": "x", "who": "you"}}
    content = lines(OWN, {**shipped, "own": {"short.de": "Kennt niemand"}}, wrong)
    looked = client.get(handed_in(client, content).location)
    said = text_of(looked.text)
    assert "Neu 1" in said and "Geändert 1" in said and "Abgewiesen 1" in said
    assert f"{entry.text('short', 'de')} Kennt niemand" in said
    assert "4 smtp 5.9.2 (clinic) Wer kann es beheben? Wählen Sie eines davon: Patient" in said
    assert not entry_of(clinic, "5.1.1").changed, "looking changes nothing"
    done = agreed(client, looked.text)
    assert done.status_code == 303
    page = client.get(done.location).text
    assert "Importiert: 2 Einträge sind neu oder geändert." in text_of(page)
    assert entry_of(clinic, "5.1.1").text("short", "de") == "Kennt niemand"
    assert entry_of(clinic, "5.9.1", origin="clinic").text("short", "de") == "Zorgon streikt"
    assert kept(clinic) == []
    history = text_of(client.get(f"/dispatch/errors/{entry.id}").text)
    assert "aus einer Datei gelesen · A. Kern" in history

    back = client.post(f"{FILES}/undo", data=fields_of(page, action=f"{FILES}/undo"))
    assert "Zurückgenommen: 2 Einträge sind wie vor dem Import." in text_of(
        client.get(back.location).text
    )
    assert not entry_of(clinic, "5.1.1").changed
    assert "Diesen Import zurücknehmen" not in client.get(FILES).text


def test_what_would_be_different_by_now_is_shown_again(client: FlaskClient, clinic: Clinic) -> None:
    entry = entry_of(clinic, "5.2.2")
    words = {"origin": "shipped", "system": "smtp", "code": "5.2.2", "own": {"short.de": "Voll"}}
    looked = client.get(handed_in(client, lines(words)).location).text
    editing.change_entry(clinic.dispatch, entry.id, content={"short.de": "Randvoll"}, by="B. Lang")
    again = agreed(client, looked)
    assert again.status_code == 409
    assert "inzwischen geändert" in again.text
    assert "Randvoll Voll" in text_of(again.text)
    assert entry_of(clinic, "5.2.2").text("short", "de") == "Randvoll"
    assert agreed(client, again.text).status_code == 303
    assert entry_of(clinic, "5.2.2").text("short", "de") == "Voll"


def test_a_file_of_what_is_there_already_offers_nothing(
    client: FlaskClient, clinic: Clinic
) -> None:
    sheet = client.get(f"{FILES}/export?kind=csv&which=own")
    assert sheet.mimetype == "text/csv"
    assert re.search(r'filename="mailing-fehler-\d{4}-\d\d-\d\d\.csv"', str(sheet.headers))
    said = client.get(handed_in(client, sheet.data, "r.csv").location)
    assert "Alles aus der Datei ist schon da." in said.text
    assert "importieren</button>" not in said.text
    exact = client.get(f"{FILES}/export?kind=jsonl").data
    assert exact == "".join(importing.exported(clinic.dispatch, "jsonl")).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Die Datei ist leer."),
        (b"PK\x03\x04xl/workbook", "speichern Sie sie als „CSV UTF-8“"),
        (b"<html><table>", "Das ist eine Webseite."),
        (b"\x7fELF\0\0", "Das ist keine Textdatei."),
        ("Dienst;Kennzahl\nä".encode("cp1252"), "„CSV UTF-8“"),
        (b"email;name\n", "keine Spalten der Referenz"),
    ],
)  # fmt: skip
def test_a_foreign_file_is_refused_beside_its_field(
    client: FlaskClient, clinic: Clinic, content: bytes, said: str
) -> None:
    before = kept(clinic)
    answer = handed_in(client, content, "x.csv")
    assert answer.status_code == 422
    fault = re.search(r'<p class="cd-fault" id="e-file">(.*?)</p>', answer.text)
    assert fault is not None and said in fault[1]
    assert "Es wurde nichts geändert." in fault[1]
    assert kept(clinic) == before


def test_a_huge_file_is_refused_and_not_kept(
    client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (bytes_read, kept_files):
        monkeypatch.setattr(module, "MOST_BYTES", 1024)
    before = kept(clinic)
    answer = handed_in(client, b"x" * 1025)
    assert answer.status_code == 422
    assert "größer als 0 MiB" in answer.text
    assert kept(clinic) == before


def test_no_file_and_one_that_is_gone_say_so(client: FlaskClient) -> None:
    token = token_in(client.get(FILES).text)
    assert client.post(FILES, data={"csrf_token": token}).status_code == 422
    for key in ("0" * 32, "../../clinic.db", ""):
        assert client.get(f"{FILES}/import?file={key}").status_code == 404
        gone = client.post(f"{FILES}/import", data={"csrf_token": token, "file": key})
        assert gone.status_code == 404
        assert "nicht mehr aufbewahrt" in gone.text
    data = {"csrf_token": token, "import": "never"}
    assert client.post(f"{FILES}/undo", data=data).status_code == 404


def test_files_nobody_agreed_to_do_not_pile_up(client: FlaskClient, clinic: Clinic) -> None:
    for number in range(kept_files.MOST_FILES + 3):
        content = lines({**OWN, "code": f"5.8.{number}"})
        kept_files.keep(clinic.dispatch, BytesIO(content))
    found = kept(clinic)
    assert len(found) == kept_files.MOST_FILES
    assert {each.stat().st_mode & 0o777 for each in found} == {0o600}


def test_reception_exports_and_does_not_import(client: FlaskClient) -> None:
    page = client.get(FILES, headers=RECEPTION)
    assert page.status_code == 200
    assert 'type="file"' not in page.text
    assert client.get(f"{FILES}/export", headers=RECEPTION).status_code == 200
    for address in (FILES, f"{FILES}/import", f"{FILES}/undo"):
        assert client.post(address, headers=RECEPTION).status_code == 403
    more = client.get("/dispatch/errors", headers=RECEPTION).text
    assert ">Exportieren</a>" in more and "Exportieren und importieren" not in more


def test_a_files_words_are_never_html(client: FlaskClient) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    rows = (
        {**OWN, "code": "5.9.3", "own": {"short.de": nasty}},
        {nasty: 1},
        {**OWN, "code": nasty},
    )
    page = client.get(handed_in(client, lines(*rows)).location).text
    assert "<img" not in page
    assert "&lt;img" in page


# State and paper


def test_the_state_shows_what_the_command_says(client: FlaskClient, clinic: Clinic) -> None:
    bag = Mailbag(clinic.dispatch)
    mailing = bag.mailing()
    for _ in range(2):
        bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
    bag.message(mailing, "undelivered", answer=STRANGE, attempt="refused", ref="p9")
    result = clinic.app.test_cli_runner().invoke(
        args=["dispatch", "reference", "health", "--json", "--lang", "de"]
    )
    said = json.loads(result.stdout)
    assert (said["failures"], said["explained"], said["drafts"]) == (3, 2, 1)
    page = client.get("/dispatch/errors/health").text
    text = text_of(page)
    assert "66,6 % von 3 Fehlschlägen hatten eine Erklärung und eine Abhilfe." in text
    assert "Ziel von 95 % ist noch nicht erreicht" in text
    assert f"2 × : die Nachrichten zeigen {said['causes'][0]['note']}" in text
    assert "Noch nicht beschrieben" in text
    assert page.count("<rect") == 1 + 2 * len(said["weeks"])
    assert "style=" not in page.split("data-dispatch-page")[1]
    clinic.host.hidden = {"p9"}
    hidden = text_of(client.get("/dispatch/errors/health").text)
    clinic.host.hidden = set()
    assert "100 % von 2 Fehlschlägen" in hidden, "a patient one may not see is not counted"


def test_the_paper_holds_what_occurred_and_what_is_ours(
    client: FlaskClient, clinic: Clinic
) -> None:
    own = {"short.de": "Nie vorgekommen", "short.ru": "Не встречалось"}
    editing.add_entry(clinic.dispatch, system="smtp", code="5.9.77", content=own, by="A. Kern")
    bag = Mailbag(clinic.dispatch)
    bag.message(bag.mailing(), "undelivered", answer=UNKNOWN_USER, attempt="refused")
    paper = client.get("/dispatch/errors/print")
    assert "Nie vorgekommen" in paper.text
    assert "Postfach gibt es nicht" in paper.text
    assert "Postfach ist voll" not in paper.text
    assert "Klinik am Park" not in paper.text, "the host's page is not printed"
    assert "reference-print.css" in paper.text
    seen = client.get("/dispatch/errors/print?which=seen").text
    assert "Nie vorgekommen" not in seen
    assert "Postfach gibt es nicht" in seen
    russian = client.get("/dispatch/errors/print?language=ru").text
    assert "Не встречалось" in russian
    assert '<html lang="ru">' in russian
    assert client.get("/dispatch/errors/print?language=xx").status_code == 400
