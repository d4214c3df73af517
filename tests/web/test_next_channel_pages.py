"""A mailing by several ways: who begins where, what went on, and where a person begins again."""

from __future__ import annotations

import csv
import html as html_module
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from clinic_dispatch_plugin.channels.types import ContentFields
from clinic_dispatch_plugin.engine.pump import pump
from clinic_dispatch_plugin.host.types import Audience, Recipient
from clinic_dispatch_plugin.mailings import drafts, service, texts, trial
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.problems import MailingProblem
from clinic_dispatch_plugin.mailings.sending import send
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.routes import Route
from clinic_dispatch_plugin.messages.tables import Message
from clinic_dispatch_plugin.testing import FakeChannel, FakePlugin
from clinic_dispatch_plugin.testing.fake_channel import refuse
from tests.cli.conftest import typing_in
from tests.clinic.browsing import fields_of, submit
from tests.clinic.host import ACTORS, Clinic, make_clinic

HOME = "/dispatch/mailings"
ADMIN = ACTORS["admin"][0]


class Note(FakeChannel):
    """Short words without a subject."""

    fields: ClassVar[ContentFields] = ContentFields()


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    chat, note = FakeChannel(key="chat"), Note(key="note")
    made = make_clinic(
        tmp_path,
        plugins=[FakePlugin(chat, note)],
        config={"CLINIC_DISPATCH_BLOCKED_PLUGINS": "email"},
    )
    made.extra.update(chat=chat, note=note)
    made.host.audience_list = [Audience(key="day", label="Termine", placeholders=["room"])]
    yield made
    made.dispatch.database.dispose()


@pytest.fixture
def client(clinic: Clinic) -> FlaskClient:
    clinic.host.patients = {}
    return clinic.app.test_client()


def patient(clinic: Clinic, ref: str, **addresses: str) -> Recipient:
    one = Recipient(ref=ref, name=f"Frau {ref}", addresses=addresses, values={"room": "2"})
    clinic.host.patients[ref] = one
    return one


