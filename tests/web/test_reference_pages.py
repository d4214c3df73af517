"""The pages *Mailing-Fehler*: looking up, describing what nobody foresaw, changing, restoring."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from flask.testing import FlaskClient
from playwright.sync_api import Page
from sqlalchemy import Connection, update

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import likeness, reading, service
from clinic_dispatch_plugin.error_reference.policy import PolicyAction
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, Matched
from clinic_dispatch_plugin.error_reference.tables import Entry
from tests.clinic.browsing import fields_of, submit, token_in
from tests.clinic.host import Clinic
from tests.clinic.serving import serving

UNKNOWN = Answer(system="smtp", code="5.9.87", text="550 5.9.87 Frobnication 7Q")
BARE = Answer(
    system="smtp", code="550", text="550 Subscriber barred (roaming) for <anna@x.example>"
)
NAMELESS = Answer(system="smtp", code="", text="Quixotic zebra department")


@pytest.fixture
def clinic(clinic: Clinic) -> Clinic:
    clinic.dispatch.cache["count_by_answer"] = _Counter()
    clinic.dispatch.cache["count_occurrences"] = lambda connection, days: dict.fromkeys(
        range(1, 1000), (7, 2)
    )
    return clinic


class _Counter:
    """Stands for the messages: seven with each answer."""

    def __call__(self, connection: Connection, ids: Sequence[int] | None) -> Mapping[int, int]:
        return dict.fromkeys(range(1, 1000) if ids is None else ids, 7)


def seen(clinic: Clinic, answer: Answer) -> int:
    """An answer comes in; its id."""
    with clinic.dispatch.database.begin() as connection:
        return service.note_answer(clinic.dispatch, connection, answer, channel="email")[0]


def entry_of(clinic: Clinic, code: str, *, origin: str = "shipped") -> KnownEntry:
    """The entry of exactly this code."""
    with clinic.dispatch.database.begin() as connection:
        known = service.reference(clinic.dispatch, connection).entries.values()
    return next(e for e in known if (e.system, e.code, e.origin) == ("smtp", code, origin))


def own_fields(clinic: Clinic, entry_id: int) -> dict[str, Any]:
    """What the clinic wrote into an entry."""
    with clinic.dispatch.database.begin() as connection:
        row = (
            connection.execute(Entry.__table__.select().where(Entry.id == entry_id))
            .mappings()
            .one()
        )
    return dict(row["own"] or {})


def text_of(page: str) -> str:
    """The page's words without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def edited(client: FlaskClient, address: str, changes: Mapping[str, str]) -> dict[str, str]:
    """All fields of the form at an address, some of them changed."""
    return {**fields_of(client.get(address).text, action=address), **changes}


# The list


def test_entries_stand_under_the_three_headings(client: FlaskClient, clinic: Clinic) -> None:
    page = client.get("/dispatch/errors").text
    headings = re.findall(r'<h2 id="group-\w+">([^<]+)</h2>', page)
    assert (
        headings
        == [
            "Mailing-Service-Fehler",
            "Fehler beim Senden von Nachrichten",
            "Nachrichtenzustellung prüfen",
        ][: len(headings)]
    )
    assert len(headings) >= 2
    assert re.search(r"\d+ Einträge, davon 0 von der Klinik geändert", page)


def test_drafts_stand_on_top_with_count_and_sample(client: FlaskClient, clinic: Clinic) -> None:
    seen(clinic, UNKNOWN)
    seen(clinic, BARE)
    page = client.get("/dispatch/errors").text
    assert page.index("2 Antworten sind noch nicht beschrieben") < page.index('id="group-')
    said = text_of(page)
    assert "SMTP 5.9.87 · E-Mail seit heute, 7 Nachrichten" in said
    assert "550 Subscriber barred (roaming) for <@>" in said
    assert "anna@x.example" not in page
    assert 'class="cd-pill">2' in page


