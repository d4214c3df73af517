"""The pages of messages as a browser without JavaScript gets them."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.engine.store import sign_of_life
from clinic_dispatch_plugin.error_reference.editing import add_entry
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.messages import store
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.rules import unsubscribe_token
from clinic_dispatch_plugin.queue.doorbell import Doorbell
from tests.clinic.browsing import submit, token_in
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import LOST, MAILBOX_FULL, STRANGE, UNKNOWN_USER, Mailbag

LISTED = re.compile(r'<tr id="m(\d+)">')
READING = frozenset({Action.VIEW})
JSON = {"Accept": "application/json"}


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    config = {
        "CLINIC_DISPATCH_EMAIL_URL": "smtp://127.0.0.1:2525",
        "CLINIC_DISPATCH_EMAIL_FROM": "klinik@example.org",
    }
    return make_clinic(tmp_path, config=config)


@pytest.fixture
def bag(clinic: Clinic) -> Mailbag:
    return Mailbag(clinic.dispatch)


@pytest.fixture
def mailing(bag: Mailbag) -> int:
    return bag.mailing()


def page_of(client: FlaskClient, path: str, *, status: int = 200, **kw: Any) -> str:
    answer = client.get(f"/dispatch{path}", **kw)
    assert answer.status_code == status, answer.text
    return answer.text


def listed(html: str) -> list[int]:
    return [int(found) for found in LISTED.findall(html)]


def test_a_clinic_that_never_sent_anything_is_told_what_will_stand_there(
    client: FlaskClient,
) -> None:
    assert "Es wurde noch keine Nachricht gesendet" in page_of(client, "/")


def test_the_list_leads_from_page_to_page_and_back(
    client: FlaskClient, bag: Mailbag, mailing: int
) -> None:
    for _ in range(120):
        bag.message(mailing, attempt="accepted")
    first = page_of(client, "/")
    assert listed(first) == list(range(120, 70, -1))
    after = re.search(r'href="/dispatch(/\?after=[^"]+)"', first)
    assert after is not None
    second = page_of(client, after[1])
    assert listed(second) == list(range(70, 20, -1))
    before = re.search(r'href="/dispatch(/\?before=[^"]+)"', second)
    assert before is not None
    assert listed(page_of(client, before[1])) == listed(first)


def test_a_mailing_shows_failures_first_grouped_by_cause_with_what_helps(
    client: FlaskClient, bag: Mailbag, mailing: int
) -> None:
    good = bag.message(mailing, "delivered", attempt="accepted")
    waits = bag.message(mailing, "queued", answer=MAILBOX_FULL, attempt="refused", due_in=900)
    bad = bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
    strange = bag.message(mailing, "undelivered", answer=STRANGE, attempt="refused")
    html = page_of(client, f"/mailings/{mailing}")
    assert listed(html) == [strange, bad, waits, good]
    assert html.index("Postfach gibt es nicht") < html.index("Postfach ist voll")
    for words in (
        "1 Adresse berichtigen",
        "Noch nicht beschriebener Fehler 5.9.9",
        "Zorgon says no",
        "Beschreibung ergänzen",
        "Jetzt versuchen",
        "nächster Versuch",
    ):
        assert words in html


def test_ticked_messages_are_sent_again_and_the_page_says_how_many(
    client: FlaskClient, bag: Mailbag, mailing: int
) -> None:
    bad = [
        bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
        for _ in range(2)
    ]
    gone = bag.message(mailing, "delivered", attempt="accepted")
    page = f"/dispatch/mailings/{mailing}"
    answer = submit(
        client, page, {"ids": [*bad, gone], "back": page}, to="/dispatch/messages/resend"
    )
    assert answer.status_code == 303 and answer.location.startswith(page)
    html = client.get(answer.location).text
    assert "2 Nachrichten werden erneut gesendet." in html
    assert "1 hat sich inzwischen geändert" in html
    assert [bag.row(found)["state"] for found in (*bad, gone)] == ["queued", "queued", "delivered"]


def test_all_of_a_cause_are_sent_again_from_its_button(
    client: FlaskClient, bag: Mailbag, mailing: int
) -> None:
    refused = Answer(system="smtp", code="5.7.1", text="550 5.7.1 rejected as spam")
    for _ in range(60):
        bag.message(mailing, "undelivered", answer=refused, attempt="refused")
    page = f"/dispatch/mailings/{mailing}"
    html = client.get(page).text
    cause = re.search(r'name="cause" value="(entry:[^"]+)"', html)
    assert cause is not None
    data = {"all": "1", "mailing": mailing, "cause": cause[1], "back": page}
    answer = submit(client, page, data, to="/dispatch/messages/resend")
    assert "n=60" in answer.location


def test_nothing_ticked_is_said_and_nothing_is_sent(
    client: FlaskClient, bag: Mailbag, mailing: int
) -> None:
    bag.message(mailing, "undelivered", answer=UNKNOWN_USER)
    answer = submit(client, "/dispatch/", {}, to="/dispatch/messages/resend")
    assert "kreuzen sie zuerst" in client.get(answer.location).text.lower()


def test_an_address_is_corrected_in_its_row_without_a_script(
    client: FlaskClient, clinic: Clinic, bag: Mailbag, mailing: int
) -> None:
    bad = bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused", ref="p9")
    page = f"/dispatch/mailings/{mailing}"
    to = f"/dispatch/messages/{bad}/address"

    wrong = submit(client, page, {"address": "anna@", "back": page}, to=to)
    assert wrong.status_code == 422
    assert 'value="anna@"' in wrong.text and 'aria-invalid="true"' in wrong.text
    assert "Adresse oder Nummer kann nicht stimmen" in wrong.text

    right = submit(client, page, {"address": " anna.neu@example.org ", "back": page}, to=to)
    assert right.status_code == 303
    html = client.get(right.location).text
    assert "Die Adresse steht in der Patientenkarte" in html
    assert clinic.host.updates == [("p9", "email", "anna.neu@example.org")]
    detail = page_of(client, f"/messages/{bad}")
    assert "anna1@example.org" in detail, "the first try keeps the address it went to"
    assert "Adresse berichtigt von A. Kern" in detail


def test_a_script_gets_the_new_row_or_the_fault(
    client: FlaskClient, clinic: Clinic, bag: Mailbag, mailing: int
) -> None:
    clinic.host.allows_updates = False
    bad = bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
    page = f"/dispatch/mailings/{mailing}"
    to = f"/dispatch/messages/{bad}/address"
    wrong = submit(client, page, {"address": ""}, to=to, headers=JSON)
    assert (wrong.status_code, wrong.json) == (422, {"fault": "Bitte geben Sie eine Adresse ein."})
    right = submit(client, page, {"address": "neu@example.org"}, to=to, headers=JSON)
    assert right.json is not None
    assert f'<tr id="m{bad}">' in right.json["html"] and "neu@example.org" in right.json["html"]
    assert "ließ sich von hier nicht ändern" in right.json["said"]


def test_a_message_explains_itself_with_its_whole_history(
    client: FlaskClient, bag: Mailbag, mailing: int
) -> None:
    bad = bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused", ref="p9")
    html = page_of(client, f"/messages/{bad}")
    for words in (
        "Was ist passiert?",
        "Was hilft?",
        "Wer kann es beheben?",
        "Recipient address rejected: User unknown",
        "Versuch 1: abgewiesen",
        "Geplant von A. Kern",
        'href="/patients/p9"',
        "An Support senden",
    ):
        assert words in html


def test_describing_a_draft_changes_what_the_old_message_says(
    client: FlaskClient, clinic: Clinic, bag: Mailbag, mailing: int
) -> None:
    strange = bag.message(mailing, "undelivered", answer=STRANGE, attempt="refused")
    assert "Zorgon mag keine Zahlen" not in page_of(client, f"/messages/{strange}")
    content = {"short.de": "Zorgon mag keine Zahlen"}
    add_entry(clinic.dispatch, system="smtp", code="5.9.9", content=content, by="A. Kern")
    assert "Zorgon mag keine Zahlen" in page_of(client, f"/messages/{strange}")
    assert "Zorgon mag keine Zahlen" in page_of(client, f"/mailings/{mailing}")


def test_an_uncertain_message_is_decided_by_a_person_who_knows_the_risk(
    client: FlaskClient, bag: Mailbag, mailing: int
) -> None:
    doubt = bag.message(mailing, "uncertain", answer=LOST, attempt="uncertain")
    page = f"/dispatch/messages/{doubt}"
    to = "/dispatch/messages/settle"
    none = submit(client, page, {"ids": doubt, "back": page}, to=to)
    assert none.status_code == 422 and "wählen Sie eine" in none.text
    data = {"ids": doubt, "choice": "send_again", "back": page}
    blind = submit(client, page, data, to=to)
    assert blind.status_code == 422 and "zweimal ankommen" in blind.text
    assert f'name="ids" value="{doubt}"' in blind.text
    assert bag.row(doubt)["state"] == "uncertain"
    sure = submit(client, page, {**data, "may_arrive_twice": "1"}, to=to)
    assert sure.status_code == 303 and bag.row(doubt)["state"] == "queued"


def test_a_stopped_account_is_said_first_and_checked_again(
    client: FlaskClient, bag: Mailbag, mailing: int
) -> None:
    bag.message(mailing, "queued")
    account = bag.stop_account(
        Answer(system="smtp", code="5.7.8", text="535 5.7.8 Authentication credentials invalid")
    )
    page = f"/dispatch/mailings/{mailing}"
    html = client.get(page).text
    assert "Das Konto ist gestoppt" in html and "credentials invalid" in html
    assert "Angehalten" in html
    answer = submit(client, page, {"back": page}, to=f"/dispatch/accounts/{account}/check")
    assert "Das Konto ist gestoppt" not in client.get(answer.location).text


def test_a_mailing_on_hold_says_why(client: FlaskClient, bag: Mailbag) -> None:
    mailing = bag.mailing(state="paused", pause_reason="spam")
    bag.message(mailing, "queued")
    html = page_of(client, f"/mailings/{mailing}")
    assert "zu viele Nachrichten aus derselben Ursache" in html and "Angehalten" in html


def test_that_no_worker_is_there_is_said_until_one_gives_a_sign_of_life(
    client: FlaskClient, clinic: Clinic, mailing: int, redis_url: str
) -> None:
    settings = clinic.dispatch.settings
    clinic.dispatch.doorbell = Doorbell(
        url=redis_url, data_dir=settings.data_dir, prefix=settings.queue_prefix
    )
    assert "läuft kein Worker" in page_of(client, f"/mailings/{mailing}")
    clinic.dispatch.database.run(
        lambda connection: sign_of_life(
            connection, name="here:1", host="here", version="0", concurrency=1
        )
    )
    assert "läuft kein Worker" not in page_of(client, f"/mailings/{mailing}")


def test_the_numbers_count_live_while_the_mailing_runs(
    client: FlaskClient, bag: Mailbag, mailing: int
) -> None:
    bag.message(mailing, "undelivered", answer=UNKNOWN_USER)
    said = client.get(f"/dispatch/mailings/{mailing}/counts.json").json
    assert said is not None
    assert (said["live"], said["failed"], said["counts"]) == (True, 1, {"undelivered": 1})
    assert "nicht zugestellt" in said["html"]
    done = bag.mailing(state="finished")
    assert (client.get(f"/dispatch/mailings/{done}/counts.json").json or {})["live"] is False


def test_the_words_of_a_message_are_shown_only_with_the_right_and_a_trace(
    client: FlaskClient, clinic: Clinic, bag: Mailbag, mailing: int
) -> None:
    message = bag.message(mailing, name="Berger, Anna")
    assert "bis morgen" not in page_of(client, f"/messages/{message}")
    html = page_of(client, f"/messages/{message}/contents")
    assert "Guten Tag Berger, Anna, bis morgen." in html
    frame = client.get(f"/dispatch/messages/{message}/contents.html")
    assert "default-src 'none'" in frame.headers["Content-Security-Policy"]
    assert [line["action"] for line in bag.trail(message)] == ["view_contents"] * 2
    clinic.host.actions = READING
    page_of(client, f"/messages/{message}/contents", status=403)
    page_of(client, f"/messages/{message}/contents.html", status=403)
    assert "Text ansehen" not in page_of(client, f"/messages/{message}")
    assert len(bag.trail(message)) == 2


def test_who_may_only_look_sees_no_button_and_moves_nothing(
    client: FlaskClient, clinic: Clinic, bag: Mailbag, mailing: int
) -> None:
    bad = bag.message(mailing, "undelivered", answer=UNKNOWN_USER)
    token = token_in(page_of(client, f"/messages/{bad}"))
    clinic.host.actions = READING
    for path in (f"/mailings/{mailing}", f"/messages/{bad}"):
        html = page_of(client, path)
        assert 'method="post"' not in html and "Postfach gibt es nicht" in html
    for to in ("resend", "settle", "retry", f"{bad}/address"):
        data = {"ids": bad, "csrf_token": token}
        assert client.post(f"/dispatch/messages/{to}", data=data).status_code == 403
    assert bag.row(bad)["state"] == "undelivered"


def test_anothers_message_and_a_missing_one_look_alike(
    client: FlaskClient, clinic: Clinic, bag: Mailbag, mailing: int
) -> None:
    hidden = bag.message(mailing, "undelivered", answer=UNKNOWN_USER, ref="secret", name="Geheim")
    bag.message(mailing, "undelivered", answer=UNKNOWN_USER)
    clinic.host.hidden = {"secret"}
    for tail in ("", "/contents", "/contents.html", "/report.txt", "/address"):
        there = client.get(f"/dispatch/messages/{hidden}{tail}")
        missing = client.get(f"/dispatch/messages/987654{tail}")
        assert there.status_code == missing.status_code == 404
        assert there.text == missing.text
    for path in ("/", f"/mailings/{mailing}", "/messages.csv", "/?q=Geheim"):
        html = page_of(client, path)
        assert "Geheim" not in html.replace('value="Geheim"', "").replace("q=Geheim", "")
    assert "<b>1</b> nicht zugestellt" in page_of(client, f"/mailings/{mailing}")


def test_the_file_for_spreadsheets_holds_no_formula(
    client: FlaskClient, bag: Mailbag, mailing: int
) -> None:
    for sign in ("=", "+", "-", "@", "\t", "\r"):
        bag.message(mailing, name=f"{sign}cmd|'/C calc'!A0", address=f"{sign}x@example.org")
    bag.message(mailing, name='Berger; "Anna"')
    answer = client.get("/dispatch/messages.csv")
    assert answer.mimetype == "text/csv" and answer.data.startswith("\ufeff".encode())
    rows = list(
        csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"), newline=""), delimiter=";")
    )
    assert len(rows) == 8 and rows[0][2] == "Empfänger"
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert rows[1][2] == 'Berger; "Anna"'


def test_the_file_has_the_lists_filter(client: FlaskClient, bag: Mailbag, mailing: int) -> None:
    bag.message(mailing, "delivered")
    bad = bag.message(mailing, "undelivered", answer=UNKNOWN_USER)
    html = page_of(client, "/?state=undelivered")
    assert 'href="/dispatch/messages.csv?state=undelivered"' in html
    rows = page_of(client, "/messages.csv?state=undelivered").splitlines()
    assert len(rows) == 2 and rows[1].startswith(f"{bad};")


def test_a_report_for_support_is_a_text_file_without_the_patient(
    client: FlaskClient, bag: Mailbag, mailing: int
) -> None:
    bad = bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
    answer = client.get(f"/dispatch/messages/{bad}/report.txt")
    assert answer.mimetype == "text/plain" and "attachment" in answer.headers["Content-Disposition"]
    assert "5.1.1" in answer.text and "Berger" not in answer.text and "@example" not in answer.text


@pytest.mark.parametrize("kind", ["known", "unknown", "rubbish"])
def test_everybody_may_unsubscribe_and_learns_nothing(
    client: FlaskClient, clinic: Clinic, kind: str
) -> None:
    clinic.host.actor = None
    digest = fingerprint(clinic.dispatch, "email", "anna@example.org")
    token = unsubscribe_token("k" * 40, "email", "promotion", digest)
    path = {"known": token, "unknown": token[:-2] + "zz", "rubbish": "%00%ff'--"}[kind]
    asked = client.get(f"/dispatch/unsubscribe/{path}")
    assert asked.status_code == 200 and "Keine Nachrichten dieser Art mehr?" in asked.text
    assert "Klinik am Park" not in asked.text
    with clinic.dispatch.database.begin() as connection:
        assert store.blocked(connection, "email", [digest], "promotion") == {}
    done = client.post(f"/dispatch/unsubscribe/{path}", data={"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200 and "Erledigt" in done.text
    with clinic.dispatch.database.begin() as connection:
        found = store.blocked(connection, "email", [digest], "promotion")
    assert (digest in found) is (kind == "known")


RUBBISH = [
    "\x00",
    "'; DROP TABLE dispatch_message; --",
    "<script>",
    "\ud800",
    "9" * 40,
    "-1",
    "ä" * 5000,
]


@pytest.mark.parametrize("value", RUBBISH)
@pytest.mark.parametrize(
    "name",
    ["q", "channel", "state", "cause", "mailing", "from", "to", "after", "before", "correct"],
)
def test_rubbish_in_an_address_is_a_clear_page(
    client: FlaskClient, bag: Mailbag, mailing: int, name: str, value: str
) -> None:
    bag.message(mailing, "undelivered", answer=UNKNOWN_USER)
    query = {name: value.encode("utf-8", "surrogatepass")}
    for path in ("/dispatch/", f"/dispatch/mailings/{mailing}", "/dispatch/messages.csv"):
        answer = client.get(path, query_string=query)
        too_long = name == "q" and len(value) > 200
        assert answer.status_code in ((422,) if too_long else (200, 400)), answer.text
        assert "<script>" not in answer.text.replace('<script type="module"', "")


@pytest.mark.parametrize(
    "data",
    [
        {"ids": "x"},
        {"ids": "9" * 30},
        {"ids": ["1"] * 20_001},
        {"all": "1"},
        {"all": "1", "mailing": "x"},
        {"all": "1", "mailing": "1", "state": "rubbish"},
        {"all": "1", "mailing": "999999", "cause": "\x00:'"},
        {"ids": "1", "back": "https://evil.example/"},
        {"ids": "1", "back": "//evil.example"},
    ],
)
def test_rubbish_in_a_form_moves_nothing_and_leads_nowhere_else(
    client: FlaskClient, bag: Mailbag, mailing: int, data: dict[str, Any]
) -> None:
    bag.message(mailing, "delivered")
    bag.message(mailing, "undelivered", answer=UNKNOWN_USER)
    answer = submit(client, f"/dispatch/mailings/{mailing}", data, to="/dispatch/messages/resend")
    assert answer.status_code in (303, 400, 413)
    assert answer.headers.get("Location", "/dispatch/").startswith("/dispatch/")
    assert bag.row(2)["state"] == "undelivered"


def test_names_and_answers_are_shown_as_text_never_as_markup(
    client: FlaskClient, bag: Mailbag, mailing: int
) -> None:
    evil = Answer(system="smtp", code="5.9.9", text="599 <img src=x onerror=alert(1)>")
    message = bag.message(
        mailing, "undelivered", answer=evil, attempt="refused", name="<b onmouseover=x>Eva</b>"
    )
    for path in ("/", f"/mailings/{mailing}", f"/messages/{message}"):
        html = page_of(client, path)
        assert "<img src=x" not in html and "<b onmouseover" not in html


@pytest.mark.parametrize("language", ["de", "en", "ru"])
def test_every_page_is_there_in_three_languages(
    client: FlaskClient, clinic: Clinic, bag: Mailbag, mailing: int, language: str
) -> None:
    clinic.host.language = language
    bad = bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
    title = {"de": "Nachrichten", "en": "Messages", "ru": "Сообщения"}[language]
    assert f"<h1>{title}</h1>" in page_of(client, "/")
    happened = {"de": "Was ist passiert?", "en": "What happened?", "ru": "Что случилось?"}
    assert happened[language] in page_of(client, f"/messages/{bad}")
