"""Why a mailing stands still, what was done to it, when the next try is, and finding messages again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.messages import holds
from tests.clinic.browsing import fields_of, submit
from tests.clinic.full import EMAIL
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import MAILBOX_FULL, STRANGE, UNKNOWN_USER, Mailbag

SPAM = Answer(system="smtp", code="5.7.1", text="550 5.7.1 rejected as spam")


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return make_clinic(tmp_path, config=EMAIL)


@pytest.fixture
def bag(clinic: Clinic) -> Mailbag:
    return Mailbag(clinic.dispatch)


@pytest.mark.parametrize("page", ["progress", ""])
def test_a_stop_for_spam_names_the_cause_in_words(
    client: FlaskClient, bag: Mailbag, page: str
) -> None:
    mailing = bag.mailing(state="paused", pause_reason="spam", pause_text="smtp:5.7.1")
    bag.message(mailing, "undelivered", answer=SPAM, attempt="refused")
    bag.message(mailing, "queued")
    html = client.get(f"/dispatch/mailings/{mailing}/{page}".rstrip("/")).text
    banner = html.partition("cd-banner-wait")[2].partition("</div>")[0]
    assert "aus derselben Ursache scheiterten: „" in banner
    assert "5.7.1" not in banner


@pytest.mark.parametrize("page", ["progress", ""])
@pytest.mark.parametrize("text", [*sorted(holds.PLAN_FAILURES), "OperationalError"])
def test_a_plan_that_failed_says_why_in_german(
    client: FlaskClient, bag: Mailbag, page: str, text: str
) -> None:
    mailing = bag.mailing(state="paused", pause_reason="plan_failed", pause_text=text)
    html = client.get(f"/dispatch/mailings/{mailing}/{page}".rstrip("/")).text
    assert "konnten nicht alle vorbereitet werden" in html
    assert text not in html


@pytest.mark.parametrize("page", ["progress", ""])
def test_a_broken_text_shows_no_name_of_a_class(
    client: FlaskClient, bag: Mailbag, page: str
) -> None:
    mailing = bag.mailing(state="paused", pause_reason="text", pause_text="TemplateSyntaxProblem")
    html = client.get(f"/dispatch/mailings/{mailing}/{page}".rstrip("/")).text
    assert "TemplateSyntaxProblem" not in html and "Ihr Text lässt sich nicht verwenden" in html


@pytest.mark.parametrize("deed", ["pause", "cancel"])
def test_what_was_done_after_the_first_pass_is_said_on_the_list(
    client: FlaskClient, bag: Mailbag, deed: str
) -> None:
    mailing = bag.mailing(first_pass_at=datetime.now(tz=UTC))
    bag.message(mailing, "queued", answer=MAILBOX_FULL, attempt="refused", due_in=900)
    page = f"/dispatch/mailings/{mailing}"
    done = submit(client, page, {}, to=f"{page}/{deed}")
    html = client.get(done.location, follow_redirects=True).text
    said = {"pause": "Was gerade übergeben wird", "cancel": "wird nicht mehr gesendet"}[deed]
    assert said in html


def test_the_progress_page_comes_again_by_a_header_unless_a_script_counts(
    client: FlaskClient, bag: Mailbag
) -> None:
    mailing = bag.mailing()
    bag.message(mailing, "queued")
    plain = client.get(f"/dispatch/mailings/{mailing}/progress")
    assert plain.headers["Refresh"] == "10" and "http-equiv" not in plain.text
    live = client.get(f"/dispatch/mailings/{mailing}/progress?live=1")
    assert "Refresh" not in live.headers
    assert f'href="/dispatch/mailings/{mailing}/progress"' in live.text, "the way without a script"


def test_a_wait_until_another_day_names_the_day(client: FlaskClient, bag: Mailbag) -> None:
    mailing = bag.mailing()
    bag.message(mailing, "queued", answer=MAILBOX_FULL, attempt="refused", due_in=5 * 86_400)
    there = datetime.now(tz=UTC) + timedelta(days=5)
    html = client.get(f"/dispatch/mailings/{mailing}").text
    assert html.count(f" {there.day}. ") >= 2 or str(there.year) in html
    assert "von selbst wieder: " in html


def test_all_messages_are_filtered_by_a_cause_that_occurred(
    client: FlaskClient, bag: Mailbag
) -> None:
    mailing = bag.mailing()
    bad = [
        bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
        for _ in range(2)
    ]
    strange = bag.message(mailing, "undelivered", answer=STRANGE, attempt="refused")
    html = client.get("/dispatch/").text
    choices = html.partition('name="cause"')[2].partition("</select>")[0]
    assert "Alle Ursachen" in choices
    assert choices.index("Postfach gibt es nicht") < choices.index("5.9.9"), "the frequent first"
    token = choices.partition('value="entry:')[2].partition('"')[0]
    html = client.get(f"/dispatch/?cause=entry:{token}").text
    assert f'id="m{bad[0]}"' in html and f'id="m{strange}"' not in html
    assert fields_of(html, action="/dispatch/")["cause"] == f"entry:{token}"


def test_a_cause_that_no_message_has_any_more_stays_chosen_in_words(
    client: FlaskClient, bag: Mailbag
) -> None:
    bag.message(bag.mailing(), "sent")
    html = client.get("/dispatch/?cause=smtp:5.1.1").text
    assert fields_of(html, action="/dispatch/")["cause"] == "smtp:5.1.1"


def test_an_older_mailing_is_found_by_its_name(client: FlaskClient, bag: Mailbag) -> None:
    old = bag.mailing("Ostergruß 2024")
    message = bag.message(old, "sent")
    assert "Ältere Mailingliste suchen" not in client.get("/dispatch/").text
    for number in range(55):
        bag.mailing(f"Erinnerung {number}")
    html = client.get("/dispatch/").text
    assert "Ältere Mailingliste suchen" in html and "Ostergruß 2024</option>" not in html
    found = client.get("/dispatch/?list=ostergruß&state=sent")
    assert found.status_code == 303 and f"mailing={old}" in found.location
    html = client.get(found.location).text
    assert f'id="m{message}"' in html and "Ostergruß 2024</option>" in html
    several = client.get("/dispatch/?list=erinnerung").text
    assert "Wählen Sie eine" in several and "Erinnerung 54" in several
    assert "Keine Mailingliste hat das" in client.get("/dispatch/?list=xyzzy").text


@pytest.mark.parametrize("path", ["/", "/mailings/{mailing}"])
def test_a_search_that_is_too_long_is_said_beside_the_field(
    client: FlaskClient, bag: Mailbag, path: str
) -> None:
    mailing = bag.mailing()
    address = f"/dispatch{path.format(mailing=mailing)}"
    assert client.get(address, query_string={"q": "a" * 200}).status_code == 200
    answer = client.get(address, query_string={"q": "a" * 203})
    assert answer.status_code == 422
    assert "3 Zeichen zu viel" in answer.text and 'aria-describedby=" e-q"' in answer.text
    csv = client.get("/dispatch/messages.csv", query_string={"q": "a" * 203})
    assert csv.status_code == 422


def test_a_name_that_was_cut_is_said_beside_the_field(client: FlaskClient) -> None:
    template = {"purpose": "service", "channel": "email", "subject": "a", "text": "b", "html": ""}
    page = "/dispatch/templates/new"
    wrong = submit(client, page, {**template, "name": "n" * 201})
    assert wrong.status_code == 422 and "hat 201 Zeichen, höchstens 200" in wrong.text
    assert "n" * 201 in wrong.text, "what was typed is not lost"
    assert submit(client, page, {**template, "name": "n" * 200}).status_code == 303


def test_a_message_is_sent_once_more_as_a_mailing_of_its_own(
    client: FlaskClient, clinic: Clinic, bag: Mailbag
) -> None:
    first = bag.mailing()
    sent = bag.message(first, "delivered", attempt="accepted", ref="")
    page = f"/dispatch/messages/{sent}"
    html = client.get(page).text
    assert "Sie kann doppelt ankommen" in html
    form = fields_of(html, action=f"{page}/once-more")
    done = client.post(f"{page}/once-more", data=form)
    assert done.status_code == 303
    html = client.get(done.location).text
    assert "Nochmals: Terminerinnerung" in html and "wird nochmals gesendet" in html
    mailing = int(done.location.partition("/mailings/")[2].partition("?")[0])
    row = bag.mailing_row(mailing)
    assert (row["repeats_message_id"], row["state"], row["purpose"]) == (
        sent,
        "running",
        "reminder",
    )
    again = client.post(f"{page}/once-more", data=form)
    assert again.location == done.location, "pressed twice it is one message"
    html = client.get(page).text
    assert (
        f'href="/dispatch/mailings/{mailing}"' in html and "Nochmals gesendet von A. Kern" in html
    )
    new = bag.row(sent + 1)
    assert (new["address"], new["state"], new["data"]) == (
        bag.row(sent)["address"],
        "queued",
        bag.row(sent)["data"],
    )
    assert f'href="{page}"' in client.get(f"/dispatch/messages/{sent + 1}").text


def test_what_was_not_sent_is_not_sent_once_more(client: FlaskClient, bag: Mailbag) -> None:
    bad = bag.message(bag.mailing(), "undelivered", answer=UNKNOWN_USER, attempt="refused")
    page = f"/dispatch/messages/{bad}"
    done = submit(client, page, {"once": "x"}, to=f"{page}/once-more")
    assert "kann nicht nochmals gesendet werden" in client.get(done.location).text
    assert client.get("/dispatch/mailings").text.count("Nochmals:") == 0
