"""Saving a changed policy: what waits is counted and asked about first, and nothing that was typed is lost."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import ColumnElement, func, select
from werkzeug.test import TestResponse

from clinic_dispatch_plugin.error_reference import editing, service
from clinic_dispatch_plugin.error_reference.policy import Policy, PolicyAction
from clinic_dispatch_plugin.error_reference.tables import Entry
from clinic_dispatch_plugin.error_reference.wording import policy, policy_brief
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.messages.tables import Message
from clinic_dispatch_plugin.web.i18n import LANGUAGES
from tests.clinic.browsing import fields_of
from tests.clinic.full import EMAIL
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import MAILBOX_FULL, Mailbag


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = make_clinic(tmp_path, config=EMAIL)
    yield made
    made.dispatch.database.dispose()


@pytest.fixture
def bag(clinic: Clinic) -> Mailbag:
    return Mailbag(clinic.dispatch)


def entry_of(clinic: Clinic) -> int:
    with clinic.dispatch.database.begin() as connection:
        found = service.reference(clinic.dispatch, connection).explain(MAILBOX_FULL).entry
    assert found is not None
    return found.id


def counted(clinic: Clinic, *conditions: ColumnElement[bool]) -> int:
    with clinic.dispatch.database.begin() as connection:
        return int(connection.execute(select(func.count()).where(*conditions)).scalar_one())


def waits(bag: Mailbag, number: int) -> list[int]:
    mailing = bag.mailing()
    return [
        bag.message(mailing, "queued", answer=MAILBOX_FULL, attempt="refused", due_in=3_600)
        for _ in range(number)
    ]


def save(
    client: FlaskClient, entry: int, typed: Mapping[str, str], *, headers: Mapping[str, str] = {}
) -> TestResponse:
    """Change these fields of the entry's form."""
    page = f"/dispatch/errors/{entry}"
    shown = client.get(page, headers=dict(headers)).text
    return client.post(page, data={**fields_of(shown, action=page), **typed}, headers=dict(headers))


def answered(client: FlaskClient, entry: int, asked: TestResponse, choice: str) -> TestResponse:
    """Press a button of the question."""
    page = f"/dispatch/errors/{entry}"
    return client.post(page, data={**fields_of(asked.text, action=page), "follow": choice})


GIVE_UP = {"policy.action": "fail", "policy.block": "yes", "what_helps.de": "Neue Worte"}


def test_the_question_counts_and_each_answer_does_what_it_says(
    clinic: Clinic, client: FlaskClient, bag: Mailbag
) -> None:
    ids = waits(bag, 2)
    entry = entry_of(clinic)

    asked = save(client, entry, GIVE_UP)
    assert asked.status_code == 200
    for words in (
        "2 Nachrichten warten wegen dieser Antwort",
        "2 Nachrichten werden aufgegeben",
        "2 Adressen werden gesperrt",
        "Kein neuer Versuch. Sperrt die Adresse",
    ):
        assert words in asked.text
    assert "Neue Worte" not in client.get(f"/dispatch/errors/{entry}").text, "nothing is saved yet"

    back = answered(client, entry, asked, "back")
    assert back.status_code == 200
    assert fields_of(back.text, action=f"/dispatch/errors/{entry}")["what_helps.de"] == "Neue Worte"
    assert {bag.row(each)["state"] for each in ids} == {"queued"}

    done = answered(client, entry, asked, "leave")
    assert done.status_code == 303
    assert "Neue Worte" in client.get(done.location).text
    assert {bag.row(each)["state"] for each in ids} == {"queued"}
    assert bag.trail() == []

    mild = {"policy.action": "", "policy.block": "", "what_helps.de": "Anders"}
    assert save(client, entry, mild).status_code == 303, "they wait as they did"
    asked = save(client, entry, GIVE_UP)
    page = client.get(answered(client, entry, asked, "apply").location).text
    assert "2 wartende Nachrichten wurden aufgegeben. 2 Adressen wurden gesperrt." in page
    assert {bag.row(each)["state"] for each in ids} == {"undelivered"}
    assert "2 gesperrte Adressen" in page and f"/dispatch/blocks?cause=entry:{entry}" in (
        html.unescape(page).replace("%3A", ":")
    )
    message = client.get(f"/dispatch/messages/{ids[0]}").text
    assert "Aufgegeben durch A. Kern" in message
    assert "Diese Adresse ist gesperrt" in message


def test_nobody_is_asked_where_nothing_would_change_for_what_waits(
    clinic: Clinic, client: FlaskClient, bag: Mailbag
) -> None:
    entry = entry_of(clinic)
    assert save(client, entry, GIVE_UP).status_code == 303, "nothing waits"
    save(client, entry, {"policy.action": "", "policy.block": ""})
    waits(bag, 1)
    assert save(client, entry, {"what_helps.de": "Nur Worte"}).status_code == 303
    assert save(client, entry, {"policy.tries": "30"}).status_code == 303


