"""Pages on which the reference grows: asked before it takes effect, merged, split, compared after an update."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, update

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import again, editing, history, service, store
from clinic_dispatch_plugin.error_reference.tables import Entry
from clinic_dispatch_plugin.messages.answers_store import mailings_of_answer
from clinic_dispatch_plugin.messages.lists_store import count_by_answer
from tests.clinic.browsing import fields_of, token_in
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import Mailbag
from tests.reports.shapes_standard import STANDARD
from tests.web.test_reference_pages import edited, entry_of, text_of

NEW = "/dispatch/errors/new"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """Give one clinic for all tests here: each has codes of its own.

    Its host hides single patients, so nothing is counted unless somebody says so.
    """
    made = make_clinic(tmp_path_factory.mktemp("grows"))
    made.dispatch.cache["count_by_answer"] = count_by_answer
    made.dispatch.cache["mailings_of_answer"] = mailings_of_answer
    yield made
    made.dispatch.database.dispose()


@pytest.fixture
def client(clinic: Clinic) -> FlaskClient:
    return clinic.app.test_client()


def failed(clinic: Clinic, code: str, text: str, *, mailing: str = "Rundbrief") -> int:
    """A message fails with an answer; the answer's id."""
    bag = Mailbag(clinic.dispatch)
    answer = Answer(system="smtp", code=code, text=text)
    bag.message(bag.mailing(mailing), "undelivered", answer=answer, attempt="refused")
    with clinic.dispatch.database.begin() as connection:
        return service.note_answer(clinic.dispatch, connection, answer)[0]


def note_of(clinic: Clinic, code: str, text: str) -> str:
    found = service.explain(clinic.dispatch, Answer(system="smtp", code=code, text=text)).entry
    return found.text("short", "de") if found else ""


def new(client: FlaskClient, **values: str) -> Any:
    fields = fields_of(client.get(NEW).text, action=NEW)
    return client.post(NEW, data={**fields, "system": "smtp", **values})


def own(clinic: Clinic, code: str, words: str, *, pattern: str = "") -> int:
    return editing.add_entry(
        clinic.dispatch,
        system="smtp",
        code=code,
        pattern=pattern,
        content={"short.de": words},
        by="A. Kern",
    ).id


# Before it takes effect


def test_a_new_entry_that_changes_notes_is_asked_about_and_saved_then(
    client: FlaskClient, clinic: Clinic
) -> None:
    text = "550 5.9.20 glacier refused <eva@example.org>"
    failed(clinic, "5.9.20", text)
    asked = new(client, code="5.9.20", **{"short.de": "Gletscher", "what_helps.de": "Warten\nund"})
    assert asked.status_code == 200
    said = text_of(asked.text)
    assert "Würde den Hinweis von 1 Nachricht ändern:" in said
    assert "glacier refused <@>" in said
    assert "eva@example.org" not in asked.text
    assert note_of(clinic, "5.9.20", text) != "Gletscher"
    typed = fields_of(asked.text, action=NEW)
    back = client.post(NEW, data={**typed, "go": "back"})
    assert back.status_code == 200
    form = fields_of(back.text, action=NEW)
    assert (form["short.de"], form["what_helps.de"]) == ("Gletscher", "Warten\nund")
    saved = client.post(NEW, data={**typed, "go": "on"})
    assert saved.status_code == 303
    assert note_of(clinic, "5.9.20", text) == "Gletscher"


