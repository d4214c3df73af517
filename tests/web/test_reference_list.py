"""The list of mailing errors: what it filters, in which order, in portions; one clinic for all of it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import editing, listing, service, store
from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.error_reference.tables import AnswerRow
from tests.clinic.browsing import fields_of
from tests.clinic.host import Clinic, make_clinic

LIST = {"X-Dispatch-Part": "list"}
ENTRY = {"X-Dispatch-Part": "entry"}
WHOLE = {
    f"{name}.{language}": f"{name} {language}"
    for name in ("short", "what_happened", "what_helps")
    for language in ("de", "en", "ru")
}


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """Three answers came, of which one belongs to an own entry; one entry is changed, one is out of use."""
    made = make_clinic(tmp_path_factory.mktemp("list"))
    dispatch = made.dispatch
    own = editing.add_entry(
        dispatch, system="smtp", code="5.9.1", content={"short.de": "Nur auf Deutsch"}, by="A."
    )
    gone = editing.add_entry(dispatch, system="smtp", code="5.9.2", content=WHOLE, by="A.")
    editing.restore_entry(dispatch, gone.id, by="A.")
    changed = entry_of(made, "smtp", "5.1.2")
    editing.change_entry(dispatch, changed.id, content={"short.de": "Umbenannt"}, by="A.")
    codes = ("5.1.1", "5.9.1", "4.2.2")
    with dispatch.database.begin() as connection:
        ids = {
            code: service.note_answer(
                dispatch, connection, Answer(system="smtp", code=code), channel="email"
            )[0]
            for code in codes
        }
    made.extra |= {"own": own.id, "gone": gone.id, "changed": changed.id}
    dispatch.cache["count_by_answer"] = lambda connection, wanted: {}
    dispatch.cache["count_occurrences"] = lambda connection, days: {
        ids["5.1.1"]: (900, 1),
        ids["5.9.1"]: (12, 12),
        ids["4.2.2"]: (5, 0),
    }
    yield made
    dispatch.database.dispose()


def entry_of(clinic: Clinic, system: str, code: str) -> KnownEntry:
    with clinic.dispatch.database.begin() as connection:
        found = service.reference(clinic.dispatch, connection).find(system, code)
    assert found is not None
    return found


def shown(client: FlaskClient, address: str = "") -> list[int]:
    """The entries a list shows, in its order."""
    answer = client.get(f"/dispatch/errors{address}", headers=LIST)
    assert answer.status_code == 200
    return [int(found) for found in re.findall(r'data-open="(\d+)"', answer.text)]


def found(client: FlaskClient, address: str) -> int:
    """How many entries the page says it found."""
    said = re.search(r"data-found>([\d.]+) Eintr", client.get(f"/dispatch/errors{address}").text)
    assert said is not None
    return int(said[1].replace(".", ""))


def test_what_occurs_now_comes_before_what_occurred_once(
    client: FlaskClient, clinic: Clinic
) -> None:
    order = shown(client, "?show=occurred")
    codes = ("5.9.1", "5.1.1", "4.2.2")
    assert order == [entry_of(clinic, "smtp", code).id for code in codes]
    page = client.get("/dispatch/errors?show=occurred").text
    said = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())
    assert "900 × 1 in 30 Tagen" in said
    assert "5 × 0 in 30 Tagen" in said
    assert "12 in 30 Tagen" not in said  # all twelve are of these days


def test_where_nobody_counts_the_last_day_stands(client: FlaskClient, clinic: Clinic) -> None:
    counting = clinic.dispatch.cache.pop("count_occurrences")
    try:
        assert "zuletzt heute" in client.get("/dispatch/errors?show=occurred").text
    finally:
        clinic.dispatch.cache["count_occurrences"] = counting


def test_each_filter_shows_what_it_says(client: FlaskClient, clinic: Clinic) -> None:
    extra = clinic.extra
    assert set(shown(client, "?whose=own")) == {extra["own"]}
    assert set(shown(client, "?whose=changed")) == {extra["own"], extra["changed"]}
    assert set(shown(client, "?show=changed")) == {extra["own"], extra["changed"]}
    assert shown(client, "?whose=retired") == [extra["gone"]]
    assert extra["own"] not in shown(client, "?whose=shipped&system=smtp")
    assert shown(client, "?missing=any") == [extra["own"]]
    assert shown(client, "?missing=ru&q=deutsch") == [extra["own"]]
    assert shown(client, "?missing=de") == [extra["own"]]  # its other texts are missing
    total = len(clinic_entries(clinic))
    assert found(client, "?show=never") == total - 3
    assert found(client, "?whose=shipped") == total - 2
    assert found(client, "?channel=email") == found(client, "?system=smtp")
    voice = found(client, "?channel=voice")
    parts = sum(
        found(client, f"?system={s}") for s in ("twilio_call", "sip", "q850", "asterisk", "call")
    )
    assert voice == parts > 0


def clinic_entries(clinic: Clinic) -> dict[int, KnownEntry]:
    with clinic.dispatch.database.begin() as connection:
        return service.reference(clinic.dispatch, connection).entries


@pytest.mark.parametrize("language", ["de", "en", "ru"])
def test_search_finds_words_of_every_language(
    client: FlaskClient, clinic: Clinic, language: str
) -> None:
    entry = entry_of(clinic, "smtp", "5.1.1")
    words = entry.text("what_helps", language).upper()
    answer = client.get("/dispatch/errors", query_string={"q": words}, headers=LIST)
    assert f'data-open="{entry.id}"' in answer.text


def test_a_heading_comes_in_pages_and_each_entry_once(client: FlaskClient, clinic: Clinic) -> None:
    first = client.get("/dispatch/errors").text
    more = html.unescape(re.search(r'class="cd-more" href="([^"]+)"', first)[1])  # type: ignore[index]
    assert more.endswith("?heading=service")
    seen: list[int] = []
    address = "?heading=service"
    for page in range(1, 50):
        rows = shown(client, f"{address}&page={page}")
        assert len(rows) <= listing.PAGE
        seen += rows
        if not rows:
            break
    assert len(seen) == len(set(seen)) == found(client, address)
    assert set(seen) == {e.id for e in clinic_entries(clinic).values() if e.group == "service"}
    last = client.get(f"/dispatch/errors{address}&page=9999")
    assert last.status_code == 200  # a page beyond the end is empty, and leads back
    assert "Zurück" in last.text


def test_what_was_looked_for_stays_in_every_address(client: FlaskClient, clinic: Clinic) -> None:
    page = client.get("/dispatch/errors?q=postfach&show=never&heading=sending").text
    links = [html.unescape(link) for link in re.findall(r'href="([^"]*/errors/\d+[^"]*)"', page)]
    assert links
    assert all(link.endswith("?q=postfach&heading=sending&show=never") for link in links)
    entry = client.get(links[0]).text
    back = re.search(r'cd-back"><a href="([^"]+)"', entry)
    assert back is not None
    number = re.search(r"\d+", links[0])
    assert number is not None
    assert html.unescape(back[1]) == (
        f"/dispatch/errors?q=postfach&heading=sending&show=never#e{number[0]}"
    )
    action = links[0]
    saved = client.post(action, data=fields_of(entry, action=action))
    assert saved.status_code == 303
    assert "q=postfach" in saved.location


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("?whose=x", 400),
        ("?missing=fr", 400),
        ("?heading=x", 400),
        ("?page=0", 400),
        ("?page=x", 400),
        ("?entry=x", 400),
        ("?entry=999999", 200),
        ("?channel=<b>", 200),
        (f"?channel={'x' * 5000}", 200),
    ],
)
def test_rubbish_in_the_address_is_never_500(
    client: FlaskClient, clinic: Clinic, address: str, status: int
) -> None:
    assert client.get(f"/dispatch/errors{address}").status_code == status


def test_an_entry_that_is_gone_leaves_the_list_and_a_sentence(
    client: FlaskClient, clinic: Clinic
) -> None:
    assert "gibt es nicht mehr" in client.get("/dispatch/errors?entry=999999").text


def test_a_link_opens_the_entry_beside_the_list_without_a_script(
    client: FlaskClient, clinic: Clinic
) -> None:
    entry = entry_of(clinic, "smtp", "5.1.1")
    page = client.get(f"/dispatch/errors?q=5.1.1&entry={entry.id}").text
    assert f'data-entry-part="{entry.id}"' in page
    assert f'<tr id="e{entry.id}" class="sel">' in page
    close = re.search(r'href="([^"]+)" data-close', page)
    assert close is not None
    assert close[1] == f"/dispatch/errors?q=5.1.1#e{entry.id}"
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def part_of_saved(client: FlaskClient, entry_id: int, changes: dict[str, str]) -> Any:
    address = f"/dispatch/errors/{entry_id}"
    data = {**fields_of(client.get(address).text, action=address), **changes}
    answer = client.post(address, data=data, headers=ENTRY)
    return client.get(answer.location, headers=ENTRY) if answer.status_code == 303 else answer


def test_a_saved_part_brings_its_row(client: FlaskClient, clinic: Clinic) -> None:
    entry = entry_of(clinic, "smtp", "5.1.3")
    answer = part_of_saved(client, entry.id, {"short.de": "Neu benannt"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert "X-Dispatch-Part" in answer.headers["Vary"]
    assert "<html" not in answer.text
    row = answer.text.partition("<template data-row>")[2].partition("</template>")[0]
    editing.restore_entry(clinic.dispatch, entry.id, by="")
    assert "Neu benannt" in row
    assert "geändert" in row


def test_a_refused_part_holds_the_faults_and_what_was_typed(
    client: FlaskClient, clinic: Clinic
) -> None:
    entry = entry_of(clinic, "smtp", "5.1.4")
    answer = part_of_saved(client, entry.id, {"short.de": "x" * 61, "what_helps.en": "kept"})
    assert answer.status_code == 422
    assert 'id="e-short.de"' in answer.text
    assert "kept" in answer.text
    assert "<html" not in answer.text


def test_texts_too_long_from_earlier_days_do_not_stop_another_change(
    client: FlaskClient, clinic: Clinic
) -> None:
    entry = entry_of(clinic, "smtp", "5.1.6")
    with clinic.dispatch.database.begin() as connection:
        store.change_entry(connection, entry.id, {"own": {"short.de": "x" * 100}})
        store.bump(connection)
    assert part_of_saved(client, entry.id, {"what_helps.de": "Nachfragen"}).status_code == 200
    now = entry_of(clinic, "smtp", "5.1.6")
    editing.restore_entry(clinic.dispatch, entry.id, by="")
    assert (now.text("short", "de"), now.text("what_helps", "de")) == ("x" * 100, "Nachfragen")


def test_the_note_is_shown_as_a_list_shows_it_and_a_missing_language_is_marked(
    client: FlaskClient, clinic: Clinic
) -> None:
    page = client.get(f"/dispatch/errors/{clinic.extra['own']}").text
    looks = re.findall(r'data-look="short\.(\w+)"( hidden)?>', page)
    assert looks == [("de", ""), ("en", " hidden"), ("ru", " hidden")]
    assert page.count('class="cd-lacks">fehlt<') == 2
    assert page.count('class="cd-lacks">unvollständig<') == 1


def test_an_own_entry_goes_out_of_use_and_is_never_deleted(
    client: FlaskClient, clinic: Clinic
) -> None:
    page = html.unescape(client.get(f"/dispatch/errors/{clinic.extra['own']}").text)
    assert "Eintrag außer Gebrauch nehmen" in page
    assert "Gelöscht wird er nie" in page
    gone = client.get(f"/dispatch/errors/{clinic.extra['gone']}")
    assert gone.status_code == 200
    assert "<textarea" not in gone.text
    assert "außer Gebrauch" in client.get("/dispatch/errors?whose=retired").text


def test_an_undescribed_answer_is_found_by_its_words(client: FlaskClient, clinic: Clinic) -> None:
    strange = Answer(system="smtp", code="5.9.87", text="550 5.9.87 Frobnication 7Q")
    with clinic.dispatch.database.begin() as connection:
        number = service.note_answer(clinic.dispatch, connection, strange)[0]
    page = client.get("/dispatch/errors?q=frobnication", headers=LIST).text
    assert "1 Antwort ohne Beschreibung passt auch" in page
    assert f"/errors/drafts/{number}" in page
    assert "frobnication" not in client.get("/dispatch/errors?q=postfach", headers=LIST).text
    with clinic.dispatch.database.begin() as connection:
        connection.execute(delete(AnswerRow).where(AnswerRow.id == number))


@pytest.mark.parametrize(
    ("system", "channel"),
    [
        ("smtp", "email"),
        ("twilio", "sms"),
        ("twilio_delivery", "sms"),
        ("twilio_call", "voice"),
        ("viber_bot", "viber"),
        ("q850", "voice"),
        ("dispatch", "dispatch"),
        ("fax_send", "fax"),
        ("smtpx", "smtpx"),
    ],
)
def test_a_service_belongs_to_a_channel(system: str, channel: str) -> None:
    assert listing.channel_of(system) == channel
