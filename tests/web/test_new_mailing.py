"""A mailing from the first click to the last, page by page, and what the pages say to rubbish."""

from __future__ import annotations

import csv
import dataclasses
import html as html_module
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from clinic_dispatch_plugin.channels.types import Account, Answer
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.host.types import Action, Audience, Consent, FilterField, Recipient
from clinic_dispatch_plugin.mailings import check_views, texts, uploads
from clinic_dispatch_plugin.messages.mailing_tables import Mailing, Revision
from clinic_dispatch_plugin.messages.tables import Audit, Message
from tests.clinic.browsing import fields_of, submit, token_in
from tests.clinic.host import Clinic, make_clinic
from tests.store.letters import LetterPlugin

HOME = "/dispatch/mailings"
TEXT = {
    "name": "Termine",
    "subject": "Ihr Termin",
    "text": "Guten Tag {{ name }}, Raum {{ room }}.",
}


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    plugin = LetterPlugin()
    made = make_clinic(tmp_path, plugins=[plugin])
    made.extra["channel"] = plugin.channel
    day = FilterField(key="day", label="Tag", kind="date", required=True, default="2026-11-24")
    doctor = FilterField(key="doctor", label="Arzt", kind="choice", choices=[("k", "Dr. Kern")])
    made.host.audience_list = [
        Audience(
            key="day",
            label="Termine eines Tages",
            filters=[day, doctor],
            placeholders=["room"],
            purpose="reminder",
        )
    ]
    made.host.patients = {ref: patient(ref) for ref in ("1", "2", "3")}
    yield made
    made.dispatch.database.dispose()


@pytest.fixture
def client(clinic: Clinic) -> FlaskClient:
    return clinic.app.test_client()


def patient(ref: str, **changes: Any) -> Recipient:
    values: dict[str, Any] = {
        "name": f"Frau {ref}",
        "locale": "de",
        "addresses": {"letter": f"{ref}@example.org"},
        "values": {"room": "214"},
    }
    return Recipient(ref=ref, **{**values, **changes})


def scalar(clinic: Clinic, query: Any) -> Any:
    with clinic.dispatch.database.begin() as connection:
        return connection.execute(query).scalar()


def messages(clinic: Clinic) -> int:
    return int(scalar(clinic, select(func.count()).select_from(Message)))


def state(clinic: Clinic, mailing_id: int = 1) -> str:
    return str(scalar(clinic, select(Mailing.state).where(Mailing.id == mailing_id)))


def choose(client: FlaskClient, **changes: Any) -> TestResponse:
    data = {"whom": "audience:day", "filter.day.day": "2026-11-24", "purpose": "", **changes}
    return submit(client, f"{HOME}/new", data)


def upload(client: FlaskClient, content: bytes | str, **changes: Any) -> TestResponse:
    raw = content.encode() if isinstance(content, str) else content
    page = client.get(f"{HOME}/new").text
    data = {
        "csrf_token": token_in(page),
        "whom": "file",
        "purpose": "service",
        "file": (io.BytesIO(raw), "list.csv"),
        **changes,
    }
    return client.post(f"{HOME}/new", data=data, content_type="multipart/form-data")


def write(client: FlaskClient, mailing_id: int = 1, **changes: str) -> TestResponse:
    data = {**TEXT, "go": "next", **changes}
    return submit(client, f"{HOME}/{mailing_id}/what", data)


def draft(client: FlaskClient, **changes: str) -> None:
    assert choose(client).status_code == 303
    assert write(client, 1, **changes).status_code == 303


def press_send(client: FlaskClient, mailing_id: int = 1, **changes: str) -> TestResponse:
    page = client.get(f"{HOME}/{mailing_id}/check")
    sent = fields_of(page.text, action=f"/dispatch/mailings/{mailing_id}/start")
    return client.post(f"{HOME}/{mailing_id}/start", data={**sent, **changes})