def test_who_may_not_send_and_who_may_not_see_is_told_less(
    clinic: Clinic, client: FlaskClient, bag: Mailbag
) -> None:
    first, second = waits(bag, 2)
    entry = entry_of(clinic)
    clinic.host.hidden = {bag.row(first)["ref"]}
    asked = save(client, entry, GIVE_UP)
    assert "1 Nachricht wartet wegen dieser Antwort" in asked.text
    clinic.host.actions = frozenset({Action.VIEW, Action.EDIT_REFERENCE})
    asked = save(client, entry, GIVE_UP)
    assert 'value="apply"' not in asked.text and 'value="leave"' in asked.text
    assert answered(client, entry, asked, "apply").status_code == 303
    assert {bag.row(each)["state"] for each in (first, second)} == {"queued"}


def test_what_stands_still_is_named_where_the_entry_is_and_before_a_change(
    clinic: Clinic, client: FlaskClient, bag: Mailbag
) -> None:
    waits(bag, 1)
    account = bag.stop_account(MAILBOX_FULL)
    mailing = bag.mailing(
        "Angebote", state="paused", pause_reason="spam", pause_text=f"smtp:{MAILBOX_FULL.code}"
    )
    entry = entry_of(clinic)
    page = client.get(f"/dispatch/errors/{entry}").text
    check = f"/dispatch/accounts/{account}/check"
    assert f'href="/dispatch/mailings/{mailing}">Angebote' in page and check in page
    asked = save(client, entry, GIVE_UP).text
    assert "Angebote" in asked and "Versandkonto angehalten" in asked
    assert check not in asked, "nothing starts in passing"


def test_somebody_elses_saving_between_question_and_answer_is_seen(
    clinic: Clinic, client: FlaskClient, bag: Mailbag
) -> None:
    waits(bag, 1)
    entry = entry_of(clinic)
    asked = save(client, entry, GIVE_UP)
    save(client, entry, {"what_happened.de": "Schneller gewesen"})
    late = answered(client, entry, asked, "apply")
    assert late.status_code == 409 and "Neue Worte" in late.text
    assert "Während Sie geschrieben haben" in late.text or "Schneller gewesen" in late.text


def test_a_block_for_the_senders_name_is_refused_beside_its_field(
    clinic: Clinic, client: FlaskClient
) -> None:
    entry = entry_of(clinic)
    answer = save(client, entry, {"category": "sender_reputation", "policy.block": "yes"})
    assert answer.status_code == 422
    assert "Sie sperrt nie die Adresse eines Patienten" in answer.text
    assert 'id="e-policy.block"' in answer.text