def test_many_drafts_show_the_latest_and_a_way_to_all(client: FlaskClient, clinic: Clinic) -> None:
    for number in range(8):
        seen(clinic, Answer(system="smtp", code=f"5.9.{100 + number}", text=""))
    assert client.get("/dispatch/errors").text.count("/errors/drafts/") == reading.FIRST_DRAFTS
    assert "Alle 8 zeigen" in client.get("/dispatch/errors").text
    assert client.get("/dispatch/errors?drafts=all").text.count("/errors/drafts/") == 8


def test_a_draft_names_entries_with_similar_words(client: FlaskClient, clinic: Clinic) -> None:
    seen(clinic, Answer(system="smtp", code="5.9.3", text="550 5.9.3 attachment unwelcome"))
    assert "Ähnlich:" in client.get("/dispatch/errors").text


def test_search_finds_by_code_and_by_word(client: FlaskClient, clinic: Clinic) -> None:
    for query in ("5.1.1", "smtp:5.1.1"):
        page = client.get("/dispatch/errors", query_string={"q": query}).text
        assert f'data-open="{entry_of(clinic, "5.1.1").id}"' in page
    short = entry_of(clinic, "5.1.1").text("short", "de")
    page = client.get("/dispatch/errors", query_string={"q": short.upper()}).text
    assert short in page
    assert "Alles zeigen" in page


def test_a_search_without_result_says_what_to_search_for(
    client: FlaskClient, clinic: Clinic
) -> None:
    page = client.get("/dispatch/errors", query_string={"q": "xyzzy"}).text
    assert "Kein Eintrag passt" in page
    assert "Kennzahl wie 5.1.1" in page


def test_what_occurred_comes_first_and_can_be_shown_alone(
    client: FlaskClient, clinic: Clinic
) -> None:
    seen(clinic, Answer(system="smtp", code="5.1.1", text="550 5.1.1 user unknown"))
    page = client.get("/dispatch/errors?show=occurred").text
    assert page.count("cd-note") == 1
    assert "7 ×" in page
    assert "2 in 30 Tagen" in page
    assert "1 Eintrag gefunden" in page


def test_the_service_can_be_chosen(client: FlaskClient, clinic: Clinic) -> None:
    page = client.get("/dispatch/errors?system=dispatch").text
    assert "Keine Adresse oder Nummer hinterlegt" in page
    assert "<code>smtp" not in page


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"q": "\0' OR 1=1 --"}, 200),
        ({"q": "<script>alert(1)</script>"}, 200),
        ({"q": "x" * 100_000}, 200),
        ({"q": "\u202e\ufeff"}, 200),
        ({"system": "no such"}, 200),
        ({"show": "x"}, 400),
        ({"drafts": "1"}, 400),
        ({"said": "<b>"}, 200),
    ],
)
def test_rubbish_in_the_lists_address_is_never_500(
    client: FlaskClient, clinic: Clinic, query: dict[str, str], status: int
) -> None:
    answer = client.get("/dispatch/errors", query_string=query)
    assert answer.status_code == status
    assert "<script>alert" not in answer.text


# Who may


def test_reception_reads_and_does_not_edit(client: FlaskClient, clinic: Clinic) -> None:
    draft, entry = seen(clinic, UNKNOWN), entry_of(clinic, "5.1.1")
    reception = {"X-Actor": "reception"}
    assert "Neuer Eintrag" not in client.get("/dispatch/errors", headers=reception).text
    shown = client.get(f"/dispatch/errors/{entry.id}", headers=reception).text
    assert entry.text("what_helps", "de") in html.unescape(shown)
    assert "<textarea" not in shown
    for address in ("/dispatch/errors/new", f"/dispatch/errors/drafts/{draft}"):
        assert client.get(address, headers=reception).status_code == 403
    for address in (
        "/dispatch/errors/new",
        f"/dispatch/errors/{entry.id}",
        f"/dispatch/errors/{entry.id}/restore",
        f"/dispatch/errors/{entry.id}/conflict",
        f"/dispatch/errors/drafts/{draft}",
        f"/dispatch/errors/drafts/{draft}/settle",
    ):
        assert client.post(address, headers=reception).status_code == 403
        assert client.post(address).status_code == 400  # without a token