def test_where_single_patients_are_hidden_answers_are_counted(
    client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(clinic.dispatch.cache, "count_by_answer")
    lent = partial(mailings_of_answer, counted=False)
    monkeypatch.setitem(clinic.dispatch.cache, "mailings_of_answer", lent)
    draft = failed(clinic, "5.9.19", "550 5.9.19 steppe")
    asked = new(client, code="5.9.19", **{"short.de": "Steppe"})
    assert "Würde den Hinweis zu 1 Antwort ändern:" in text_of(asked.text)
    page = text_of(client.get(f"/dispatch/errors/drafts/{draft}").text)
    assert "Rundbrief heute" in page
    assert "Rundbrief heute · 1 Nachricht" not in page


def test_what_changed_since_the_question_is_asked_again(
    client: FlaskClient, clinic: Clinic
) -> None:
    failed(clinic, "5.9.21", "550 5.9.21 tundra one")
    typed = fields_of(new(client, code="5.9.21", **{"short.de": "Tundra"}).text, action=NEW)
    failed(clinic, "5.9.21", "550 5.9.21 tundra two")
    again = client.post(NEW, data={**typed, "go": "on"})
    assert "Würde den Hinweis von 2 Nachrichten ändern:" in text_of(again.text)


def test_a_pattern_too_broad_or_too_slow_is_warned_of(client: FlaskClient, clinic: Clinic) -> None:
    values = {"code": "5.9.22", "short.de": "x"}
    assert "ist zu allgemein" in new(client, pattern="a*", **values).text
    assert "Suchmuster ist langsam" in new(client, pattern="(.?){1,1000}zz", **values).text
    assert "ist langsam" not in new(client, pattern="zz", **values).text


def test_describing_a_draft_asks_only_about_others(client: FlaskClient, clinic: Clinic) -> None:
    draft = failed(clinic, "5.9.23", "550 5.9.23 savanna lion")
    failed(clinic, "5.9.23", "550 5.9.23 quite another matter")
    address = f"/dispatch/errors/drafts/{draft}"
    fields = {**fields_of(client.get(address).text, action=address), "short.de": "Savanne"}
    asked = client.post(address, data=fields)
    assert "quite another matter" in asked.text
    assert "savanna lion" not in asked.text
    narrow = client.post(address, data={**fields, "pattern": "savanna lion"})
    assert narrow.status_code == 303


def test_one_click_that_takes_others_along_asks_too(client: FlaskClient, clinic: Clinic) -> None:
    draft = failed(clinic, "5.9.24", "550 5.9.24 meadow full of cows")
    failed(clinic, "5.9.24", "550 5.9.24 horses")
    same = f"/dispatch/errors/drafts/{draft}/same"
    page = client.get(f"/dispatch/errors/drafts/{draft}").text
    entry = str(entry_of(clinic, "5.2.2").id)
    data = {"csrf_token": token_in(page), "entry": entry, "by": "code"}
    asked = client.post(same, data=data)
    assert (asked.status_code, "horses" in asked.text) == (200, True)
    by_words = client.post(same, data={**data, "by": "pattern"})
    assert by_words.status_code == 303
    assert note_of(clinic, "5.9.24", "550 5.9.24 horses") != note_of(
        clinic, "5.9.24", "550 5.9.24 meadow full of cows"
    )


def test_a_changed_pattern_is_asked_about_beside_its_faults(
    client: FlaskClient, clinic: Clinic
) -> None:
    failed(clinic, "5.9.25", "550 5.9.25 desert storm")
    number = own(clinic, "5.9.25", "Wüste", pattern="never written")
    page, address = f"/dispatch/errors/{number}", f"/dispatch/errors/{number}/pattern"
    fields = fields_of(client.get(page).text, action=address)
    wrong = client.post(address, data={**fields, "pattern": "("})
    assert wrong.status_code == 422
    assert 'id="e-pattern"' in wrong.text
    asked = client.post(address, data={**fields, "pattern": "desert"})
    assert "Würde den Hinweis von 1 Nachricht ändern:" in text_of(asked.text)
    typed = fields_of(asked.text, action=address)
    back = client.post(address, data={**typed, "go": "back"})
    assert fields_of(back.text, action=address)["pattern"] == "desert"
    assert client.post(address, data={**typed, "go": "on"}).status_code == 303
    assert note_of(clinic, "5.9.25", "550 5.9.25 desert storm") == "Wüste"
    stale = client.post(address, data={**typed, "go": "on", "pattern": "sand"})
    assert stale.status_code == 409
    assert fields_of(stale.text, action=address)["pattern"] == "sand"


# Drafts


def test_a_drafts_page_names_mailings_and_reasons(client: FlaskClient, clinic: Clinic) -> None:
    draft = failed(clinic, "5.2.90", "550 5.2.90 quota of mailbox gone", mailing="Herbstaktion")
    page = client.get(f"/dispatch/errors/drafts/{draft}").text
    said = text_of(page)
    assert "Herbstaktion heute · 1 Nachricht" in said
    assert "Gleiche Kennzahlfamilie 5.2.x." in said
    assert re.search(r"Gleiche Wörter: [^.]*(quota|mailbox)", said)
    link = re.search(r'href="([^"]*mailing=\d+[^"]*)"', page)
    assert link is not None
    assert client.get(link[1].replace("&amp;", "&")).status_code == 200


def test_alike_drafts_are_described_along_and_each_can_be_taken_back(
    client: FlaskClient, clinic: Clinic
) -> None:
    one = failed(clinic, "5.9.31", "550 5.9.31 harbour gates stay closed today")
    other = failed(clinic, "5.9.32", "550 5.9.32 harbour gates stay closed tonight")
    address = f"/dispatch/errors/drafts/{one}"
    page = client.get(address).text
    assert "Ist das dieselbe Störung?" in page
    fields = fields_of(page, action=address)
    assert "also" not in fields, "nobody is asked to untick"
    saved = client.post(address, data={**fields, "short.de": "Hafen", "also": str(other)})
    assert saved.status_code == 303
    for code, word in (("5.9.31", "today"), ("5.9.32", "tonight")):
        text = f"550 {code} harbour gates stay closed {word}"
        assert note_of(clinic, code, text) == "Hafen"
    stranger = client.post(address, data={**fields, "short.de": "x", "also": "999999"})
    assert stranger.status_code == 409, "it is described by now"


def test_a_messages_history_says_since_when_and_by_whom(
    client: FlaskClient, clinic: Clinic
) -> None:
    bag = Mailbag(clinic.dispatch)
    answer = Answer(system="smtp", code="5.9.35", text="550 5.9.35 delta")
    number = bag.message(bag.mailing(), "undelivered", answer=answer, attempt="refused")
    page = f"/dispatch/messages/{number}"
    assert "Seitdem erklärt" not in client.get(page).text
    time.sleep(0.01)  # two moments of a clock of milliseconds
    own(clinic, "5.9.35", "Flussmündung")
    said = text_of(client.get(page).text)
    assert "Seitdem erklärt durch „Flussmündung“, beschrieben von A. Kern" in said


# Two people


def test_the_second_to_describe_a_draft_loses_nothing(client: FlaskClient, clinic: Clinic) -> None:
    draft = failed(clinic, "5.9.40", "550 5.9.40 lagoon")
    address = f"/dispatch/errors/drafts/{draft}"
    fields = fields_of(client.get(address).text, action=address)
    first = {**fields, "short.de": "Lagune, die Erste"}
    second = {**fields, "short.de": "Lagune, die Zweite", "what_helps.de": "Boot nehmen"}
    entry = client.post(address, data=first).location.partition("?")[0]
    refused = client.post(address, data=second)
    assert refused.status_code == 409
    assert "Jetzt gespeichert: Lagune, die Erste" in text_of(refused.text)
    form = fields_of(refused.text, action=entry)
    assert (form["short.de"], form["what_helps.de"]) == ("Lagune, die Zweite", "Boot nehmen")
    assert client.post(entry, data=form).status_code == 303
    assert note_of(clinic, "5.9.40", "550 5.9.40 lagoon") == "Lagune, die Zweite"


def test_only_what_the_second_touched_is_the_seconds(client: FlaskClient, clinic: Clinic) -> None:
    number = own(clinic, "5.9.41", "Alt")
    address = f"/dispatch/errors/{number}"
    first = edited(client, address, {"short.de": "Neu", "policy.tries": "3", "who": "reception"})
    second = edited(client, address, {"what_helps.de": "Anrufen", "who": "provider"})
    assert client.post(address, data=first).status_code == 303
    refused = client.post(address, data=second)
    form = fields_of(refused.text, action=address)
    assert (form["short.de"], form["policy.tries"]) == ("Neu", "3")
    assert (form["what_helps.de"], form["who"]) == ("Anrufen", "provider")
    said = text_of(refused.text)
    assert re.search(r"Wer kann es beheben\? Jetzt gespeichert: Empfang · In Ihrem Formular:", said)
    assert client.post(address, data=form).status_code == 303
    found = entry_of(clinic, "5.9.41", origin="clinic")
    assert (found.text("short", "de"), found.policy.tries, found.who) == ("Neu", 3, "provider")


# Merging and splitting


def test_two_entries_are_made_one_after_a_question_and_undone(
    client: FlaskClient, clinic: Clinic
) -> None:
    failed(clinic, "5.9.50", "550 5.9.50 moor")
    one, two = own(clinic, "5.9.50", "Moor"), own(clinic, "5.9.51", "Sumpf und Morast")
    address = f"/dispatch/errors/{one}/merge"
    assert (
        'name="entry"' in client.get(f"/dispatch/errors/{entry_of(clinic, '5.1.1').id}/merge").text
    )
    page = client.get(address, query_string={"q": "morast"}).text
    assert f'name="entry" value="{two}"' in page
    assert "Kein Eintrag passt" in client.get(address, query_string={"q": "xyzzy"}).text
    data = {"csrf_token": token_in(page), "entry": str(two)}
    asked = client.post(address, data=data)
    assert "Würde den Hinweis von 1 Nachricht ändern:" in text_of(asked.text)
    done = client.post(address, data={**fields_of(asked.text, action=address), "go": "on"})
    assert "Beide bedeuten ab jetzt dasselbe" in client.get(done.location).text
    assert note_of(clinic, "5.9.50", "550 5.9.50 moor") == "Sumpf und Morast"
    for wrong in (str(one), "0", "x", "999999"):
        assert client.post(address, data={**data, "entry": wrong}).status_code == 404
    change = history.history(clinic.dispatch, one)[0]
    undo = f"/dispatch/errors/changes/{change.id}/undo"
    assert client.post(undo, data={"csrf_token": token_in(page)}).status_code == 303
    assert note_of(clinic, "5.9.50", "550 5.9.50 moor") == "Moor"


def test_an_answer_is_taken_out_of_its_entry(client: FlaskClient, clinic: Clinic) -> None:
    text = "550 5.9.52 fjord number"
    answer = failed(clinic, "5.9.52", text)
    number = own(clinic, "5.9.52", "Fjord")
    page = client.get(f"/dispatch/errors/{number}").text
    out = f"/dispatch/errors/{number}/answers/{answer}/out"
    assert out in page
    done = client.post(out, data={"csrf_token": token_in(page)})
    assert done.location.endswith(f"/drafts/{answer}?said=out")
    shown = client.get(done.location).text
    assert "wartet hier auf eine Beschreibung" in shown
    assert note_of(clinic, "5.9.52", text) != "Fjord"
    assert "eine Antwort herausgenommen" in client.get(f"/dispatch/errors/{number}").text
    assert client.post(out, data={"csrf_token": token_in(page)}).status_code == 404
    fields = fields_of(shown, action=f"/dispatch/errors/drafts/{answer}")
    again = client.post(
        f"/dispatch/errors/drafts/{answer}", data={**fields, "short.de": "Anderer Fjord"}
    )
    assert again.status_code == 303
    assert note_of(clinic, "5.9.52", text) == "Anderer Fjord"


# Updates


def shipped_anew(clinic: Clinic, code: str, ours: str, theirs: str) -> int:
    """The clinic changes an entry's note, and an update brings another."""
    entry = entry_of(clinic, code)
    editing.change_entry(clinic.dispatch, entry.id, content={"short.de": ours}, by="A. Kern")

    def work(connection: Connection) -> None:
        store.bump(connection)
        row = store.entry(connection, entry.id)
        assert row is not None
        content = {**row["shipped"], "short.de": theirs}
        connection.execute(update(Entry).where(Entry.id == entry.id).values(shipped=content))

    clinic.dispatch.database.run(work)
    return entry.id


def test_what_an_update_changed_is_compared_word_by_word_and_decided(
    client: FlaskClient, clinic: Clinic
) -> None:
    old = entry_of(clinic, "5.2.2").text("short", "de")
    number = shipped_anew(clinic, "5.2.2", "Fach voll", f"{old} leider")
    assert (
        "Eine Aktualisierung bringt neuen Text für 1 Eintrag" in client.get("/dispatch/errors").text
    )
    clinic.dispatch.cache.pop("web.badge", None)
    assert re.search(
        r'cd-pill">\d+<span class="cd-hidden"> anzusehen', client.get("/dispatch/errors").text
    )
    page = client.get("/dispatch/errors/updates").text
    assert re.search(r'<ins><span class="cd-hidden">neu: </span>\s*leider</ins>', page)
    assert "Fach voll" in page
    assert (
        client.get("/dispatch/errors/updates", headers={"X-Actor": "reception"}).status_code == 200
    )
    address = f"/dispatch/errors/{number}/conflict"
    fields = fields_of(page.partition('value="ours"')[0] + "</form>", action=address)
    taken = client.post(address, data={**fields, "take": "shipped", "back": "updates"})
    assert note_of(clinic, "5.2.2", "550 5.2.2") == f"{old} leider"
    shown = client.get(taken.location).text
    assert "Nichts zu entscheiden" in shown
    undo = re.search(r'action="([^"]*/undo)"', shown)
    assert undo is not None
    late = client.post(address, data={**fields, "take": "ours"})
    assert late.status_code == 409
    client.post(undo[1], data={"csrf_token": token_in(shown)})
    assert note_of(clinic, "5.2.2", "550 5.2.2") == "Fach voll"
    page = client.get("/dispatch/errors/updates").text
    fields = fields_of(page.partition('value="ours"')[0] + "</form>", action=address)
    kept = client.post(address, data={**fields, "take": "ours", "back": "updates"})
    assert "Nichts zu entscheiden" in client.get(kept.location).text
    assert note_of(clinic, "5.2.2", "550 5.2.2") == "Fach voll"


def test_the_progress_of_very_many_answers_is_on_the_list(
    client: FlaskClient, clinic: Clinic
) -> None:
    def left(connection: Connection) -> None:
        store.leave(connection, {"systems": ["smtp"], "after": 0, "done": 1500, "total": 4000})

    clinic.dispatch.database.run(left)
    page = client.get("/dispatch/errors").text
    assert "1.500 von 4.000" in page
    assert '<progress id="cd-again" max="4000" value="1500">' in page
    again.finish(clinic.dispatch)
    assert "cd-again" not in client.get("/dispatch/errors").text


# A whole mail


def test_a_whole_returned_mail_can_be_tried(client: FlaskClient, clinic: Clinic) -> None:
    page = client.get("/dispatch/errors/try").text
    sample = STANDARD[0]
    data = {"csrf_token": token_in(page), "system": "smtp", "text": sample.raw.decode("latin-1")}
    shown = client.post("/dispatch/errors/try", data=data)
    assert shown.status_code == 200
    said = text_of(shown.text)
    assert "Das ist eine ganze Mail; sie spricht von 1 Empfänger" in said
    assert "Die Nachricht würde zeigen" in said
    nothing = {**data, "text": "From: a@b.example\nTo: c@d.example\nSubject: Hello\n\nHow are you?"}
    assert "fand sich kein Bericht" in client.post("/dispatch/errors/try", data=nothing).text
    huge = {**data, "text": data["text"] + "x" * 200_000}
    assert client.post("/dispatch/errors/try", data=huge).status_code == 422
