"""A mailing that starts later, what may be changed meanwhile, and what its check says about quiet hours."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from clinic_dispatch_plugin.config_values import quiet_hours
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine.recovery import LOCK
from clinic_dispatch_plugin.engine.store import drop_lock, take_lock
from clinic_dispatch_plugin.engine.tender import tend
from clinic_dispatch_plugin.mailings import uploads
from clinic_dispatch_plugin.mailings.planning import plan
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.tables import Audit, Message
from tests.clinic.browsing import submit, token_in
from tests.clinic.host import Clinic, make_clinic
from tests.store.letters import LetterPlugin
from tests.web.test_new_mailing import HOME, TEXT, patient, press_send, upload, write

BERLIN = ZoneInfo("Europe/Berlin")
LIST = "email;name;room\n1@example.org;Anna;1\n2@example.org;Bert;2\n"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    made = make_clinic(Path(tmp_path_factory.mktemp("schedule")), plugins=[LetterPlugin()])
    made.host.patients = {ref: patient(ref) for ref in ("1", "2")}
    yield made
    made.dispatch.database.dispose()


@pytest.fixture
def client(clinic: Clinic) -> FlaskClient:
    return clinic.app.test_client()


def words(response: Any) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


def row(clinic: Clinic, mailing_id: int) -> Any:
    with clinic.dispatch.database.begin() as connection:
        query = select(Mailing.__table__).where(Mailing.id == mailing_id)
        return connection.execute(query).mappings().one()


def new(client: FlaskClient, content: str = LIST, purpose: str = "service") -> int:
    content = content.replace("email;", "letter;")
    answer = upload(client, content, purpose=purpose, channel="letter")
    mailing_id = int(answer.headers["Location"].split("/")[-2])
    assert write(client, mailing_id).status_code == 303
    return mailing_id


def typed(moment: datetime) -> str:
    return moment.astimezone(BERLIN).strftime("%Y-%m-%dT%H:%M")


def test_a_scheduled_mailing_waits_can_be_changed_and_starts_once(
    clinic: Clinic, client: FlaskClient
) -> None:
    mailing_id = new(client)
    later = datetime.now(UTC) + timedelta(days=9)
    assert press_send(client, mailing_id, start_at="2020-01-01T10:00").status_code == 422
    wrong = press_send(
        client, mailing_id, start_at=typed(later), not_after=typed(later - timedelta(hours=1))
    )
    assert wrong.status_code == 422 and "bevor die Mailingliste beginnt" in words(wrong)
    assert press_send(client, mailing_id, start_at=typed(later), not_after="").status_code == 303
    assert row(clinic, mailing_id)["state"] == "scheduled"
    page = words(client.get(f"{HOME}/{mailing_id}/progress"))
    assert "Beginnt" in page and "Jetzt beginnen" in page
    tend(clinic.dispatch)
    assert row(clinic, mailing_id)["state"] == "scheduled"

    sooner = later - timedelta(days=1)
    fields = {"name": "Neuer Name", "start_at": typed(sooner), "not_after": ""}
    assert submit(client, f"{HOME}/{mailing_id}/change", fields).status_code == 303
    found = row(clinic, mailing_id)
    assert (found["name"], typed(found["started_at"])) == ("Neuer Name", typed(sooner))
    empty = submit(client, f"{HOME}/{mailing_id}/change", {**fields, "start_at": "", "name": " "})
    assert empty.status_code == 422 and row(clinic, mailing_id)["name"] == "Neuer Name"

    # Its list is older than abandoned ones may become, and is kept all the same.
    for file in uploads.folder(clinic.dispatch).glob("*.csv"):
        os.utime(file, (0, 0))
    uploads.remove_old_uploads(clinic.dispatch)
    change(clinic, mailing_id, started_at=db_now(-1.0))
    tend(clinic.dispatch)
    tend(clinic.dispatch)
    assert row(clinic, mailing_id)["state"] == "planning"
    plan(clinic.dispatch, mailing_id)
    with clinic.dispatch.database.begin() as connection:
        query = select(Message.address).where(Message.mailing_id == mailing_id)
        assert len(connection.scalars(query).all()) == 2


def change(clinic: Clinic, mailing_id: int, **values: Any) -> None:
    clinic.dispatch.database.run(
        lambda connection: connection.execute(
            update(Mailing).where(Mailing.id == mailing_id).values(**values)
        )
    )


def test_back_to_the_draft_loses_nothing_and_start_now_starts(
    clinic: Clinic, client: FlaskClient
) -> None:
    mailing_id = new(client)
    later = typed(datetime.now(UTC) + timedelta(days=2))
    press_send(client, mailing_id, start_at=later)
    token = token_in(client.get(f"{HOME}/{mailing_id}/progress").text)
    back = client.post(f"{HOME}/{mailing_id}/unschedule", data={"csrf_token": token})
    assert back.status_code == 303
    found = row(clinic, mailing_id)
    assert (found["state"], found["revision_id"]) == ("draft", None)
    assert TEXT["text"] in html.unescape(client.get(f"{HOME}/{mailing_id}/what").text)
    press_send(client, mailing_id, start_at=later)
    done = client.post(f"{HOME}/{mailing_id}/start-now", data={"csrf_token": token})
    assert done.status_code == 303 and row(clinic, mailing_id)["state"] == "running"
    again = client.post(f"{HOME}/{mailing_id}/start-now", data={"csrf_token": token})
    assert "said=unchanged" in again.headers["Location"]
    with clinic.dispatch.database.begin() as connection:
        query = select(Audit.action).where(Audit.mailing_id == mailing_id).order_by(Audit.id)
        query = query.where(Audit.action != "view_contents")
        assert connection.scalars(query).all() == ["schedule", "unschedule", "schedule", "send"]


def test_a_running_mailing_gets_another_name_and_another_last_moment(
    clinic: Clinic, client: FlaskClient
) -> None:
    mailing_id = new(client)
    press_send(client, mailing_id)
    late = typed(datetime.now(UTC) + timedelta(days=1))
    fields = {"name": "Anders", "not_after": late}
    assert submit(client, f"{HOME}/{mailing_id}/change", fields).status_code == 303
    assert (row(clinic, mailing_id)["name"], typed(row(clinic, mailing_id)["not_after"])) == (
        "Anders",
        late,
    )
    passed = submit(
        client, f"{HOME}/{mailing_id}/change", {**fields, "not_after": "2020-01-01T10:00"}
    )
    assert passed.status_code == 422 and "2020-01-01T10:00" in passed.text


def test_the_check_says_what_waits_for_the_end_of_quiet_hours(
    clinic: Clinic, client: FlaskClient
) -> None:
    at = datetime.now(BERLIN)
    hours = f"{at - timedelta(hours=2):%H:%M}-{at + timedelta(hours=2):%H:%M}"
    # The seam through which others keep them elsewhere.
    clinic.dispatch.kept_quiet_hours = lambda: quiet_hours("Q", f"service={hours}")
    try:
        mailing_id = new(client)
        page = client.get(f"{HOME}/{mailing_id}/check")
        assert "2 Nachrichten warten" in words(page) and "Ruhezeit" in words(page)
        assert "any_hour" not in page.text
        soon = typed(at + timedelta(hours=1))
        submit(client, f"{HOME}/{mailing_id}/check", {"not_after": soon, "start_at": ""})
        assert "also ginge auf diesem Weg nichts hinaus" in words(
            client.get(f"{HOME}/{mailing_id}/check")
        )
        woken = press_send(client, mailing_id, any_hour="1", not_after="")
        assert woken.status_code == 422 and row(clinic, mailing_id)["state"] == "draft"
        one = new(client, "email;name;room\n1@example.org;Anna;1\n")
        assert "any_hour" in client.get(f"{HOME}/{one}/check").text
        assert press_send(client, one, any_hour="1").status_code == 303
        with clinic.dispatch.database.begin() as connection:
            query = select(Message.answer_id).where(Message.mailing_id == one)
            assert connection.scalars(query).all() == [None]
        waiting = new(client, "email;name;room\n2@example.org;Bert;1\n")
        assert press_send(client, waiting).status_code == 303
        with clinic.dispatch.database.begin() as connection:
            query = select(Message.id).where(Message.mailing_id == waiting)
            message_id = connection.execute(query).scalar_one()
        shown = words(client.get(f"/dispatch/messages/{message_id}"))
        assert re.search(r"bis [^,]*\d:\d\d, Ruhezeit", shown), shown
    finally:
        clinic.dispatch.kept_quiet_hours = lambda: None


def test_the_page_of_operation_says_what_stands_still_and_what_helps(
    clinic: Clinic, client: FlaskClient
) -> None:
    page = words(client.get("/dispatch/work"))
    assert "flask dispatch worker" in page and "in der letzten Minute" in page
    part = client.get("/dispatch/work.json").get_json()["html"]
    assert "letzten Minute" in part
    assert client.get("/dispatch/work", headers={"X-Actor": "reception"}).status_code == 403
    dispatch = clinic.dispatch
    dispatch.database.run(lambda connection: take_lock(connection, LOCK, LOCK, 60.0))
    try:
        assert "recover --restored" in words(client.get("/dispatch/work"))
    finally:
        dispatch.database.run(lambda connection: drop_lock(connection, LOCK))