def test_an_entry_that_does_not_exist_is_404(client: FlaskClient, clinic: Clinic) -> None:
    token = token_in(client.get("/dispatch/errors/new").text)
    for number in ("0", "999999", str(2**63)):
        assert client.get(f"/dispatch/errors/{number}").status_code == 404
        assert client.get(f"/dispatch/errors/drafts/{number}").status_code == 404
        for action in ("", "/restore", "/conflict"):
            data = {"csrf_token": token}
            assert client.post(f"/dispatch/errors/{number}{action}", data=data).status_code == 404


# Changing


def test_a_saved_text_holds_at_once_and_stands_beside_the_shipped_one(
    client: FlaskClient, clinic: Clinic
) -> None:
    entry = entry_of(clinic, "5.1.1")
    address = f"/dispatch/errors/{entry.id}"
    data = edited(client, address, {"short.de": "Postfach unbekannt, bitte nachfragen"})
    saved = client.post(address, data=data)
    assert saved.status_code == 303
    page = client.get(saved.location).text
    assert "Gespeichert." in page
    assert "Postfach unbekannt, bitte nachfragen" in page
    assert f"Mitgeliefert: {entry.text('short', 'de')}" in text_of(page)
    assert own_fields(clinic, entry.id) == {"short.de": "Postfach unbekannt, bitte nachfragen"}
    found = service.explain(clinic.dispatch, Answer(system="smtp", code="5.1.1"))
    assert found.entry is not None
    assert found.entry.text("short", "de") == "Postfach unbekannt, bitte nachfragen"
    assert "A. Kern" in page


def test_saving_without_a_change_makes_nothing_the_clinics(
    client: FlaskClient, clinic: Clinic
) -> None:
    for code in ("5.1.1", "4.2.2", "5.7.1"):
        address = f"/dispatch/errors/{entry_of(clinic, code).id}"
        assert client.post(address, data=edited(client, address, {})).status_code == 303
        assert own_fields(clinic, entry_of(clinic, code).id) == {}


def test_what_the_program_does_can_be_changed_and_set_back(
    client: FlaskClient, clinic: Clinic
) -> None:
    address = f"/dispatch/errors/{entry_of(clinic, '5.7.1').id}"
    changes = {
        "policy.action": "retry",
        "policy.tries": "3",
        "policy.base": "1,5",
        "policy.block": "yes",
        "policy.pause_share": "20",
    }
    assert client.post(address, data=edited(client, address, changes)).status_code == 303
    policy = entry_of(clinic, "5.7.1").policy
    assert policy.action is PolicyAction.RETRY
    assert (policy.tries, policy.base, policy.block, policy.pause_share) == (3, 90.0, True, 0.2)
    page = client.get(address).text
    assert "insgesamt bis zu 3\u2011mal" in page
    assert "Sperrt die Adresse" in page
    back = dict.fromkeys(changes, "")
    assert client.post(address, data=edited(client, address, back)).status_code == 303
    assert entry_of(clinic, "5.7.1").policy.action is PolicyAction.FAIL
    assert entry_of(clinic, "5.7.1").policy.block is False


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("short.de", "x" * 61, "1 Zeichen zu viel; höchstens 60"),
        ("what_helps.ru", "x" * 2001, "1 Zeichen zu viel; höchstens 2000"),
        ("who", "the king", "wählen Sie eine der Möglichkeiten"),
        ("category", "<b>", "wählen Sie eine der Möglichkeiten"),
        ("permanence", "\0", "wählen Sie eine der Möglichkeiten"),
        ("policy.action", "explode", "wählen Sie eine der Möglichkeiten"),
        ("policy.tries", "many", "Zahl von 1 bis 50"),
        ("policy.tries", "51", "Zahl von 1 bis 50"),
        ("policy.base", "nan", "Zahl von 0 bis 43200"),
        ("policy.pause_share", "-1", "Zahl von 0 bis 100"),
        ("policy.pause_share", "9" * 400, "Zahl von 0 bis 100"),
    ],
)
def test_a_wrong_value_is_named_beside_its_field_and_nothing_is_saved(
    client: FlaskClient, clinic: Clinic, name: str, value: str, words: str
) -> None:
    entry = entry_of(clinic, "5.1.1")
    address = f"/dispatch/errors/{entry.id}"
    data = edited(client, address, {name: value, "what_happened.en": "kept <words>"})
    answer = client.post(address, data=data)
    assert answer.status_code == 422
    assert words in answer.text
    assert f'id="e-{name}"' in answer.text
    assert f'href="#f-{name}"' in answer.text
    assert fields_of(answer.text, action=address)["what_happened.en"] == "kept <words>"
    assert own_fields(clinic, entry.id) == {}


