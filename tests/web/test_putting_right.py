"""Who may put what right: unsubscribed addresses, rows of files, cards, causes nobody described."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.host.types import Action, Recipient
from clinic_dispatch_plugin.messages import store
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.rules import unsubscribe_token
from clinic_dispatch_plugin.messages.service import unsubscribe
from tests.clinic.browsing import submit, token_in
from tests.clinic.full import EMAIL
from tests.clinic.host import Clinic, TinyHost, make_clinic
from tests.clinic.mailbag import LOST, STRANGE, UNKNOWN_USER, Mailbag

NOT_AGREED = Answer(system="dispatch", code="not_agreed")
NO_ADDRESS = Answer(system="dispatch", code="no_address")
#: As marketing often has it: may send, and read no patient's message.
SENDING = frozenset({Action.VIEW, Action.COMPOSE, Action.SEND})


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return make_clinic(tmp_path, config=EMAIL)


@pytest.fixture
def bag(clinic: Clinic) -> Mailbag:
    return Mailbag(clinic.dispatch)


def unsubscribed(clinic: Clinic, address: str, purpose: str = "promotion") -> str:
    digest = fingerprint(clinic.dispatch, "email", address)
    assert unsubscribe(clinic.dispatch, unsubscribe_token("k" * 40, "email", purpose, digest))
    return digest


def blocks(clinic: Clinic, digest: str) -> dict[str, str]:
    with clinic.dispatch.database.begin() as connection:
        return store.blocked(connection, "email", [digest], "promotion")


def test_who_unsubscribed_gets_it_only_when_a_person_says_they_asked_for_it(
    client: FlaskClient, clinic: Clinic, bag: Mailbag
) -> None:
    mailing = bag.mailing("Angebote", purpose="promotion")
    message = bag.message(mailing, "skipped", answer=NOT_AGREED, address="eva@example.org")
    digest = unsubscribed(clinic, "eva@example.org")
    page, to = f"/dispatch/messages/{message}", "/dispatch/messages/resend"

    html = client.get(page).text
    assert "Der Empfänger hat sich abgemeldet" in html and "heute" in html

    again = submit(client, page, {"ids": message, "back": page}, to=to)
    assert "1 Empfänger hat sich abgemeldet" in client.get(again.location).text
    assert bag.row(message)["state"] == "skipped"

    blind = submit(client, page, {"back": page}, to=f"{page}/resend-unsubscribed")
    assert "Bitte kreuzen Sie an" in client.get(blind.location).text
    assert bag.row(message)["state"] == "skipped" and blocks(clinic, digest)

    sure = submit(
        client, page, {"back": page, "asked_again": "1"}, to=f"{page}/resend-unsubscribed"
    )
    html = client.get(sure.location).text
    assert "1 Nachricht wird erneut gesendet" in html
    assert "Der Patient möchte diese Nachrichten wieder“, sagt A. Kern" in html
    assert bag.row(message)["state"] == "queued" and blocks(clinic, digest) == {}
    (line,) = [line for line in bag.trail(message) if line["action"] == "subscribe_again"]
    assert line["details"]["purpose"] == "promotion" and line["actor_name"] == "A. Kern"


def test_unsubscribing_once_more_counts_again(
    client: FlaskClient, clinic: Clinic, bag: Mailbag
) -> None:
    mailing = bag.mailing("Angebote", purpose="promotion")
    message = bag.message(mailing, "skipped", answer=NOT_AGREED, address="eva@example.org")
    digest = unsubscribed(clinic, "eva@example.org")
    page = f"/dispatch/messages/{message}"
    submit(client, page, {"asked_again": "1"}, to=f"{page}/resend-unsubscribed")
    assert blocks(clinic, digest) == {}
    unsubscribed(clinic, "eva@example.org")
    assert blocks(clinic, digest) == {digest: "not_agreed"}


def test_unsubscribing_from_offers_holds_no_reminder_back(
    client: FlaskClient, clinic: Clinic, bag: Mailbag
) -> None:
    message = bag.message(bag.mailing(), "skipped", answer=NOT_AGREED, address="eva@example.org")
    unsubscribed(clinic, "eva@example.org")
    page = f"/dispatch/messages/{message}"
    assert "abgemeldet" not in client.get(page).text
    submit(client, page, {"ids": message}, to="/dispatch/messages/resend")
    assert bag.row(message)["state"] == "queued"


def test_a_row_of_a_file_is_corrected_by_whoever_may_send(
    client: FlaskClient, clinic: Clinic, bag: Mailbag
) -> None:
    clinic.host.actions = SENDING
    mailing = bag.mailing(source="file")
    bad = bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused", ref="")
    page = f"/dispatch/mailings/{mailing}"
    assert "1 Adresse berichtigen" in client.get(page).text
    done = submit(
        client, page, {"address": "neu@example.org"}, to=f"/dispatch/messages/{bad}/address"
    )
    assert done.status_code == 303, done.text
    row = bag.row(bad)
    assert (row["state"], row["address"]) == ("queued", "neu@example.org")


def test_a_card_that_refuses_says_so_and_nothing_is_sent_elsewhere(
    client: FlaskClient, clinic: Clinic, bag: Mailbag
) -> None:
    clinic.host.actions = SENDING
    clinic.host.allows_updates = False
    mailing = bag.mailing()
    bad = bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused", ref="p9")
    to = f"/dispatch/messages/{bad}/address"
    done = submit(client, f"/dispatch/mailings/{mailing}", {"address": "neu@example.org"}, to=to)
    assert done.status_code == 422
    assert "Sie dürfen die Adresse in dieser Patientenkarte nicht ändern" in done.text
    assert bag.row(bad)["state"] == "undelivered"


def test_no_field_is_shown_where_it_cannot_work(
    client: FlaskClient, clinic: Clinic, bag: Mailbag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TinyHost, "update_address", HostAdapter.update_address)
    clinic.host.actions = SENDING
    mailing = bag.mailing()
    bad = bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused", ref="p9")
    for path in (f"/mailings/{mailing}", f"/messages/{bad}", "/", f"/messages/{bad}/address"):
        html = client.get(f"/dispatch{path}").text
        assert 'name="address"' not in html, path
    html = client.get(f"/dispatch/mailings/{mailing}").text
    assert "Adresse berichtigen" not in html and "Erneut senden" in html
    clinic.host.actions = SENDING | {Action.VIEW_CONTENTS}
    assert 'name="address"' in client.get(f"/dispatch/messages/{bad}").text


def test_a_cause_nobody_described_is_sent_again_by_whoever_cannot_describe_it(
    client: FlaskClient, clinic: Clinic, bag: Mailbag
) -> None:
    mailing = bag.mailing()
    strange = bag.message(mailing, "undelivered", answer=STRANGE, attempt="refused", ref="")
    page = f"/dispatch/mailings/{mailing}"
    described = client.get(page).text.partition('class="cd-why-do"')[2].partition("</li>")[0]
    assert "Beschreibung ergänzen" in described and "Erneut senden" not in described
    clinic.host.actions = SENDING
    html = client.get(page).text
    button = html.partition('class="cd-why-do"')[2].partition("</li>")[0]
    assert "Erneut senden" in button and "Beschreibung ergänzen" not in button
    data = {"all": "1", "mailing": mailing, "cause": "draft:smtp:5.9.9", "back": page}
    client.post("/dispatch/messages/resend", data={"csrf_token": token_in(html), **data})
    assert bag.row(strange)["state"] == "queued"


def test_an_address_of_the_card_is_no_way_to_send_twice(
    client: FlaskClient, clinic: Clinic, bag: Mailbag
) -> None:
    mailing = bag.mailing()
    bag.message(mailing, "sent", attempt="accepted", ref="p1", address="eva@example.org")
    again = bag.message(mailing, "skipped", answer=NO_ADDRESS, ref="p1", address="")
    clinic.host.patients["p1"] = Recipient(ref="p1", addresses={"email": "Eva@example.org"})
    page = f"/dispatch/mailings/{mailing}"
    done = submit(client, page, {"ids": again, "back": page}, to="/dispatch/messages/resend")
    assert "1 ist eine Wiederholung" in client.get(done.location).text
    assert bag.row(again)["state"] == "skipped"


def test_two_that_get_the_same_address_at_once_are_one(
    client: FlaskClient, clinic: Clinic, bag: Mailbag
) -> None:
    mailing = bag.mailing()
    two = [
        bag.message(mailing, "skipped", answer=NO_ADDRESS, ref="p1", address="") for _ in range(2)
    ]
    clinic.host.patients["p1"] = Recipient(ref="p1", addresses={"email": "eva@example.org"})
    submit(client, f"/dispatch/mailings/{mailing}", {"ids": two}, to="/dispatch/messages/resend")
    assert sorted(str(bag.row(one)["state"]) for one in two) == ["queued", "skipped"]


@pytest.mark.parametrize("path", ["/mailings/{mailing}", "/", "/mailings/{mailing}/progress"])
def test_an_accounts_answer_is_shown_without_whom_it_names(
    client: FlaskClient, clinic: Clinic, bag: Mailbag, path: str
) -> None:
    mailing = bag.mailing()
    bag.message(mailing, "queued")
    words = "454 4.7.1 <eva.geheim@example.org>: Relay access denied for praxis17geheim99"
    bag.stop_account(Answer(system="smtp", code="4.7.1", text=words))
    html = client.get(f"/dispatch{path.format(mailing=mailing)}").text
    assert "geheim" not in html
    if path == "/mailings/{mailing}":
        assert "Relay access denied" in html


def test_a_log_ins_answer_is_for_the_administration(
    client: FlaskClient, clinic: Clinic, bag: Mailbag
) -> None:
    mailing = bag.mailing()
    bag.message(mailing, "queued")
    bag.stop_account(Answer(system="smtp", code="5.7.8", text="535 5.7.8 bad: cHJheGlzOmdlaGVpbQ"))
    page = f"/dispatch/mailings/{mailing}"
    clinic.host.actions = frozenset(Action) - {Action.CONFIGURE}
    assert "Das Konto ist gestoppt" in client.get(page).text
    assert "cHJheGlz" not in client.get(page).text


def test_our_own_words_are_not_called_the_services(
    client: FlaskClient, clinic: Clinic, bag: Mailbag
) -> None:
    mailing = bag.mailing()
    doubt = bag.message(mailing, "uncertain", answer=LOST, attempt="uncertain")
    bag.stop_account(
        Answer(system="dispatch", code="connection_lost", text="connection refused by 10.0.0.1")
    )
    bag.message(mailing, "queued")
    for path in (f"/mailings/{mailing}", f"/messages/{doubt}", f"/mailings/{mailing}/progress"):
        html = client.get(f"/dispatch{path}").text
        assert "Der Dienst schrieb" not in html and "connection " not in html, path