def words_of(response: TestResponse) -> str:
    return " ".join(html_module.unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


def begin(client: FlaskClient, **ways: str) -> TestResponse:
    data = {"whom": "audience:day", "purpose": "", "channel": "chat", **ways}
    return submit(client, f"{HOME}/new", data)


def row_of(clinic: Clinic, ref: str) -> dict[str, object]:
    """A patient's last message."""
    query = select(Message.__table__).where(Message.ref == ref).order_by(Message.id.desc())
    with clinic.dispatch.database.begin() as connection:
        found = connection.execute(query).mappings().first()
    assert found is not None
    return dict(found)


def both_refuse(clinic: Clinic, ref: str) -> int:
    """A message that no way delivered; returns its id."""
    one = patient(clinic, ref, chat=f"{ref}@chat.example", note=f"{ref}@note.example")
    for key in ("chat", "note"):
        clinic.extra[key].will(f"{ref}@{key}.example", refuse("unknown"))
    send(clinic.dispatch, to=one, channels=["chat", "note"], subject="S", text="T")
    pump(clinic.dispatch)
    row = row_of(clinic, ref)
    assert (row["state"], row["channel"], row["attempts"]) == ("undelivered", "note", 2)
    return int(str(row["id"]))


def test_from_the_choice_of_ways_to_the_list_that_tells_them(
    clinic: Clinic, client: FlaskClient
) -> None:
    patient(clinic, "a1", chat="a1@chat.example", note="a1@note.example")
    patient(clinic, "a2", note="a2@note.example")
    patient(clinic, "a3", chat="a3@chat.example")
    clinic.extra["chat"].will("a1@chat.example", refuse("unknown"))
    what = begin(client, **{"channel.2": "note"}).headers["Location"]
    page = client.get(what)
    assert "Für alle, die sie per Note bekommen" in words_of(page)
    # The short way has no subject and no HTML; left empty it would say what the first says.
    assert 'name="text.note"' in page.text
    assert 'name="subject.note"' not in page.text

    told = {"name": "Termine", "subject": "Termin", "text": "Lang, Raum {{ room }}", "go": "next"}
    wrong = submit(client, what, {**told, "text.note": "Kurz {{ rom }}"})
    assert wrong.status_code == 422
    assert 'id="e-text.note"' in wrong.text
    assert "Kurz {{ rom }}" in html_module.unescape(wrong.text)
    shown = submit(client, what, {**told, "text.note": "Kurz, Raum {{ room }}"})
    check = client.get(shown.headers["Location"])
    said = words_of(check)
    assert "3 von 3 Patienten erhalten die Nachricht" in said
    assert "Chat → Note" in said
    assert (
        "1 per Note davon 1, weil es per Chat nicht geht: Keine Adresse oder Nummer hinterlegt"
        in said
    )
    assert "Kurz, Raum 2" in said

    start = what.replace("/what", "/start")
    assert client.post(start, data=fields_of(check.text, action=start)).status_code == 303
    pump(clinic.dispatch)
    assert {each.address: each.content.text for each in clinic.extra["note"].handed} == {
        "a1@note.example": "Kurz, Raum 2",
        "a2@note.example": "Kurz, Raum 2",
    }

    mailing_id = int(re.findall(r"/(\d+)/", what)[0])
    listed = words_of(client.get(f"/dispatch/mailings/{mailing_id}"))
    assert "Chat: Unknown → Note: Gesendet" in listed
    assert "Chat: Keine Adresse oder Nummer hinterlegt → Note: Gesendet" in listed
    one = words_of(client.get(f"/dispatch/messages/{row_of(clinic, 'a1')['id']}"))
    assert "Weg: Chat: Unknown → Note: Gesendet" in one
    assert "a1@chat.example" in one
    exported = client.get("/dispatch/messages.csv", query_string={"mailing": mailing_id}).text
    rows = list(csv.DictReader(io.StringIO(exported.lstrip("\ufeff")), delimiter=";"))
    assert {row["Empfänger"]: row["Wege davor"] for row in rows} == {
        "Frau a1": "Chat: Unknown",
        "Frau a2": "Chat: Keine Adresse oder Nummer hinterlegt",
        "Frau a3": "",
    }


def test_the_same_way_twice_is_refused_and_nothing_is_lost(
    clinic: Clinic, client: FlaskClient
) -> None:
    patient(clinic, "b1", chat="b1@chat.example")
    refused = begin(client, **{"channel.2": "chat"})
    assert refused.status_code == 422
    assert "Jeder Weg kann nur einmal vorkommen" in words_of(refused)
    assert fields_of(refused.text)["channel.2"] == "chat"
    assert begin(client, **{"channel.2": "smoke"}).status_code == 422
    assert begin(client, **{"channel.2": ""}).status_code == 303


def test_a_later_way_takes_a_template_of_its_own(clinic: Clinic, client: FlaskClient) -> None:
    patient(clinic, "c1", chat="c1@chat.example")
    made = texts.create_template(
        clinic.dispatch,
        name="Kurz",
        purpose="service",
        channel="note",
        content=MailingContent(text="Bis morgen, {{ name }}"),
        actor=ADMIN,
    )
    what = begin(client, **{"channel.2": "note"}).headers["Location"]
    data = {"name": "N", "subject": "S", "text": "Lang"}
    empty = submit(client, what, {**data, "go": "template:note"})
    assert empty.status_code == 422
    taken = submit(client, what, {**data, "go": "template:note", "template.note": str(made)})
    assert taken.status_code == 303
    kept = fields_of(client.get(what).text, action=what)
    assert (kept["text"], kept["text.note"]) == ("Lang", "Bis morgen, {{ name }}")
    wrong = submit(client, what, {**data, "go": "template:smoke", "template.smoke": str(made)})
    assert wrong.status_code == 404


def test_sending_again_begins_with_the_first_way_and_lifts_the_blocks_of_all(
    clinic: Clinic, client: FlaskClient
) -> None:
    message_id = both_refuse(clinic, "d1")
    patient(clinic, "d1", chat="d1new@chat.example", note="d1@note.example")
    clinic.extra["chat"].will("d1new@chat.example", refuse("unknown"))
    page = f"/dispatch/messages/{message_id}"
    assert (
        submit(client, page, {"ids": message_id}, to="/dispatch/messages/resend").status_code == 303
    )
    waiting = row_of(clinic, "d1")
    assert (waiting["channel"], waiting["address"], waiting["state"]) == (
        "chat",
        "d1new@chat.example",
        "queued",
    )
    pump(clinic.dispatch)
    done = row_of(clinic, "d1")
    assert (done["channel"], done["state"], done["attempts"]) == ("note", "sent", 4)
    route = Route.read(done["route"])  # type: ignore[arg-type]
    assert [each.channel for each in route.passed] == ["chat"]


def test_a_corrected_address_is_tried_on_its_own_way_at_once(
    clinic: Clinic, client: FlaskClient
) -> None:
    message_id = both_refuse(clinic, "e1")
    page = f"/dispatch/messages/{message_id}"
    done = submit(client, page, {"address": "right@note.example"}, to=f"{page}/address")
    assert done.status_code in (200, 303)
    # The host of this test keeps its card as it is: the message's own address holds.
    row = row_of(clinic, "e1")
    assert (row["channel"], row["address"], row["state"]) == (
        "note",
        "right@note.example",
        "queued",
    )
    assert Route.read(row["route"]).addresses["note"] == "right@note.example"  # type: ignore[arg-type]


def test_a_message_that_was_sent_goes_once_more_by_the_way_that_carried_it(
    clinic: Clinic, client: FlaskClient
) -> None:
    one = patient(clinic, "f1", chat="f1@chat.example", note="f1@note.example")
    clinic.extra["chat"].will("f1@chat.example", refuse("unknown"))
    send(
        clinic.dispatch,
        to=one,
        channels=["chat", "note"],
        subject="S",
        text="Lang",
        texts={"note": "Kurz"},
    )
    pump(clinic.dispatch)
    row = row_of(clinic, "f1")
    page = f"/dispatch/messages/{row['id']}"
    shown = client.get(page).text
    form = re.search(r'action="([^"]*once-more[^"]*)"', shown)
    assert form is not None
    sent = client.post(form[1], data=fields_of(shown, action=form[1]))
    assert sent.status_code == 303
    pump(clinic.dispatch)
    assert row_of(clinic, "f1")["channel"] == "note"
    assert [each.content.text for each in clinic.extra["note"].handed][-2:] == ["Kurz", "Kurz"]


def _upload(clinic: Clinic, client: FlaskClient, content: str, **more: str) -> TestResponse:
    """Choose a list that goes by chat, then as ``more`` says."""
    page = client.get(f"{HOME}/new").text
    data = {
        **fields_of(page),
        "whom": "file",
        "purpose": "service",
        "channel": "chat",
        **more,
        "file": (io.BytesIO(content.encode()), "list.csv"),
    }
    return client.post(f"{HOME}/new", data=data, content_type="multipart/form-data")


def _checked(clinic: Clinic, client: FlaskClient) -> str:
    """Write a text for the last draft; returns what its check says."""
    query = select(Mailing.id).order_by(Mailing.id.desc())
    with clinic.dispatch.database.begin() as connection:
        mailing_id = connection.scalars(query).first()
    submit(
        client,
        f"{HOME}/{mailing_id}/what",
        {"name": "L", "subject": "S", "text": "Hallo {{ name }}", "go": "next"},
    )
    return words_of(client.get(f"{HOME}/{mailing_id}/check"))


def test_a_list_may_name_an_address_for_each_way(clinic: Clinic, client: FlaskClient) -> None:
    content = "chat;name;telefon\ng1@chat.example;Gerd;\n;Gabi;g2@note.example\n"
    chosen = _upload(clinic, client, content, **{"channel.2": "note"})
    assert "kann nicht verwendet werden" not in words_of(client.get(chosen.headers["Location"]))
    said = _checked(clinic, client)
    assert "2 von 2 Patienten erhalten die Nachricht" in said
    assert "1 per Note" in said


def test_a_list_without_addresses_for_the_first_way_begins_with_the_next(
    clinic: Clinic, client: FlaskClient
) -> None:
    patient(clinic, "k1", chat="k1@chat.example", note="other@note.example")
    content = "note;name;ref\nh1@note.example;Hilde;\n;Hugo;\nk1@note.example;;k1\n"
    refused = _upload(clinic, client, content)
    assert refused.status_code == 422, "nobody on the list could be reached by chat alone"
    assert "Keine Spalte ist als Spalte der Adressen zu erkennen" in words_of(refused)
    chosen = _upload(clinic, client, content, **{"channel.2": "note"})
    assert chosen.status_code == 303
    said = _checked(clinic, client)
    assert "2 von 3 Patienten erhalten die Nachricht" in said
    # Whom the list names by their card is reached by chat as the card says.
    assert "1 per Chat" in said
    assert "1 per Note davon 1, weil es per Chat nicht geht: Keine Adresse" in said
    assert "h1@note.example" in said
    mailing_id = _last_mailing(clinic)
    check, start = f"{HOME}/{mailing_id}/check", f"{HOME}/{mailing_id}/start"
    assert (
        client.post(start, data=fields_of(client.get(check).text, action=start)).status_code == 303
    )
    with clinic.dispatch.database.begin() as connection:
        query = select(Message.channel, Message.address, Message.state)
        found = connection.execute(query.where(Message.mailing_id == mailing_id)).all()
    assert sorted(map(tuple, found)) == [
        ("chat", "", "skipped"),
        ("chat", "k1@chat.example", "queued"),
        ("note", "h1@note.example", "queued"),
    ]
    # The order is changed, and with it who can be reached: the list stays, and says so.
    again = _upload(clinic, client, content, **{"channel.2": "note"}).headers["Location"]
    who = again.replace("/what", "/who")
    kept = {**fields_of(client.get(who).text), "whom": "file", "channel.2": ""}
    assert client.post(who, data=kept).status_code == 422


def _last_mailing(clinic: Clinic) -> int:
    with clinic.dispatch.database.begin() as connection:
        query = select(Mailing.id).order_by(Mailing.id.desc())
        return int(connection.execute(query).scalars().first() or 0)


def test_the_command_line_names_ways_and_their_words(
    clinic: Clinic, client: FlaskClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("command")
    for name, text in (
        ("t.txt", "Lang"),
        ("n.txt", "Kurz"),
        ("l.csv", "chat;note\n;h@note.example\n"),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    typed = typing_in(clinic)
    base = ("send", "--to", folder / "l.csv", "--text", folder / "t.txt", "--subject", "S")
    wrong = typed(*base, "--channels", "chat,smoke")
    assert "there is no such channel" in wrong.stderr
    wrong = typed(*base, "--channel", "chat", "--text-for", f"note={folder / 'n.txt'}")
    assert "name several with --channels" in wrong.stderr
    done = typed(*base, "--channels", "chat, note", "--text-for", f"note={folder / 'n.txt'}")
    assert done.exit_code == 0, done.stderr
    pump(clinic.dispatch)
    assert clinic.extra["note"].handed[-1].content.text == "Kurz"


def test_code_is_told_what_is_wrong_with_its_order(clinic: Clinic, client: FlaskClient) -> None:
    one = patient(clinic, "i1", chat="i1@chat.example")
    with pytest.raises(MailingProblem, match="Name each way once"):
        send(clinic.dispatch, to=one, channels=["chat", "chat"], subject="S", text="T")
    with pytest.raises(MailingProblem, match=r"text\.note"):
        send(
            clinic.dispatch,
            to=one,
            channels=["chat", "note"],
            subject="S",
            text="T",
            texts={"note": "{{"},
        )
    made = drafts.load(clinic.dispatch, drafts.create_draft(clinic.dispatch, ADMIN), ADMIN)
    assert made.order == (made.channel,)


def test_how_long_each_way_is_waited_for_is_chosen_kept_and_told(
    clinic: Clinic, client: FlaskClient
) -> None:
    patient(clinic, "w1", chat="w1@chat.example", note="w1@note.example")
    wrong = begin(client, **{"channel.2": "note", "silence.2": "soon"})
    assert wrong.status_code == 422
    assert (
        'id="e-silence.2"' in wrong.text
        and "Wie lange auf die Zustellmeldung warten?" in wrong.text
    )
    what = begin(client, **{"channel.2": "note", "silence.2": "30"}).headers["Location"]
    again = client.get(what.replace("/what", "/who"))
    assert re.search(r'<option value="30" selected>30 Minuten', again.text)
    told = {"name": "Termine", "subject": "S", "text": "T {{ room }}", "go": "next"}
    check = client.get(submit(client, what, told).headers["Location"])
    assert "Chat (höchstens 30 Minuten) → Note" in words_of(check)
    with clinic.dispatch.database.begin() as connection:
        newest = select(Mailing.id).order_by(Mailing.id.desc()).limit(1)
        mailing_id = connection.execute(newest).scalar_one()
    service.start(clinic.dispatch, mailing_id, ADMIN)
    with clinic.dispatch.database.begin() as connection:
        query = select(Mailing.fallbacks).where(Mailing.id == mailing_id)
        (leg,) = connection.execute(query).scalar_one()
    assert (leg["channel"], leg["silence"]) == ("note", 30)
    assert "Chat (höchstens 30 Minuten) → Note" in words_of(client.get(f"{HOME}/{mailing_id}"))


def test_a_trial_goes_by_each_way_its_writer_has(clinic: Clinic, client: FlaskClient) -> None:
    patient(clinic, "t1", chat="t1@chat.example", note="t1@note.example")
    what = begin(client, **{"channel.2": "note"}).headers["Location"]
    told = {"name": "Probe", "subject": "S", "text": "Lang", "text.note": "Kurz", "go": "next"}
    mailing_id = int(submit(client, what, told).headers["Location"].split("/")[-2])
    draft = drafts.load(clinic.dispatch, mailing_id, ADMIN)
    someone = replace(ADMIN, addresses={"chat": "me@chat.example", "note": "me@note.example"})
    reached = trial.send_trial(
        clinic.dispatch, draft, someone, trial.invented(clinic.dispatch, draft), name="Probe"
    )
    assert reached == ["me@chat.example", "me@note.example"]
    pump(clinic.dispatch)
    sent = [clinic.extra[key].handed[-1].content.text for key in ("chat", "note")]
    assert sent == ["Lang", "Kurz"]