def test_an_entry_needs_its_note_in_some_language(client: FlaskClient, clinic: Clinic) -> None:
    address = f"/dispatch/errors/{entry_of(clinic, '5.1.1').id}"
    empty = {"short.de": " ", "short.en": "", "short.ru": "\u200b".strip("\u200b")}
    answer = client.post(address, data=edited(client, address, empty))
    assert answer.status_code == 422
    assert "Bitte schreiben Sie den Hinweis" in answer.text


def test_texts_with_rubbish_are_cleaned_and_shown_as_text(
    client: FlaskClient, clinic: Clinic
) -> None:
    entry = entry_of(clinic, "5.1.1")
    address = f"/dispatch/errors/{entry.id}"
    changes = {"short.de": "a\0b<script>\u202e", "what_helps.de": "eins\r\nzwei\x07"}
    assert client.post(address, data=edited(client, address, changes)).status_code == 303
    assert own_fields(clinic, entry.id)["short.de"] == "ab<script>\u202e"
    assert own_fields(clinic, entry.id)["what_helps.de"] == "eins\nzwei"
    assert "<script>\u202e" not in client.get(address).text


def test_two_editors_never_overwrite_each_other_silently(
    client: FlaskClient, clinic: Clinic
) -> None:
    entry = entry_of(clinic, "5.1.1")
    address = f"/dispatch/errors/{entry.id}"
    first = edited(client, address, {"short.de": "Fassung der Ersten"})
    second = edited(
        client, address, {"short.de": "Fassung der Zweiten", "what_helps.de": "Anrufen."}
    )
    assert client.post(address, data=first).status_code == 303
    refused = client.post(address, data=second)
    assert refused.status_code == 409
    assert "hat A. Kern diesen Eintrag gespeichert" in text_of(refused.text)
    assert "Jetzt gespeichert: Fassung der Ersten" in text_of(refused.text)
    assert own_fields(clinic, entry.id)["short.de"] == "Fassung der Ersten"
    again = fields_of(refused.text, action=address)
    assert again["short.de"] == "Fassung der Zweiten"
    assert client.post(address, data=again).status_code == 303
    assert own_fields(clinic, entry.id)["short.de"] == "Fassung der Zweiten"
    assert own_fields(clinic, entry.id)["what_helps.de"] == "Anrufen."


def test_the_shipped_text_is_restored_only_after_a_question(
    client: FlaskClient, clinic: Clinic
) -> None:
    entry = entry_of(clinic, "5.1.1")
    address = f"/dispatch/errors/{entry.id}"
    assert "wiederherstellen" not in client.get(address).text
    client.post(address, data=edited(client, address, {"short.de": "Anders"}))
    page = client.get(address).text
    assert "Die Geschichte bewahrt sie" in page
    done = client.post(f"{address}/restore", data=fields_of(page, action=f"{address}/restore"))
    assert done.status_code == 303
    assert "Der mitgelieferte Text gilt wieder" in client.get(done.location).text
    assert own_fields(clinic, entry.id) == {}


# After an update