def words_of(response: TestResponse) -> str:
    return " ".join(html_module.unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


def test_three_steps_lead_from_whom_to_the_progress_page(
    clinic: Clinic, client: FlaskClient
) -> None:
    clinic.host.patients["4"] = patient("4", addresses={})
    first = choose(client)
    assert first.headers["Location"].endswith("/mailings/1/what")
    second = write(client)
    assert second.headers["Location"].endswith("/mailings/1/check")

    check = client.get(f"{HOME}/1/check")
    assert "3 von 4 Patienten erhalten die Nachricht" in words_of(check)
    assert "Keine Adresse oder Nummer hinterlegt" in check.text
    assert 'href="/patients/4"' in check.text
    assert "An 3 Patienten senden" in words_of(check)
    assert messages(clinic) == 0

    sent = press_send(client)
    assert sent.status_code == 303
    assert sent.headers["Location"].endswith("/mailings/1/progress")
    progress = client.get(f"{HOME}/1/progress")
    assert "Kein Versandprozess läuft" in words_of(progress)
    assert messages(clinic) == 4
    assert scalar(clinic, select(Mailing.purpose)) == "reminder"


def test_looking_at_the_first_step_keeps_nothing(clinic: Clinic, client: FlaskClient) -> None:
    assert client.get(f"{HOME}/new").status_code == 200
    assert choose(client, whom="").status_code == 422
    assert scalar(clinic, select(func.count()).select_from(Mailing)) == 0


def test_pressing_send_twice_starts_once(clinic: Clinic, client: FlaskClient) -> None:
    draft(client)
    page = client.get(f"{HOME}/1/check").text
    data = fields_of(page, action="/dispatch/mailings/1/start")

    first = client.post(f"{HOME}/1/start", data=data)
    second = client.post(f"{HOME}/1/start", data=data)

    assert first.status_code == second.status_code == 303
    assert first.headers["Location"] == second.headers["Location"]
    assert messages(clinic) == 3
    assert scalar(clinic, select(func.count()).where(Audit.action == "send")) == 1


def test_a_count_that_changed_meanwhile_is_shown_before_anything_goes(
    clinic: Clinic, client: FlaskClient
) -> None:
    draft(client)
    page = client.get(f"{HOME}/1/check").text
    data = fields_of(page, action="/dispatch/mailings/1/start")
    answer = client.post(f"{HOME}/1/start", data={**data, "expected": "2"})

    assert answer.status_code == 422
    assert "Inzwischen erhielten 3 statt 2" in words_of(answer)
    assert state(clinic) == "draft"
    assert messages(clinic) == 0


def test_more_than_a_thousand_need_their_number_typed(clinic: Clinic, client: FlaskClient) -> None:
    clinic.host.patients = {str(n): patient(str(n)) for n in range(1_001)}
    draft(client)

    refused = press_send(client)
    assert refused.status_code == 422
    assert "1.001" in words_of(refused)
    assert state(clinic) == "draft"
    assert press_send(client, typed="1.001").status_code == 303
    assert messages(clinic) == 1_001


def test_a_check_of_very_many_goes_on_beside_the_page(
    clinic: Clinic, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_views, "PATIENCE_SECONDS", 0.0)
    clinic.host.patients = {str(n): patient(str(n)) for n in range(5_001)}
    draft(client)

    first = client.get(f"{HOME}/1/check")
    assert "Empfänger geprüft" in words_of(first)
    assert first.headers["Refresh"] == "2"
    monkeypatch.setattr(check_views, "PATIENCE_SECONDS", 60.0)
    assert "5.001 von 5.001 Patienten" in words_of(client.get(f"{HOME}/1/check"))


def test_nobody_to_send_to_starts_nothing(clinic: Clinic, client: FlaskClient) -> None:
    clinic.host.patients = {"1": patient("1", active=False)}
    draft(client)

    answer = press_send(client)

    assert answer.status_code == 422
    assert state(clinic) == "draft"


def test_what_was_typed_stays_when_something_is_wrong_with_it(
    clinic: Clinic, client: FlaskClient
) -> None:
    choose(client)
    answer = write(client, text="Guten Tag {{ nmae }}", subject="")

    assert answer.status_code == 422
    assert "Zeile 1, Spalte 11" in words_of(answer)
    assert "Schreiben Sie einen Betreff." in words_of(answer)
    again = fields_of(client.get(f"{HOME}/1/what").text, action="/dispatch/mailings/1/what")
    assert again["text"] == "Guten Tag {{ nmae }}"
    assert client.get(f"{HOME}/1/check").status_code == 422
    assert messages(clinic) == 0


def test_a_draft_waits_in_the_list_for_its_writer_alone(
    clinic: Clinic, client: FlaskClient
) -> None:
    choose(client)
    assert "Termine eines Tages" in client.get(HOME).text
    clinic.host.actor = "reception"
    clinic.host.actions = frozenset({Action.VIEW, Action.COMPOSE})
    assert "Termine eines Tages" not in client.get(HOME).text
    for page in ("who", "what", "check", "preview"):
        assert client.get(f"{HOME}/1/{page}").status_code in (403, 404)


def test_another_sender_neither_reads_nor_sends_nor_discards_a_draft(
    clinic: Clinic, client: FlaskClient
) -> None:
    draft(client)
    clinic.host.actor = "reception"
    token = token_in(client.get(f"{HOME}/new").text)
    assert f"{HOME}/1/" not in client.get(HOME).text
    for page in ("who", "what", "check", "preview", "progress", "progress.json"):
        assert client.get(f"{HOME}/1/{page}").status_code == 404
    for page in ("who", "what", "draft", "check", "start", "trial", "discard"):
        assert client.post(f"{HOME}/1/{page}", data={"csrf_token": token}).status_code == 404
    assert state(clinic) == "draft"


def test_whoever_administers_discards_anothers_draft_and_the_trail_says_so(
    clinic: Clinic, client: FlaskClient
) -> None:
    clinic.host.actor = "reception"
    choose(client)
    clinic.host.actor = "admin"
    assert "Termine eines Tages" in client.get(HOME).text
    submit(client, f"{HOME}/1/who", to=f"{HOME}/1/discard")
    assert client.get(f"{HOME}/1/what").status_code == 404
    assert scalar(clinic, select(Audit.actor_ref).where(Audit.action == "discard")) == "admin"


def test_a_new_text_a_new_list_and_a_new_draft_are_each_looked_at_anew(
    clinic: Clinic, client: FlaskClient
) -> None:
    looked = select(func.count()).where(Audit.action == "view_contents")
    seen = 0
    for name, text in (("Anna", TEXT["text"]), ("Bert", TEXT["text"])):
        upload(client, f"letter;name;room\na@example.org;{name};1\n")
        for each in (text, f"Neu: {text}"):
            write(client, text=each)
            assert name in words_of(client.get(f"{HOME}/1/what"))
            assert scalar(clinic, looked) > seen
            seen = scalar(clinic, looked)
        submit(client, f"{HOME}/1/who", to=f"{HOME}/1/discard")


def test_a_row_naming_a_hidden_patient_looks_like_one_naming_nobody(
    clinic: Clinic, client: FlaskClient
) -> None:
    shown = []
    for hidden in (set(), {"2"}):
        clinic.host.hidden = hidden
        if not hidden:
            del clinic.host.patients["2"]
        else:
            clinic.host.patients["2"] = patient("2")
        upload(client, "letter;ref;room\na@example.org;1;1\nb@example.org;2;2\n")
        write(client)
        check = words_of(client.get(f"{HOME}/1/check"))
        previews = words_of(client.get(f"{HOME}/1/what?n=1"))
        assert "Frau 2" not in check + previews
        shown.append((check, previews))
        submit(client, f"{HOME}/1/who", to=f"{HOME}/1/discard")
    assert shown[0] == shown[1]
    assert "1 von 2 Patienten erhalten die Nachricht" in shown[0][0]


def test_a_trial_sends_a_value_that_looks_like_a_placeholder_as_it_is(
    clinic: Clinic, client: FlaskClient
) -> None:
    clinic.host.patients = {"1": patient("1", name="{{ room }} {% if")}
    from tests.clinic.host import ACTORS

    writer = type(ACTORS["admin"][0])(ref="admin", name="K", addresses={"letter": "k@example.org"})
    clinic.host.current_actor = lambda: writer  # type: ignore[method-assign]
    draft(client)
    assert submit(client, f"{HOME}/1/check", to=f"{HOME}/1/trial").status_code == 303
    body = scalar(clinic, select(Revision.body))
    assert body.replace("\u2060", "") == "Guten Tag {{ room }} {% if, Raum 214."


def test_someone_who_may_only_write_cannot_send(clinic: Clinic, client: FlaskClient) -> None:
    draft(client)
    clinic.host.actions = frozenset({Action.VIEW, Action.COMPOSE})
    page = client.get(f"{HOME}/1/check")
    assert "dürfen nicht senden" in words_of(page)
    answer = client.post(f"{HOME}/1/start", data={"csrf_token": token_in(page.text)})
    assert answer.status_code == 403
    assert state(clinic) == "draft"


def test_a_preview_shows_a_real_patient_and_writes_down_who_looked(
    clinic: Clinic, client: FlaskClient
) -> None:
    draft(client)
    page = client.get(f"{HOME}/1/what?n=1")
    assert "Guten Tag Frau 2, Raum 214." in words_of(page)
    looked = select(func.count()).where(Audit.action == "view_contents")
    seen = scalar(clinic, looked)
    assert seen >= 1
    client.get(f"{HOME}/1/what?n=1")
    assert scalar(clinic, looked) == seen

    clinic.host.actions = frozenset({Action.VIEW, Action.COMPOSE})
    page = client.get(f"{HOME}/1/what?n=1")
    assert "Frau 2" not in page.text
    assert "Guten Tag [name], Raum [room]." in words_of(page)
    assert client.get(f"{HOME}/1/preview").status_code == 403


def test_a_preview_leaves_out_whom_the_reader_may_not_see(
    clinic: Clinic, client: FlaskClient
) -> None:
    clinic.host.patients["3"] = patient("3", addresses={})
    clinic.host.hidden = {"1", "3"}
    draft(client)
    assert "Guten Tag Frau 2" in words_of(client.get(f"{HOME}/1/what"))
    check = client.get(f"{HOME}/1/check")
    assert "Frau 3" not in check.text
    assert "1, dessen Karte Sie nicht sehen dürfen" in words_of(check)


def test_html_is_shown_alone_where_nothing_can_run(clinic: Clinic, client: FlaskClient) -> None:
    clinic.host.patients["1"] = patient("1", name="<img src=x onerror=alert(1)>")
    draft(client, html="<p onclick='x()'>Hallo {{ name }}</p><script>alert(1)</script>")

    frame = client.get(f"{HOME}/1/preview")

    assert "script" not in frame.text
    assert "onclick" not in frame.text
    assert "<img" not in frame.text
    assert "default-src 'none'" in frame.headers["Content-Security-Policy"]
    assert 'sandbox=""' in client.get(f"{HOME}/1/what").text


def test_typing_is_kept_and_answered_with_the_message_as_it_looks(
    clinic: Clinic, client: FlaskClient
) -> None:
    choose(client)
    token = token_in(client.get(f"{HOME}/1/what").text)
    data = {"csrf_token": token, "name": "N", "subject": "S", "text": "Hallo {{ name }} {{ x }}"}

    answer = client.post(f"{HOME}/1/draft", data=data)

    assert answer.status_code == 200
    assert "Hallo Frau 1" in answer.json["html"]  # type: ignore[index]
    assert "text" in answer.json["errors"]  # type: ignore[index]
    assert "Hallo {{ name }} {{ x }}" in html_module.unescape(client.get(f"{HOME}/1/what").text)


def test_a_file_goes_the_same_way_and_bad_rows_say_what_to_do(
    clinic: Clinic, client: FlaskClient
) -> None:
    rows = "letter;name;room\na@example.org;Anna;1\nb@example.org;Bert\n;Carl;3\nwrong;Dora;4\n"
    first = upload(client, rows)
    assert first.headers["Location"].endswith("/mailings/1/who")
    page = client.get(f"{HOME}/1/who")
    assert "Zeile 3: 2 Zellen, aber die erste Zeile hat 3." in words_of(page)
    assert "Mit 3 Empfängern weiter" in words_of(page)

    write(client)
    check = words_of(client.get(f"{HOME}/1/check"))
    assert "1 von 3 Patienten erhalten die Nachricht" in check
    assert "1 Zeile der Datei bleibt außen vor" in check
    assert press_send(client).status_code == 303
    assert messages(clinic) == 3
    with clinic.app.app_context():
        assert list(uploads.folder(clinic.dispatch).iterdir()) == []


def test_a_promotion_that_nobody_can_unsubscribe_from_is_said_before_it_goes(
    clinic: Clinic, client: FlaskClient
) -> None:
    upload(client, "letter;name;room\na@example.org;Anna;1\n", purpose="promotion")
    write(client)
    said = "keinen Link zum Abmelden"
    check = words_of(client.get(f"{HOME}/1/check"))
    assert said in check and "CLINIC_DISPATCH_BASE_URL" in check

    complete = dataclasses.replace(
        clinic.dispatch.settings, base_url="https://clinic.example", secret_keys=("k" * 40,)
    )
    clinic.dispatch.settings = complete
    assert said not in words_of(client.get(f"{HOME}/1/check"))


def test_trouble_that_can_be_foreseen_is_said_before_it_goes(
    clinic: Clinic, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = type(clinic.dispatch.channels["letter"])
    asked: list[int] = []

    def foresee(self: object, account: Account, *, recipients: int) -> list[Answer]:
        asked.append(recipients)
        return [Answer(system="dispatch", code="free_mailbox")]

    monkeypatch.setattr(channel, "foresee", foresee)
    draft(client)
    said = words_of(client.get(f"{HOME}/1/check"))
    assert "Viele Mails aus einem Gratis-Postfach" in said
    assert "beim eigenen Hosting der Klinik" in said
    assert asked == [3]

    def fails(self: object, account: Account, *, recipients: int) -> list[Answer]:
        raise RuntimeError("no crystal ball")

    monkeypatch.setattr(channel, "foresee", fails)
    answer = client.get(f"{HOME}/1/check")
    assert answer.status_code == 200
    assert "Gratis-Postfach" not in words_of(answer)


def test_every_row_that_needs_a_look_is_in_a_file_of_its_own(
    clinic: Clinic, client: FlaskClient
) -> None:
    bad = "".join(f"{number}@example.org;=SUM({number});1;2\n" for number in range(300))
    upload(client, f"letter;name;room\na@example.org;Anna;1\n{bad};Carl;3\nwrong;Dora;4\n")
    link = re.search(r'href="([^"]+bad-rows[^"]+)"', client.get(f"{HOME}/1/who").text)
    assert link is not None
    write(client)
    assert link[1] in client.get(f"{HOME}/1/check").text

    answer = client.get(link[1])

    assert "attachment" in answer.headers["Content-Disposition"]
    heading, *rows = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")), delimiter=";")
    assert heading == ["Zeile", "Spalte", "Was dort steht", "Was nicht stimmt", "Was zu tun ist"]
    assert [int(row[0]) for row in rows] == list(range(3, 305))
    assert rows[-2][3].endswith("Die Spalte letter ist leer.")
    assert rows[-1][1:3] == ["letter", "wrong"] and "keine gültige Adresse" in rows[-1][3]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Die Datei ist leer."),
        (b"\x00\x01\x02\x03" * 50, "keine Textdatei"),
        (b"PK\x03\x04" + b"x" * 60, "keine CSV-Datei"),
        (b"name;room\nAnna;1\n", "Keine Spalte ist als Spalte der Adressen zu erkennen"),
        (b"letter;name\n", "Die Datei enthält keine Empfänger"),
        (b"letter;letter\na@example.org;b\n", "Zwei Spalten heißen gleich"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_beside_its_field(
    clinic: Clinic, client: FlaskClient, content: bytes, said: str
) -> None:
    answer = upload(client, content)

    assert answer.status_code == 422
    assert said in words_of(answer)
    assert scalar(clinic, select(func.count()).select_from(Mailing)) == 0
    with clinic.app.app_context():
        assert list(uploads.folder(clinic.dispatch).iterdir()) == []


def test_a_list_goes_with_its_draft(clinic: Clinic, client: FlaskClient) -> None:
    upload(client, "letter\na@example.org\n")
    folder = clinic.dispatch.settings.data_dir / "uploads"
    assert len(list(folder.iterdir())) == 1
    submit(client, f"{HOME}/1/who", to=f"{HOME}/1/discard")
    assert list(folder.iterdir()) == []
    assert client.get(f"{HOME}/1/what").status_code == 404


def test_a_list_that_vanished_is_asked_for_again(clinic: Clinic, client: FlaskClient) -> None:
    upload(client, "letter\na@example.org\n")
    for found in (clinic.dispatch.settings.data_dir / "uploads").iterdir():
        found.unlink()
    for page in ("what", "check"):
        answer = client.get(f"{HOME}/1/{page}", follow_redirects=True)
        assert answer.status_code == 200
        assert "nicht mehr da" in words_of(answer)


RUBBISH = [
    "",
    "\x00",
    "\u202e",
    "x" * 5_000,
    "' OR 1=1 --",
    "<script>",
    "\ud800",
    "audience:",
    "-1",
    "9" * 30,
]


@pytest.mark.parametrize("value", RUBBISH, ids=range(len(RUBBISH)))
def test_rubbish_in_any_field_is_refused_and_never_half_done(
    clinic: Clinic, client: FlaskClient, value: str
) -> None:
    sent: Mapping[str, str] = {
        "value": value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    }
    raw = sent["value"]
    assert choose(client, whom=f"audience:{raw}").status_code == 422
    assert choose(client, whom=raw).status_code == 422
    assert choose(client, purpose=raw or "nonsense").status_code == 422
    assert choose(client, **{"filter.day.day": raw}).status_code == 422
    # Nothing is left of two of these, as if nobody had chosen.
    if chosen := raw.strip("\x00\u202e"):
        assert choose(client, **{"filter.day.doctor": chosen}).status_code == 422
    assert choose(client, channel=raw or "nonsense").status_code == 422
    assert scalar(clinic, select(func.count()).select_from(Mailing)) == 0
    draft(client)
    for where, name in (("what", "n"), ("check", "n"), ("what", "said")):
        answer = client.get(f"{HOME}/1/{where}", query_string={name: raw})
        assert answer.status_code in (200, 400)
    for changes in ({"not_after": raw or "x"}, {"expected": raw}, {"typed": raw}):
        page = client.get(f"{HOME}/1/check").text
        kept = fields_of(page, action="/dispatch/mailings/1/start")
        answer = client.post(f"{HOME}/1/check", data={**kept, **changes})
        assert answer.status_code in (303, 422)
    assert write(client, name=raw, subject=raw, text=raw, html=raw).status_code in (303, 422)
    assert write(client, go=raw).status_code in (303, 422)
    assert write(client, go="template", template=raw).status_code in (303, 422)
    assert write(client, go=f"preview:{raw}").status_code == 303
    assert client.get(HOME, query_string={"before": raw}).status_code in (200, 400)
    assert messages(clinic) == 0


def test_an_audience_that_breaks_shows_a_page_and_not_a_traceback(
    clinic: Clinic, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft(client)

    def broken(*_: object) -> object:
        raise ConnectionError("the clinic's system went away")

    monkeypatch.setattr(clinic.host, "recipients", broken)
    for page in ("what", "check"):
        answer = client.get(f"{HOME}/1/{page}")
        assert answer.status_code == 503
        assert "went away" not in answer.text
    monkeypatch.setattr(clinic.host, "audiences", broken)
    assert client.get(f"{HOME}/new").status_code == 503


def test_a_deadline_is_the_clinics_own_time_and_not_in_the_past(
    clinic: Clinic, client: FlaskClient
) -> None:
    draft(client)
    late = submit(client, f"{HOME}/1/check", {"not_after": "2020-01-01T07:00"})
    assert late.status_code == 422
    assert "Dieser Zeitpunkt ist schon vorbei" in words_of(late)
    assert submit(client, f"{HOME}/1/check", {"not_after": "2099-07-01T07:00"}).status_code == 303
    kept = scalar(clinic, select(Mailing.not_after))
    assert kept.isoformat() == "2099-07-01T05:00:00+00:00"
    assert 'value="2099-07-01T07:00"' in client.get(f"{HOME}/1/check").text


def test_a_trial_goes_to_the_writer_alone_and_twenty_an_hour(
    clinic: Clinic, client: FlaskClient
) -> None:
    draft(client)
    answer = submit(client, f"{HOME}/1/check", to=f"{HOME}/1/trial")
    assert answer.status_code == 422
    assert "keine Adresse hinterlegt" in words_of(answer)

    from tests.clinic.host import ACTORS

    actor, _ = ACTORS["admin"]
    with_letter = type(actor)(
        ref=actor.ref, name=actor.name, addresses={"letter": "kern@clinic.example"}
    )
    clinic.host.current_actor = lambda: with_letter  # type: ignore[method-assign]
    assert submit(client, f"{HOME}/1/check", to=f"{HOME}/1/trial").status_code == 303
    with clinic.dispatch.database.begin() as connection:
        sent = connection.execute(select(Message.__table__)).mappings().one()
    assert (sent["address"], sent["ref"], sent["state"]) == ("kern@clinic.example", "", "queued")
    assert sent["data"] == {}
    assert scalar(clinic, select(Revision.body)) == "Guten Tag Frau 1, Raum 214."
    trial_of = scalar(clinic, select(Mailing.selection).where(Mailing.id == sent["mailing_id"]))
    assert trial_of == {"trial": True, "trial_of": "1"}
    for _ in range(19):
        assert submit(client, f"{HOME}/1/check", to=f"{HOME}/1/trial").status_code == 303
    assert submit(client, f"{HOME}/1/check", to=f"{HOME}/1/trial").status_code == 422
    assert messages(clinic) == 20
    assert state(clinic) == "draft"


def test_the_progress_page_leads_on_when_the_first_pass_has_ended(
    clinic: Clinic, client: FlaskClient
) -> None:
    draft(client)
    press_send(client)
    live = client.get(f"{HOME}/1/progress.json").json
    assert live is not None
    assert live["next"] is None
    assert live["counts"] == {"queued": 3}
    assert "von 3 Nachrichten" in words_of_part(live["html"])
    assert client.get(f"{HOME}/1/progress").headers["Refresh"] == "10"

    with clinic.dispatch.database.begin() as connection:
        connection.execute(update(Mailing).values(first_pass_at=db_now()))
    live = client.get(f"{HOME}/1/progress.json").json
    assert live is not None
    assert live["next"] == "/dispatch/mailings/1"
    answer = client.get(f"{HOME}/1/progress")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/dispatch/mailings/1")


def words_of_part(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_progress_counts_only_whom_the_reader_may_see(clinic: Clinic, client: FlaskClient) -> None:
    draft(client)
    press_send(client)
    clinic.host.hidden = {"2"}
    clinic.dispatch.cache.pop("mailing_progress", None)
    live = client.get(f"{HOME}/1/progress.json").json
    assert live is not None
    assert live["counts"] == {"queued": 2}
    assert (live["planned"], live["expected"], live["retried"]) == (2, 0, 0)
    with clinic.dispatch.database.begin() as connection:
        connection.execute(update(Message).values(tries=1))
    clinic.dispatch.cache.pop("mailing_progress", None)
    live = client.get(f"{HOME}/1/progress.json").json
    assert live is not None
    assert live["retried"] == 2


def test_a_mailing_is_held_resumed_and_cancelled_by_who_may_send(
    clinic: Clinic, client: FlaskClient
) -> None:
    draft(client)
    press_send(client)
    page = f"{HOME}/1/progress"
    for verb, expected in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        token = token_in(client.get(page).text)
        if verb == "resume":
            clinic.host.actions = frozenset({Action.VIEW, Action.COMPOSE})
            assert client.post(f"{HOME}/1/{verb}", data={"csrf_token": token}).status_code == 403
            clinic.host.actions = None
        assert client.post(f"{HOME}/1/{verb}", data={"csrf_token": token}).status_code == 303
        assert state(clinic) == expected
    assert client.get(f"{HOME}/1/pause").status_code == 405
    assert client.get(f"{HOME}/99/progress").status_code == 404


def test_a_draft_that_was_sent_cannot_be_changed_any_more(
    clinic: Clinic, client: FlaskClient
) -> None:
    draft(client)
    token = token_in(client.get(f"{HOME}/1/what").text)
    press_send(client)
    for page in ("who", "what", "check"):
        assert client.get(f"{HOME}/1/{page}").headers["Location"].endswith("/1/progress")
        answer = client.post(f"{HOME}/1/{page}", data={"csrf_token": token, **TEXT})
        assert answer.status_code == 303
    assert client.post(f"{HOME}/1/draft", data={"csrf_token": token}).status_code == 409
    assert scalar(clinic, select(Revision.body)) == TEXT["text"]


def test_a_template_fills_the_text_and_its_change_leaves_old_words_alone(
    clinic: Clinic, client: FlaskClient
) -> None:
    new = {
        "name": "Erinnerung",
        "purpose": "reminder",
        "channel": "letter",
        "subject": "S",
        "text": "A",
    }
    assert submit(client, "/dispatch/templates/new", {**new, "text": "{{ x"}).status_code == 422
    assert submit(client, "/dispatch/templates/new", new).status_code == 303
    choose(client)
    assert (
        submit(client, f"{HOME}/1/what", {**TEXT, "go": "template", "template": "1"}).status_code
        == 303
    )
    assert (
        fields_of(client.get(f"{HOME}/1/what").text, action="/dispatch/mailings/1/what")["text"]
        == "A"
    )
    changed = submit(client, "/dispatch/templates/1", {**new, "text": "B"})
    assert changed.status_code == 303
    with clinic.app.app_context():
        assert texts.template(clinic.dispatch, 1).content.text == "B"
    assert scalar(clinic, select(func.count()).select_from(Revision)) == 2

    submit(client, "/dispatch/templates", to="/dispatch/templates/1/archive")
    assert "Erinnerung" not in client.get("/dispatch/templates").text
    assert "Erinnerung" in client.get("/dispatch/templates?archived=1").text
    assert client.get("/dispatch/templates/99").status_code == 404


def test_the_list_pages_by_key_and_shows_counts(clinic: Clinic, client: FlaskClient) -> None:
    with clinic.app.app_context():
        from clinic_dispatch_plugin.mailings import service

        for number in range(30):
            service.send(
                clinic.dispatch,
                to=patient("1", consent={"service": Consent.YES}),
                channel="letter",
                subject=f"Nummer {number}",
                text="T",
            )
    first = client.get(HOME).text
    assert "Nummer 29" in first
    assert "Nummer 4<" not in first
    after = re.search(r'href="(/dispatch/mailings\?before=\d+)"', first)
    assert after is not None
    assert "Nummer 4<" in client.get(after[1]).text


def test_a_clinic_in_english_and_russian_reads_its_own_language(
    clinic: Clinic, client: FlaskClient
) -> None:
    draft(client)
    clinic.host.language = "ru"
    assert "3 из 3 пациентов получат сообщение" in words_of(client.get(f"{HOME}/1/check"))
    clinic.host.language = "en"
    assert "3 of 3 patients get the message" in words_of(client.get(f"{HOME}/1/check"))