EVERYTHING = Policy(
    action=PolicyAction.RETRY,
    base=600,
    floor=300,
    cap=14_400,
    factor=3,
    tries=6,
    deadline=3 * 86_400,
    block=True,
    block_days=1,
    pause_share=0.125,
    pause_least=1,
)
SAID = {
    "de": "Versucht es von selbst wieder, insgesamt bis zu 6\u2011mal, zuerst frühestens nach 5 Minuten und spätestens "
    "nach 15 Minuten, dann gibt es auf. Jede weitere Wartezeit ist bis zu 3\u2011mal so lang, doch versucht es "
    "spätestens nach 245 Minuten wieder. Gibt spätestens nach 3 Tagen auf. Sperrt die Adresse für {1 Tag}. Hält die "
    "Mailingliste an, wenn mehr als 12,5 % ihrer Nachrichten so scheitern, sobald 1 Nachricht beantwortet ist.",
    "en": "Tries again by itself, up to 6 times in all, first after 5 minutes at the earliest and after 15 minutes at "
    "the latest, then gives up. Each further wait is up to 3 times as long, but it tries again after 245 minutes at "
    "the latest. Gives up after 3 days at the latest. Blocks the address for 1 day. Puts the mailing list on hold when "
    "more than 12.5 % of its messages fail so, as soon as 1 message has been answered.",
    "ru": "Повторяет само, всего до 6 попыток, впервые не раньше чем через 5 минут и не позже чем через 15 минут, "
    "затем прекращает. Каждое следующее ожидание длиннее предыдущего (множитель до 3), но новая попытка — не позже "
    "чем через 245 минут. Прекращает не позже чем через 3 дня.",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_policy_in_words_names_every_number(clinic: Clinic, language: str) -> None:
    clinic.host.language = language
    with clinic.app.test_request_context("/dispatch/"):
        said = policy(EVERYTHING)
        brief = policy_brief(EVERYTHING)
        once = policy(Policy(action=PolicyAction.RETRY, base=0, floor=60, tries=2))
        steady = policy(Policy(action=PolicyAction.RETRY, base=45, cap=45, factor=1, tries=3))
        doubt = policy(Policy(action=PolicyAction.SUSPECT_ACCOUNT, base=60, tries=4))
    expected = SAID[language].replace("{1 Tag}", "1 Tag")
    assert said.startswith(expected), said
    assert len(brief) < len(said) and "3" not in brief.replace("13", "")
    assert {
        "de": "zuerst nach 1 Minute, dann gibt es auf.",
        "en": "first after 1 minute, then gives up.",
        "ru": "впервые через 1 минуту, затем прекращает.",
    }[language] in once
    assert {"de": "nach 45 Sekunden", "en": "after 45 seconds", "ru": "через 45 секунд"}[
        language
    ] in steady
    assert {"de": "ebenso lang", "en": "is as long", "ru": "такое же"}[language] in steady
    assert {"de": "bis zu 4\u2011mal", "en": "up to 4 times", "ru": "до 4 попыток"}[
        language
    ] in doubt


def press(
    client: FlaskClient, address: str, shown: str, choice: str = "", **typed: str
) -> TestResponse:
    """Send a form of a page, or a question's, with one of its buttons."""
    more = {"follow": choice} if choice else {}
    return client.post(address, data={**fields_of(shown, action=address), **typed, **more})


def test_restoring_and_taking_back_ask_about_what_waits_as_editing_does(
    clinic: Clinic, client: FlaskClient, bag: Mailbag
) -> None:
    entry = entry_of(clinic)
    save(client, entry, {"policy.tries": "9", "policy.base": "30"})
    [message] = waits(bag, 1)
    page = f"/dispatch/errors/{entry}"
    undo = next(
        each for each in client.get(page).text.split('action="') if "/undo" in each[:60]
    ).partition('"')[0]
    asked = press(client, undo, client.get(page).text)
    assert asked.status_code == 200
    assert "1 Nachricht wartet wegen dieser Antwort" in asked.text
    assert f'href="{page}' in asked.text, "the way back"
    assert "9\u2011mal" in client.get(page).text, "nothing is taken back yet"
    restore = f"{page}/restore"
    asked = press(client, restore, client.get(page).text)
    assert "1 Nachricht wartet wegen dieser Antwort" in asked.text
    before = bag.row(message)["due_at"]
    done = press(client, restore, asked.text, "apply")
    assert done.status_code == 303
    assert "1 wartende Nachricht hat" in client.get(done.location).text
    assert bag.row(message)["due_at"] != before


def test_describing_anew_and_taking_out_of_use_ask_too(
    clinic: Clinic, client: FlaskClient, bag: Mailbag
) -> None:
    waits(bag, 2)
    new = "/dispatch/errors/new"
    typed = {
        "system": "smtp",
        "code": MAILBOX_FULL.code,
        "short.de": "Postfach voll, wir rufen an",
        "category": "recipient_full",
        "policy.action": "fail",
    }
    asked = press(client, new, client.get(new).text, **typed)
    if "Nachrichten warten" not in asked.text:  # the notes that would change come first
        asked = press(client, new, asked.text)
    assert "2 Nachrichten werden aufgegeben" in asked.text
    back = press(client, new, asked.text, "back")
    assert fields_of(back.text, action=new)["short.de"] == "Postfach voll, wir rufen an"
    done = press(client, new, asked.text, "leave")
    assert done.status_code == 303
    assert counted(clinic, Message.state == "queued") == 2


def test_taking_out_of_use_asks_where_what_waits_would_be_tried_at_another_time(
    clinic: Clinic, client: FlaskClient, bag: Mailbag
) -> None:
    waits(bag, 2)
    content = {
        "short.de": "Postfach voll, wir rufen an",
        "category": "recipient_full",
        "policy.action": "retry",
        "policy.base": 90_000.0,
        "policy.cap": 90_000.0,
        "policy.tries": 9,
    }
    own = editing.add_entry(
        clinic.dispatch, system="smtp", code=MAILBOX_FULL.code, content=content, by="A. Kern"
    )
    restore = f"/dispatch/errors/{own.id}/restore"
    asked = press(client, restore, client.get(f"/dispatch/errors/{own.id}").text)
    assert asked.status_code == 200
    assert "2 Nachrichten" in asked.text
    assert counted(clinic, Entry.id == own.id, Entry.retired_at.is_not(None)) == 0, "not yet"
    done = press(client, restore, asked.text, "apply")
    assert done.status_code == 303 and "moved=2" in done.location
    assert counted(clinic, Entry.id == own.id, Entry.retired_at.is_not(None)) == 1


def test_nothing_is_asked_where_nothing_waits(clinic: Clinic, client: FlaskClient) -> None:
    entry = entry_of(clinic)
    save(client, entry, GIVE_UP)
    page = f"/dispatch/errors/{entry}"
    assert press(client, f"{page}/restore", client.get(page).text).status_code == 303


def test_the_page_says_that_the_service_is_asked_first_and_who_cannot_be(
    clinic: Clinic, client: FlaskClient
) -> None:
    entry = entry_of(clinic)
    assert save(client, entry, {"policy.ask_first": "yes"}).status_code == 303
    page = client.get(f"/dispatch/errors/{entry}").text
    shown = fields_of(page, action=f"/dispatch/errors/{entry}")
    assert shown["policy.ask_first"] == "yes"
    assert "Lässt sich hier nicht fragen: E-Mail" in html.unescape(page)