def _updated(clinic: Clinic, entry: KnownEntry, **shipped: str) -> None:
    with clinic.dispatch.database.begin() as connection:
        row = (
            connection.execute(Entry.__table__.select().where(Entry.id == entry.id))
            .mappings()
            .one()
        )
        content = {
            **row["shipped"],
            **{name.replace("_de", ".de"): text for name, text in shipped.items()},
        }
        connection.execute(update(Entry).where(Entry.id == entry.id).values(shipped=content))


@pytest.mark.parametrize(
    ("take", "short"), [("ours", "Unser Text"), ("shipped", "Neu mitgelieferter Text")]
)
def test_what_an_update_changed_is_shown_beside_ours_and_decided_once(
    client: FlaskClient, clinic: Clinic, take: str, short: str
) -> None:
    entry = entry_of(clinic, "5.1.1")
    address = f"/dispatch/errors/{entry.id}"
    client.post(address, data=edited(client, address, {"short.de": "Unser Text"}))
    _updated(clinic, entry, short_de="Neu mitgelieferter Text")
    page = client.get(address).text
    assert "Ihr Text: Unser Text" in text_of(page)
    assert "Neu mitgeliefert: Neu mitgelieferter Text" in text_of(page)
    data = {"csrf_token": token_in(page), "take": take}
    assert client.post(f"{address}/conflict", data=data).status_code == 303
    assert "Neu mitgeliefert:" not in text_of(client.get(address).text)
    assert entry_of(clinic, "5.1.1").text("short", "de") == short


# New entries


def _new(client: FlaskClient, **changes: str) -> Any:
    data = {"system": "smtp", "code": "5.9.50", "short.de": "Neue Erklärung", **changes}
    fields = fields_of(client.get("/dispatch/errors/new").text, action="/dispatch/errors/new")
    return client.post("/dispatch/errors/new", data={**fields, **data})


def test_a_new_entry_explains_what_comes_later(client: FlaskClient, clinic: Clinic) -> None:
    saved = _new(
        client, **{"what_helps.de": "Anrufen", "who": "reception", "category": "recipient_full"}
    )
    assert saved.status_code == 303
    found = service.explain(clinic.dispatch, Answer(system="smtp", code="5.9.50"))
    assert found.matched is Matched.EXACT
    assert found.entry is not None
    assert found.entry.text("short", "ru") == "Neue Erklärung"
    assert (found.entry.who, found.entry.category) == ("reception", "recipient_full")
    assert "Eigener Eintrag der Klinik" in client.get(saved.location).text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": ""}, "code"),
        ({"code": "x" * 65}, "code"),
        ({"system": "x" * 33}, "system"),
        ({"short.de": ""}, "short.de"),
        ({"pattern": "(?=ahead)"}, "pattern"),
        ({"pattern": "("}, "pattern"),
        ({"pattern": "x" * 501}, "pattern"),
        ({"unless": "[z-a]"}, "unless"),
    ],
)
def test_a_new_entry_with_a_fault_is_not_saved(
    client: FlaskClient, clinic: Clinic, changes: dict[str, str], field: str
) -> None:
    answer = _new(client, **changes)
    assert answer.status_code == 422
    assert f'id="e-{field}"' in answer.text


def test_the_same_entry_twice_is_refused_in_german(client: FlaskClient, clinic: Clinic) -> None:
    assert _new(client).status_code == 303
    again = _new(client)
    assert again.status_code == 422
    assert "Dafür hat die Klinik schon einen Eintrag" in again.text


def test_an_own_entry_can_be_removed(client: FlaskClient, clinic: Clinic) -> None:
    address = _new(client).location.partition("?")[0]
    page = client.get(address).text
    assert "Eintrag außer Gebrauch nehmen" in page
    done = client.post(f"{address}/restore", data={"csrf_token": token_in(page)})
    assert "Der Eintrag ist jetzt außer Gebrauch" in client.get(done.location).text
    page = client.get(address).text
    assert "außer Gebrauch" in page
    assert "Eintrag außer Gebrauch nehmen" not in page
    undo = re.search(r'action="([^"]*/changes/\d+/undo)"', page)
    assert undo is not None
    again = client.post(undo[1], data={"csrf_token": token_in(page)})
    assert "Zurückgenommen." in client.get(again.location).text
    assert "Eintrag außer Gebrauch nehmen" in client.get(address).text


