"""The demo clinic's data and its answers to the plugin: the same each time, on every database, from every thread."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update
from sqlalchemy.orm import Session

from clinic_dispatch_email.addresses import normalised
from clinic_dispatch_plugin.api import InvalidAddress
from clinic_dispatch_plugin.database import migrate
from clinic_dispatch_plugin.demo import ensure_seeded, scenarios, seed
from clinic_dispatch_plugin.demo.adapter import DemoClinic
from clinic_dispatch_plugin.demo.models import Appointment, Base, Patient, Result, User, db
from clinic_dispatch_plugin.host.types import Action, Actor, Consent
from clinic_dispatch_plugin.simulators.smtp import ScriptedBehaviour
from tests.demo.conftest import TODAY, TOMORROW, MakeClinic

RECEPTION = Actor(ref="empfang", name="Katja Brandt")
MARKETING = Actor(ref="marketing", name="Jonas Wolf")
ADMINISTRATOR = Actor(ref="verwaltung", name="Silke Neumann")
COLLEAGUE = Actor(ref="gast", name="Tim Hartmann")


@pytest.fixture
def host(clinic: Flask) -> Iterator[DemoClinic]:
    with clinic.app_context():
        yield DemoClinic(clinic)


def rows(app: Flask) -> dict[str, list[Any]]:
    """Everything the clinic keeps."""
    with app.app_context(), db.engine.connect() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for table in Base.metadata.sorted_tables
        }


def count(app: Flask, *conditions: Any, of: Any = Patient) -> int:
    with app.app_context(), Session(db.engine) as session:
        return session.scalar(select(func.count()).select_from(of).where(*conditions)) or 0


# The data


def test_every_database_holds_the_same_clinic(make_clinic: MakeClinic, database_url: str) -> None:
    app = make_clinic(CLINIC_DISPATCH_DATABASE_URL=database_url)
    assert count(app) == 344
    assert count(app, Appointment.day == TOMORROW, of=Appointment) == 200
    assert count(app, Result.is_new, of=Result) == 60
    assert count(app, of=User) == 4
    with app.app_context():
        host = DemoClinic(app)
        found = {each.key: len(list(host.recipients(each.key, {}))) for each in host.audiences()}
        assert found == {"appointments": 200, "results": 60, "birthdays": 6, "all": 337}
        assert host.update_address("P-00042", "email", "größe@nordnetz.example") is True
        changed = host.recipient("P-00042")
        assert changed is not None
        assert changed.addresses["email"] == "größe@nordnetz.example"
    before = rows(app)
    ensure_seeded(app)
    assert rows(app) == before


def test_the_first_use_makes_the_plugins_tables_too(
    make_clinic: MakeClinic, database_url: str
) -> None:
    config = {"MOUNT_DISPATCH": True, "CLINIC_DISPATCH_DATABASE_URL": database_url}
    for _ in range(2):
        database = make_clinic(**config).extensions["clinic_dispatch"].database
        assert migrate.current(database) == migrate.head()
        assert migrate.differences(database) == []


def test_two_processes_that_start_at_once_fill_it_once(tmp_path: Path) -> None:
    program = (
        "from clinic_dispatch_plugin.demo import create_app\n"
        "app = create_app({'MOUNT_DISPATCH': False})\n"
        "print(app.config['SECRET_KEY'], app.config['CLINIC_DISPATCH_SECRET_KEYS'])"
    )
    environment = {**os.environ, "CLINIC_DISPATCH_DATA_DIR": str(tmp_path / "clinic")}
    environment.pop("CLINIC_DISPATCH_DATABASE_URL", None)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], answers
    assert len({out for out, _ in answers}) == 1  # they share their keys
    connection = sqlite3.connect(tmp_path / "clinic" / "clinic.db")
    try:
        assert connection.execute("select count(*) from clinic_patient").fetchone() == (344,)
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    finally:
        connection.close()


def test_a_day_later_the_same_patients_come_tomorrow_again(make_clinic: MakeClinic) -> None:
    first = make_clinic()
    patients = [each["patient_id"] for each in _appointments(first, TOMORROW)]
    later = make_clinic(DEMO_TODAY=TODAY + timedelta(days=3))
    assert [
        each["patient_id"] for each in _appointments(later, TODAY + timedelta(days=4))
    ] == patients
    foreseen = scenarios.expected(later)
    back = make_clinic()
    assert [each["patient_id"] for each in _appointments(back, TOMORROW)] == patients
    assert scenarios.expected(back) == foreseen


def _appointments(app: Flask, day: date) -> list[Any]:
    with app.app_context(), db.engine.connect() as connection:
        query = select(Appointment.patient_id).where(Appointment.day == day)
        return list(connection.execute(query.order_by(Appointment.id)).mappings())


@pytest.mark.parametrize("day", [date(2024, 2, 29), date(2026, 12, 31), date(2027, 2, 28)])
def test_people_and_addresses_are_the_same_on_every_day(day: date) -> None:
    usual, then = seed.make_clinic(TODAY), seed.make_clinic(day)
    assert [(p.id, p.email, p.scenario) for p in then.people] == [
        (p.id, p.email, p.scenario) for p in usual.people
    ]
    born = Counter((p.born.month, p.born.day) for p in then.people if p.status == "active")
    assert born[(day.month, day.day)] == 6


def test_nobody_real_can_be_written_to() -> None:
    reserved = re.compile(r"(?:[a-z]+\.)*example(?:\.org|\.com|\.net)?")
    for person in seed.make_clinic(TODAY).people:
        for address in re.findall(r"@([a-z.]+\.[a-z]+)", person.email.replace("..", ".")):
            assert reserved.fullmatch(address), person.email


def test_a_seventh_of_the_patients_has_a_cyrillic_name() -> None:
    people = seed.make_clinic(TODAY).people
    cyrillic = [p for p in people if re.search("[а-яё]", p.last_name)]
    assert 0.12 < len(cyrillic) / len(people) < 0.18
    assert {p.language for p in cyrillic} == {"ru"}
    assert any(set("äöüß") & set(p.last_name) for p in people)


def test_keys_and_folder_are_for_the_owner_alone(clinic: Flask) -> None:
    folder = Path(clinic.config["CLINIC_DISPATCH_DATA_DIR"])
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("session.key", "dispatch.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        assert len((folder / name).read_text()) >= 32


def test_a_key_from_the_environment_is_kept(
    make_clinic: MakeClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLINIC_DISPATCH_SECRET_KEYS", "k" * 40)
    assert make_clinic().config["CLINIC_DISPATCH_SECRET_KEYS"] == "k" * 40


# What the relay says


def test_each_scenario_has_its_patients_tomorrow(clinic: Flask, tmp_path: Path) -> None:
    table = scenarios.relay_scenarios(clinic)
    assert Counter(table.values()) == seed.SCENARIOS
    assert scenarios.expected_causes(clinic) == {
        **seed.SCENARIOS,
        "accepted": 164,
        "dispatch:no_address": 4,
        "dispatch:malformed_address": 4,
        "dispatch:not_agreed": 3,
        "dispatch:inactive": 1,
        "dispatch:duplicate": 1,
    }
    assert scenarios.expected(clinic) == {
        "sent": 170,
        "undelivered": 16,
        "uncertain": 1,
        "skipped": 13,
    }
    scenarios.write_scenarios(tmp_path / "relay.json")
    assert json.loads((tmp_path / "relay.json").read_text(encoding="utf-8")) == table


def test_the_simulated_relay_knows_every_scenario_and_takes_a_corrected_address(
    clinic: Flask, tmp_path: Path
) -> None:
    scenarios.write_scenarios(tmp_path / "relay.json")
    relay = ScriptedBehaviour.from_file(tmp_path / "relay.json")
    wrong = next(a for a, name in scenarios.relay_scenarios().items() if name == "unknown")
    refused = relay.verdict(sender="a@example.org", recipient=wrong, now=0.0)
    assert refused.at_rcpt is not None
    with clinic.app_context(), Session(db.engine) as session:
        card = session.scalars(select(Patient).where(Patient.email == wrong)).one()
        right = f"{card.id.lower()}.corrected@example.org"
        assert DemoClinic(clinic).update_address(card.id, "email", right)
    assert relay.verdict(sender="a@example.org", recipient=right, now=0.0).at_rcpt is None
    assert scenarios.expected_causes(clinic)["unknown"] == 4


def test_the_mail_channel_finds_fault_with_the_same_addresses(clinic: Flask) -> None:
    refused: Counter[str] = Counter()
    with clinic.app_context():
        for recipient in DemoClinic(clinic).recipients("appointments", {}):
            try:
                normalised(recipient.addresses["email"])
            except InvalidAddress as error:
                refused[f"{error.answer.system}:{error.answer.code}"] += 1
    foreseen = scenarios.expected_causes(clinic)
    assert refused == {cause: foreseen[cause] for cause in refused}
    assert len(refused) == 2


def test_no_two_patients_share_an_address_but_the_family(clinic: Flask) -> None:
    addresses = Counter(p.email for p in seed.make_clinic(TODAY).people if "@" in p.email)
    assert [a for a, times in addresses.items() if times > 1] == ["familie.sommer@example.org"]
    with clinic.app_context():
        coming = list(DemoClinic(clinic).recipients("appointments", {}))
    family = [each for each in coming if each.name.endswith("Sommer")]
    assert len({each.ref for each in family if "familie" in each.addresses["email"]}) == 2
    assert Counter(Counter(each.ref for each in coming).values()) == {1: 198, 2: 1}


# The adapter


def test_an_appointment_says_when_where_and_with_whom(host: DemoClinic) -> None:
    first = next(iter(host.recipients("appointments", {"day": TOMORROW.isoformat()})))
    assert first.values["date"] == "2026-11-25"
    assert first.values["time"] == "08:00"
    assert first.values["doctor"].startswith("Dr. ")
    assert first.values["room"].startswith("Zimmer ")
    offered = {each.key: each for each in host.audiences()}
    for key, audience in offered.items():
        found = next(iter(host.recipients(key, {})))
        assert set(audience.placeholders) == set(found.values), key


@pytest.mark.parametrize(
    ("audience", "filters", "expected"),
    [
        ("appointments", {"doctor": "Dr. Seitz"}, 25),
        ("appointments", {"day": "2001-01-01"}, 0),
        ("results", {"since": "2026-11-25"}, 0),
        ("birthdays", {"day": "2026-11-25"}, 2),
        ("all", {"language": "ru"}, 49),
        ("all", {"age_from": "18", "age_to": "17"}, 0),
        ("all", {"age_to": "17"}, 1),
    ],
)
def test_filters_narrow_an_audience(
    host: DemoClinic, audience: str, filters: dict[str, str], expected: int
) -> None:
    assert len(list(host.recipients(audience, filters))) == expected


@pytest.mark.parametrize(
    ("audience", "filters"),
    [
        ("appointments", {"day": "morgen"}),
        ("appointments", {"day": "2026-02-30"}),
        ("appointments", {"doctor": "Dr. Who'; --"}),
        ("results", {"since": "\0"}),
        ("all", {"age_from": "-1"}),
        ("all", {"age_from": "999"}),
        ("all", {"age_from": "٣"}),
        ("all", {"language": "tlh"}),
        ("all", {"city": "Atlantis"}),
        ("staff", {}),
    ],
)
def test_a_wrong_filter_is_refused_in_words(
    host: DemoClinic, audience: str, filters: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"\w{4}"):
        list(host.recipients(audience, filters))


def test_a_recipient_is_read_afresh_even_beside_an_open_session(
    clinic: Flask, host: DemoClinic
) -> None:
    read_before = db.session.get(Patient, "P-00042")
    assert read_before is not None
    with db.engine.begin() as connection:
        connection.execute(
            update(Patient)
            .where(Patient.id == "P-00042")
            .values(consent_reminder="no", status="deceased", email="neu@example.org")
        )
    now = host.recipient("P-00042")
    assert now is not None
    assert now.active is False
    assert now.consent["reminder"] is Consent.NO
    assert now.addresses["email"] == "neu@example.org"
    assert host.recipient("P-99999") is None
    assert host.recipient("'; drop table clinic_patient; --") is None
    db.session.rollback()


def test_many_recipients_are_one_statement(host: DemoClinic) -> None:
    refs = [f"P-{number:05}" for number in range(1, 301)]
    seen: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", listen)
    try:
        found = host.recipients_now([*refs, "P-99999"])
    finally:
        event.remove(db.engine, "before_cursor_execute", listen)
    assert set(found) == set(refs)
    assert len(seen) == 1


def test_a_thread_without_an_application_context_gets_answers_too(clinic: Flask) -> None:
    host = DemoClinic(clinic)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(host.recipient("P-00042")))
    thread.start()
    thread.join()
    assert answers[0].ref == "P-00042"


@pytest.mark.parametrize(
    "value", ["anna.berger@", "keine", "a b@example.org", "a@@example.org", "a@example", "x" * 300]
)
def test_a_wrong_correction_is_refused_and_nothing_changes(host: DemoClinic, value: str) -> None:
    before = host.recipient("P-00042")
    with pytest.raises(ValueError, match=r"\w{4}"):
        host.update_address("P-00042", "email", value)
    assert host.recipient("P-00042") == before


def test_an_address_of_nobody_is_not_saved(host: DemoClinic) -> None:
    assert host.update_address("P-99999", "email", "a@example.org") is False


def test_each_role_may_what_it_is_there_for(host: DemoClinic) -> None:
    may = {
        actor.ref: {action for action in Action if host.is_allowed(actor, action)}
        for actor in (RECEPTION, MARKETING, ADMINISTRATOR, COLLEAGUE)
    }
    assert may["empfang"] == set(Action) - {Action.CONFIGURE}
    assert may["marketing"] == {Action.VIEW, Action.COMPOSE, Action.SEND}
    assert may["verwaltung"] == set(Action)
    assert may["gast"] == set()
    assert not host.is_allowed(Actor(ref="stranger", name=""), Action.VIEW)


def test_marketing_does_not_see_protected_cards(host: DemoClinic) -> None:
    with Session(db.engine) as session:
        hidden = set(session.scalars(select(Patient.id).where(Patient.vip)))
        everybody = list(session.scalars(select(Patient.id)))
    assert len(hidden) > 3
    assert host.may_see(RECEPTION, everybody) == set(everybody)
    assert host.may_see(MARKETING, everybody) == set(everybody) - hidden
    assert host.may_see(COLLEAGUE, everybody) == set()


def test_a_database_that_is_away_at_the_start_is_asked_again(
    make_clinic: MakeClinic, free_port: int
) -> None:
    url = f"postgresql://clinic@127.0.0.1:{free_port}/clinic"
    client = make_clinic(CLINIC_DISPATCH_DATABASE_URL=url).test_client()
    for _ in range(2):
        answer = client.get("/")
        assert answer.status_code == 503
        assert "Datenbank" in answer.get_data(as_text=True)


def test_a_wrong_database_address_stops_the_start_with_a_sentence(make_clinic: MakeClinic) -> None:
    with pytest.raises(Exception, match="CLINIC_DISPATCH_DATABASE_URL"):
        make_clinic(CLINIC_DISPATCH_DATABASE_URL="oracle://somewhere/else")
