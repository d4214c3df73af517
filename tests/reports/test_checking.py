"""*Check delivery*: the button, the command, and the words that say what is known of a message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from clinic_dispatch_plugin.reports import asking, inbox
from tests.clinic.browsing import token_in
from tests.clinic.mailbag import LOST
from tests.reports.gateway import WINDOW, Desk, make_desk, said


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = make_desk(tmp_path_factory.mktemp("office"))
    yield made
    made.dispatch.database.dispose()


@pytest.fixture
def office(clinic: Desk) -> Desk:
    clinic.forget_reports()
    clinic.forget_messages()
    clinic.free()
    clinic.channel.asked.clear()
    clinic.channel.fates.clear()
    return clinic


def press(office: Desk, page: str) -> str:
    """Press the button on a page; returns the page it leads to."""
    client: FlaskClient = office.clinic.app.test_client()
    token = token_in(client.get(page).text)
    answer = client.post(f"{page}/check-delivery", data={"csrf_token": token})
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["Location"]).text


def go_round(office: Desk) -> None:
    office.free()
    asking.go_round(office.dispatch)


def command(office: Desk, *words: str) -> Any:
    result = office.clinic.app.test_cli_runner().invoke(args=["dispatch", "check-delivery", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_button_of_a_message_has_its_gateway_asked(office: Desk) -> None:
    message_id = office.sent(ago=20)
    other = office.sent(ago=20)
    page = f"/dispatch/messages/{message_id}"
    assert "Zustellung prüfen" in office.clinic.app.test_client().get(page).text
    go_round(office)
    assert office.channel.asked == []  # too young to be asked for by itself
    assert "Der Dienst wird gefragt" in press(office, page)
    office.channel.fates[office.key(message_id)] = said("delivered", key=office.key(message_id))
    go_round(office)
    assert office.channel.asked == [[office.key(message_id)]]
    assert (office.state(message_id)[0], office.state(other)[0]) == ("delivered", "sent")
    text = office.clinic.app.test_client().get(page).text
    assert "Der Dienst meldet: zugestellt" in text
    assert "Zustellung geprüft von A. Kern" in text
    assert "Zustellung prüfen" not in text


def test_the_button_of_a_mailing_asks_for_all_of_it_and_nothing_else(office: Desk) -> None:
    mailing, other = office.bag.mailing(), office.sent(ago=20)
    mine = [office.sent(ago=20, mailing_id=mailing) for _ in range(3)]
    uncertain = office.sent(
        "uncertain", attempt="uncertain", answer=LOST, ago=20, mailing_id=mailing
    )
    text = press(office, f"/dispatch/mailings/{mailing}")
    assert "Der Dienst wird gefragt" in text
    assert "Zu einigen Nachrichten fehlt noch die Rückmeldung" in text
    go_round(office)
    assert sorted(office.channel.asked[0]) == sorted(map(office.key, [*mine, uncertain]))
    assert office.key(other) not in office.channel.asked[0]


def test_where_nothing_is_open_there_is_no_button_and_pressing_it_says_so(office: Desk) -> None:
    message_id = office.sent(ago=WINDOW + 5)
    page = f"/dispatch/messages/{message_id}"
    assert "Zustellung prüfen" not in office.clinic.app.test_client().get(page).text
    assert "Es gibt nichts zu fragen" in press(office, page)


def test_messages_nobody_may_see_are_not_asked_about(office: Desk) -> None:
    message_id = office.sent(ago=20, ref="hidden")
    client = office.clinic.app.test_client()
    token = token_in(client.get(f"/dispatch/messages/{office.sent()}").text)
    office.clinic.host.hidden = {"hidden"}
    try:
        path = f"/dispatch/messages/{message_id}/check-delivery"
        assert client.post(path, data={"csrf_token": token}).status_code == 404
    finally:
        office.clinic.host.hidden = set()


def test_every_end_has_a_word_of_its_own(office: Desk) -> None:
    mailing = office.bag.mailing()
    ids = {
        status: office.sent(provider_id=f"w-{status}", mailing_id=mailing)
        for status in ("under_way", "delivered", "read", "failed", "no_report")
    }
    reports = [
        said("delivered", provider_id="w-read", state="seen"),
        *(
            said(each, provider_id=f"w-{each}", code="unknown" if each == "failed" else "")
            for each in ids
            if each != "read"
        ),
    ]
    inbox.keep(
        office.dispatch, reports, channel="fake", account_id=office.account(), source="callback"
    )
    assert inbox.process(office.dispatch) == len(ids)
    client = office.clinic.app.test_client()
    expected = {
        "under_way": "Gesendet",
        "delivered": "Zugestellt",
        "read": "Zugestellt und gelesen",
        "failed": "Nicht zugestellt",
        "no_report": "Gesendet, keine Rückmeldung",
    }
    lines = client.get(f"/dispatch/messages.csv?mailing={mailing}").text.splitlines()
    words = {int(line.split(";")[0]): line.split(";")[5] for line in lines[1:]}
    assert {status: words[ids[status]] for status in ids} == expected
    listed = client.get(f"/dispatch/mailings/{mailing}").text
    for status, word in expected.items():
        page = client.get(f"/dispatch/messages/{ids[status]}").text
        assert f"</span> {word}</span>" in page, status
        assert f"</span> {word}</span>" in listed, status
    # A try that was taken and did not arrive has no sign of success.
    failed = client.get(f"/dispatch/messages/{ids['failed']}").text
    assert "✕</span> Angenommen, aber nicht zugestellt" in failed
    assert "✓</span> Angenommen" not in failed
    assert "–</span> Angenommen" in client.get(f"/dispatch/messages/{ids['no_report']}").text


def test_a_contradiction_is_shown_and_changes_nothing(office: Desk) -> None:
    message_id = office.sent(provider_id="both")
    for report in (
        said("delivered", provider_id="both"),
        said("failed", provider_id="both", code="unknown"),
    ):
        inbox.hear(office.dispatch, "fake", office.account(), report)
    inbox.process(office.dispatch)
    assert office.state(message_id) == ("delivered", "delivered")
    text = office.clinic.app.test_client().get(f"/dispatch/messages/{message_id}").text
    assert "widersprüchliche Rückmeldung: Die Nachricht gilt als zugestellt" in text


def test_the_command_asks_at_once_and_prints_what_came(office: Desk) -> None:
    mailing = office.bag.mailing()
    first, second = (office.sent(ago=20, mailing_id=mailing) for _ in range(2))
    office.sent(ago=20)
    office.channel.fates[office.key(first)] = said("delivered", key=office.key(first))
    told = json.loads(command(office, "--mailing", str(mailing), "--json"))
    (account,) = told["accounts"]
    assert (account["asked"], account["said"]) == (2, {"delivered": 1})
    assert (account["without_report"], account["trouble"]) == (1, None)
    assert account["next_question_at"] and told["can_be_asked_until"]
    assert office.state(first)[0] == "delivered"
    # At once again: the gateway wants its minute, and the command says until when.
    assert "next question at" in command(office, "--mailing", str(mailing))
    assert len(office.channel.asked) == 1
    assert office.state(second)[0] == "sent"


def test_the_command_names_a_mailing_that_is_not_there(office: Desk) -> None:
    runner = office.clinic.app.test_cli_runner()
    result = runner.invoke(args=["dispatch", "check-delivery", "--mailing", "999999"])
    assert result.exit_code != 0
    assert "There is no mailing 999999." in result.output