# Drafts


def test_describing_a_new_code_needs_no_pattern_and_explains_earlier_messages(
    client: FlaskClient, clinic: Clinic
) -> None:
    draft = seen(clinic, UNKNOWN)
    address = f"/dispatch/errors/drafts/{draft}"
    page = client.get(address).text
    fields = fields_of(page, action=address)
    assert (fields["code"], fields["pattern"]) == ("5.9.87", "")
    assert "auch für 7 frühere Nachrichten" in page
    saved = client.post(address, data={**fields, "short.de": "Frobnikation"})
    assert saved.status_code == 303
    found = service.explain(clinic.dispatch, UNKNOWN)
    assert found.matched is Matched.EXACT
    assert found.entry is not None
    assert found.entry.text("short", "de") == "Frobnikation"
    assert "noch nicht beschrieben" not in client.get("/dispatch/errors").text
    assert client.get(address).status_code == 404


def test_a_bare_reply_code_gets_a_piece_of_the_text_explained_in_plain_words(
    client: FlaskClient, clinic: Clinic
) -> None:
    draft = seen(clinic, BARE)
    address = f"/dispatch/errors/drafts/{draft}"
    page = client.get(address).text
    fields = fields_of(page, action=address)
    assert (fields["code"], fields["pattern"]) == ("550", r"Subscriber barred \(roaming\) for")
    assert "in denen „Subscriber barred (roaming) for“ vorkommt" in page
    assert client.post(address, data={**fields, "short.de": "Roaming gesperrt"}).status_code == 303
    other = Answer(
        system="smtp", code="550", text="550 subscriber BARRED (roaming) for <b@y.example>"
    )
    assert service.explain(clinic.dispatch, other).matched is Matched.PATTERN
    unlike = Answer(system="smtp", code="550", text="550 something else entirely")
    assert service.explain(clinic.dispatch, unlike).matched is not Matched.PATTERN


def test_an_answer_without_a_code_is_known_by_its_text_alone(
    client: FlaskClient, clinic: Clinic
) -> None:
    address = f"/dispatch/errors/drafts/{seen(clinic, NAMELESS)}"
    fields = fields_of(client.get(address).text, action=address)
    assert (fields["code"], fields["pattern"]) == ("*", "Quixotic zebra department")
    refused = client.post(address, data={**fields, "short.de": "Zebra", "pattern": ""})
    assert refused.status_code == 422
    assert "Ohne Kennzahl" in refused.text
    assert client.post(address, data={**fields, "short.de": "Zebra"}).status_code == 303


def test_a_description_that_misses_its_own_answer_is_refused(
    client: FlaskClient, clinic: Clinic
) -> None:
    address = f"/dispatch/errors/drafts/{seen(clinic, BARE)}"
    fields = fields_of(client.get(address).text, action=address)
    for changes in ({"pattern": "never written"}, {"code": "551"}):
        answer = client.post(address, data={**fields, "short.de": "X", **changes})
        assert answer.status_code == 422
        assert "ist die Antwort oben nicht gemeint" in answer.text
    assert client.post(address, data={**fields, "short.de": "X", "pattern": "("}).status_code == 422


