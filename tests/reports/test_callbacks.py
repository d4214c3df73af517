"""What gateways call: bounded, quick, kept before anything else happens, and nothing for whoever cannot prove it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from clinic_dispatch_plugin.api import CallbackReply
from clinic_dispatch_plugin.reports import callback_views, inbox, inbox_store, pace
from tests.clinic.host import make_clinic
from tests.reports.gateway import WORD, Desk, make_desk

PATH = "/dispatch/callbacks/fake/default"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    # The host protects its forms: a gateway has no token of them.
    made = make_desk(tmp_path_factory.mktemp("office"), protect_forms=True)
    made.clinic.host.actor = None
    made.channel.keys = ("default", "second")
    yield made
    made.dispatch.database.dispose()


@pytest.fixture(autouse=True)
def nothing_heard(office: Desk) -> None:
    office.forget_reports()


def call(
    office: Desk, *reports: dict[str, Any], path: str = PATH, word: str = WORD
) -> TestResponse:
    client: FlaskClient = office.clinic.app.test_client()
    return client.post(path, data=json.dumps(reports), headers={"X-Word": word})


def test_a_call_is_kept_at_once_and_done_by_the_worker(office: Desk) -> None:
    message_id = office.sent(provider_id="one")
    answer = call(office, {"status": "delivered", "provider_id": "one"})
    assert (answer.status_code, answer.text) == (200, "")
    assert office.state(message_id) == ("sent", None)
    inbox.process(office.dispatch)
    assert office.state(message_id) == ("delivered", "delivered")


def test_a_gateway_that_asks_what_to_do_next_is_told(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = CallbackReply(media_type="text/xml", body=b"<Response/>")
    monkeypatch.setattr(office.channel, "callback_reply", lambda *_: said)
    answer = call(office, {"status": "delivered", "provider_id": "asks"})
    assert (answer.status_code, answer.data) == (200, b"<Response/>")
    assert answer.headers["Content-Type"].startswith("text/xml")
    assert len(office.reports()) == 1

    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(office.channel, "callback_reply", broken)
    answer = call(office, {"status": "delivered", "provider_id": "asks again"})
    assert (answer.status_code, answer.text) == (200, ""), "what was said is kept all the same"
    assert len(office.reports()) == 2


def test_a_repeated_call_is_answered_alike_and_kept_once(office: Desk) -> None:
    for _ in range(3):
        assert call(office, {"status": "delivered", "provider_id": "re"}).status_code == 200
    assert len(office.reports()) == 1


def test_a_forged_call_is_refused_and_nothing_of_it_is_kept(office: Desk) -> None:
    message_id = office.sent(provider_id="forged")
    answer = call(office, {"status": "failed", "provider_id": "forged"}, word="guessed")
    assert (answer.status_code, answer.text) == (403, "")
    # Genuine, and for the other account: it may not speak of this one's messages.
    second = PATH.replace("default", "second")
    assert (
        call(office, {"status": "failed", "provider_id": "forged"}, path=second).status_code == 200
    )
    inbox.process(office.dispatch)
    assert office.state(message_id) == ("sent", None)


@pytest.mark.parametrize("path", ["/fake/none", "/none/default", "/email/default", "/fake/%00"])
def test_an_account_nobody_has_takes_no_calls(office: Desk, path: str) -> None:
    answer = call(office, path=f"/dispatch/callbacks{path}")
    assert (answer.status_code, answer.text) == (404, "")


def test_too_much_is_refused(office: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    report = {"status": "delivered", "provider_id": "long"}
    assert call(office, {**report, "note": "x" * 70_000}).status_code == 413
    monkeypatch.setattr(callback_views, "MOST_REPORTS", 2)
    assert call(office, report, report, report).status_code == 413
    monkeypatch.setattr(inbox, "MOST_WAITING", 0)
    answer = call(office, report)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert office.reports() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[[]]", b"\xff\xfe", b'[{"status": "married"}]'])
def test_nonsense_is_an_error_of_the_caller(office: Desk, body: bytes) -> None:
    answer = office.clinic.app.test_client().post(PATH, data=body, headers={"X-Word": WORD})
    assert (answer.status_code, answer.text) == (400, "")


def test_without_the_database_the_gateway_is_asked_to_come_again(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> int:
        raise OperationalError("INSERT", {}, Exception("away"))

    monkeypatch.setattr(callback_views, "keep", away)
    assert call(office, {"status": "delivered", "provider_id": "z"}).status_code == 503


def test_smsc_calls_back_as_its_documents_say(tmp_path: Path) -> None:
    """A signed form, and the same as a GET, for the account that the environment configures."""
    url = "smsc://clinic:secret@smsc.kz/?sender=Clinic&callback_key=signed-with-this"
    clinic = make_clinic(tmp_path, config={"CLINIC_DISPATCH_SMS_URL": url})
    (account,) = clinic.dispatch.channels["sms"].accounts()
    path = f"/dispatch/callbacks/sms/{account.key}"
    form = {"id": "abc", "phone": "77011234567", "status": "1", "sms_cnt": "2"}
    signed = ":".join([form["id"], form["phone"], form["status"], "signed-with-this"])
    form["md5"] = hashlib.md5(signed.encode()).hexdigest()
    client = clinic.app.test_client()
    assert client.post(path, data=form).status_code == 200
    assert client.get(path, query_string={**form, "status": "2"}).status_code == 403
    assert client.get(path, query_string=form).status_code == 200
    with clinic.dispatch.database.begin() as connection:
        assert inbox_store.waiting(connection) == 1
    clinic.dispatch.database.dispose()


def test_an_account_that_calls_too_fast_is_asked_to_come_again(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MOST_A_SECOND", 2.0)
    clock = [100.0]
    monkeypatch.setattr(pace, "_now", lambda: clock[0])
    office.dispatch.cache.pop("callback_pace", None)
    word = {"status": "delivered", "provider_id": "fast"}
    assert [call(office, word).status_code for _ in range(3)] == [200, 200, 429]
    refused = call(office, word)
    assert refused.headers["Retry-After"] == "1"
    assert call(office, word, path=PATH.replace("default", "second")).status_code == 200
    clock[0] += 0.5
    assert [call(office, word).status_code for _ in range(2)] == [200, 429]
    office.dispatch.cache.pop("callback_pace", None)


def test_reports_that_belong_to_no_message_are_counted_on_their_page(office: Desk) -> None:
    for number in range(3):
        call(office, {"status": "delivered", "provider_id": f"stranger-{number}"})
    client = office.clinic.app.test_client()
    office.clinic.host.actor = "admin"
    try:
        assert "Meldungen von Diensten ohne Nachricht" not in client.get("/dispatch/bounces").text
        inbox.process(office.dispatch)
        page = client.get("/dispatch/bounces").text
    finally:
        office.clinic.host.actor = None
    assert "Meldungen von Diensten ohne Nachricht" in page
    assert 'data-label="Wie viele">3<' in page
    assert "nennt eine Nachricht, die hier nicht bekannt ist" in page