def test_the_general_description_may_be_enough(client: FlaskClient, clinic: Clinic) -> None:
    draft = seen(clinic, UNKNOWN)
    address = f"/dispatch/errors/drafts/{draft}"
    page = client.get(address).text
    assert "Allgemeine Beschreibung genügt" in page
    done = submit(client, address, to=f"{address}/settle")
    assert "Erledigt" in client.get(done.location).text
    assert "noch nicht beschrieben" not in client.get("/dispatch/errors").text
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    "value", ["\0", "\u202e", "'; DROP TABLE x", "<b>", "x" * 200_000, "(((((", "%"]
)
@pytest.mark.parametrize("name", ["short.de", "code", "pattern", "unless", "policy.tries", "group"])
def test_no_rubbish_in_a_draft_is_ever_500(
    client: FlaskClient, clinic: Clinic, name: str, value: str
) -> None:
    address = f"/dispatch/errors/drafts/{seen(clinic, BARE)}"
    fields = fields_of(client.get(address).text, action=address)
    answer = client.post(address, data={**fields, "short.de": "X", name: value})
    assert answer.status_code in (303, 413, 422)


@pytest.mark.parametrize(
    ("sample", "piece"),
    [
        (
            "550 5.7.1 Message refused by policy 12-AB for <@>",
            "Message refused by policy 12-AB for",
        ),
        ("550-5.7.1 First line 550 5.7.1 the second and longer line", "the second and longer line"),
        ("421 <ip> has been throttled, see https://x.example/…", "has been throttled, see"),
        ("<id> <number>", ""),
        ("", ""),
    ],
)
def test_the_piece_proposed_holds_nothing_that_differs_each_time(sample: str, piece: str) -> None:
    assert likeness.piece_of(sample) == piece


def test_a_literal_pattern_reads_as_plain_words_and_others_do_not() -> None:
    assert likeness.plain_words(likeness.literal("a+b (c) [d] 1.2$")) == "a+b (c) [d] 1.2$"
    assert likeness.plain_words("user.*unknown") is None
    assert likeness.plain_words("") is None


# Other languages, and a real browser


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ru", ["Ошибки рассылки", "2 ответа ещё не описаны", "Описать"]),
        ("en", ["Mailing errors", "2 answers"]),
    ],
)
def test_the_pages_speak_the_readers_language(
    client: FlaskClient, clinic: Clinic, language: str, words: list[str]
) -> None:
    seen(clinic, UNKNOWN)
    seen(clinic, BARE)
    clinic.host.language = language
    page = client.get("/dispatch/errors").text
    for word in words:
        assert word in page


@pytest.mark.parametrize("width", [1280, 360])
def test_the_pages_are_accessible_and_fit_a_phone(clinic: Clinic, page: Page, width: int) -> None:
    clinic.host.page_layout = None  # our own plain page, with its strict policy
    draft = seen(clinic, BARE)
    entry = entry_of(clinic, "5.1.1").id
    page.set_viewport_size({"width": width, "height": 800})
    with serving(clinic.app) as base:
        for address in (
            "/dispatch/errors",
            "/dispatch/errors?q=xyzzy",
            f"/dispatch/errors/{entry}",
            "/dispatch/errors/new",
            f"/dispatch/errors/drafts/{draft}",
            "/dispatch/errors/999999",
        ):
            page.goto(base + address)
            too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert too_wide <= 0, address
            found = Axe().run(page)["violations"]
            assert not found, (
                address,
                [(fault["id"], fault["nodes"][0]["html"]) for fault in found],
            )


def test_a_draft_is_described_with_the_keyboard_alone(clinic: Clinic, page: Page) -> None:
    seen(clinic, BARE)
    with serving(clinic.app) as base:
        page.goto(f"{base}/dispatch/errors")
        page.get_by_role("link", name="Beschreiben : SMTP 550").focus()
        page.keyboard.press("Enter")
        page.get_by_label("Kurz (steht im Hinweis)").first.focus()
        page.keyboard.type("Roaming gesperrt")
        page.keyboard.press("Enter")
        page.wait_for_url("**said=saved")
        assert page.get_by_role("heading", level=1).inner_text() == "Roaming gesperrt"


def test_the_tables_missing_is_a_page_that_says_what_to_do(tmp_path: Path) -> None:
    from tests.clinic.host import make_clinic

    answer = make_clinic(tmp_path, tables=False).app.test_client().get("/dispatch/errors")
    assert answer.status_code == 503
    assert "flask dispatch db upgrade" in answer.text
