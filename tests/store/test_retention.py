"""What messages say and to whom they went ends with its retention; what became of them stays."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from clinic_dispatch_plugin.config import ConfigurationError, load_settings
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.host.types import Actor, Recipient
from clinic_dispatch_plugin.mailings import ending, patients
from clinic_dispatch_plugin.messages.again import resend
from clinic_dispatch_plugin.messages.contents import look_at_contents
from clinic_dispatch_plugin.messages.lists import MessageFilter, list_messages
from clinic_dispatch_plugin.messages.mailing_tables import Mailing, Revision
from clinic_dispatch_plugin.messages.progress_store import counts
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.service import Refusal
from clinic_dispatch_plugin.messages.tables import Attempt, Audit, Message
from clinic_dispatch_plugin.reports import forgetting
from clinic_dispatch_plugin.retention import Retention
from clinic_dispatch_plugin.testing import refuse
from tests.engine.dispatching import Desk, open_desk

ANNA = Actor(ref="anna", name="Anna Kern")
DAY = 86_400.0


@pytest.fixture
def each(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    """Give a desk on each kind of database."""
    opened = open_desk(database_url, tmp_path, RETENTION_DAYS="180, results=30")
    yield opened
    opened.dispatch.database.dispose()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    url = f"sqlite:///{tmp_path / 'clinic.sqlite'}"
    opened = open_desk(url, tmp_path, RETENTION_DAYS="180, results=30")
    yield opened
    opened.dispatch.database.dispose()


def over(desk: Desk, people: int = 3, *, days: float, purpose: str = "service") -> int:
    """A mailing that ended so many days ago, its second message refused."""
    for n in range(people):
        address = f"p{n}@example.org"
        desk.host.add(Recipient(ref=f"r{n}", name=f"P{n}", addresses={"fake": address}))
    desk.channel.will(
        "p1@example.org",
        refuse("550", "no such user p1@example.org", system="smtp", retryable=False),
    )
    mailing = desk.mailing(people, purpose=purpose, refs=[f"r{n}" for n in range(people)])
    desk.settle()
    desk.change(Mailing, Mailing.id == mailing, finished_at=db_now(-days * DAY))
    return mailing


def test_after_its_time_nothing_personal_is_left_and_the_counts_stay(each: Desk) -> None:
    old, young = over(each, days=181), over(each, days=179)
    with each.dispatch.database.begin() as connection:
        before = counts(connection, old)
    assert ending.strip_due(each.dispatch, seconds=30) == 3
    with each.dispatch.database.begin() as connection:
        assert counts(connection, old) == before
        rows = connection.execute(select(Message).where(Message.mailing_id == old)).all()
        attempts = connection.execute(
            select(Attempt).where(Attempt.message_id.in_([row.id for row in rows]))
        ).all()
        mailing = connection.execute(select(Mailing).where(Mailing.id == old)).one()
        words = connection.execute(select(Revision).where(Revision.id == mailing.revision_id)).one()
        kept = connection.execute(select(Message).where(Message.mailing_id == young)).all()
    assert {(r.address, r.name, r.ref, json.dumps(r.data)) for r in rows} == {("", "", "", "{}")}
    assert [r.answer_id is not None for r in rows].count(True) == before.get("undelivered", 0)
    assert {(a.address, a.answer_text) for a in attempts} == {("", "")}
    assert (words.subject, words.body, words.html) == ("", "", "")
    assert all(row.address and row.name and row.ref for row in kept)
    assert ending.strip_due(each.dispatch, seconds=30) == 0


def test_each_purpose_has_its_own_time_and_what_is_under_way_is_left_alone(desk: Desk) -> None:
    results, service = over(desk, days=40, purpose="results"), over(desk, days=40)
    running = over(desk, days=400)
    desk.change(Mailing, Mailing.id == running, state="running")
    assert ending.strip_due(desk.dispatch, seconds=30) == 3
    for mailing, whole in ((results, False), (service, True), (running, True)):
        stripped = desk.count(
            Message, Message.mailing_id == mailing, Message.stripped_at.is_not(None)
        )
        assert (stripped == 0) is whole


def test_a_stripped_message_is_shown_as_such_and_cannot_be_sent_again(desk: Desk) -> None:
    mailing = over(desk, days=200)
    ending.strip_due(desk.dispatch, seconds=30)
    lines = list_messages(desk.dispatch, ANNA, MessageFilter(mailing_id=mailing)).lines
    assert len(lines) == 3
    assert not any(line.can_be_resent for line in lines)
    outcome = resend(desk.dispatch, ANNA, Chosen(mailing_id=mailing))
    assert outcome.done == 0
    assert set(outcome.refused) <= {Refusal.STRIPPED}
    contents = look_at_contents(desk.dispatch, ANNA, lines[0].id)
    assert (contents.subject, contents.text, contents.html) == ("", "", "")


def test_a_patient_s_messages_are_given_out_whole_and_erased_for_good(each: Desk) -> None:
    over(each, days=1)
    told = list(patients.export(each.dispatch, "r1"))
    assert [(one["state"], one["address"]) for one in told] == [("undelivered", "p1@example.org")]
    assert "P1" in told[0]["text"]
    assert told[0]["attempts"][0]["answer_text"]
    done = patients.erase(each.dispatch, "r1")
    assert (done.erased, done.under_way) == (1, 0)
    assert list(patients.export(each.dispatch, "r1")) == []
    with each.dispatch.database.begin() as connection:
        held = connection.execute(select(Message.address, Message.name)).all()
        trail = list(connection.scalars(select(Audit.details)))
    assert sorted(held) == [("", ""), ("p0@example.org", "P0"), ("p2@example.org", "P2")]
    assert not any("r1" in json.dumps(details) for details in trail)


def test_a_patient_whose_message_waits_is_told_so(desk: Desk) -> None:
    desk.mailing(["a@example.org"], refs=["r7"])
    assert patients.erase(desk.dispatch, "r7").under_way == 1
    assert desk.message("a@example.org")["ref"] == "r7"


def test_the_list_is_read_while_batches_are_stripped(each: Desk) -> None:
    """A writer that holds a batch open must not hold up whoever reads the list."""
    mailing = over(each, days=200)
    held, read = threading.Event(), threading.Event()

    def hold() -> None:
        with each.dispatch.database.begin() as connection:
            connection.execute(update(Message).where(Message.mailing_id == mailing).values(name=""))
            held.set()
            read.wait(20)

    writer = threading.Thread(target=hold)
    writer.start()
    try:
        assert held.wait(20)
        began = time.monotonic()
        page = list_messages(each.dispatch, ANNA, MessageFilter(mailing_id=mailing))
        assert len(page.lines) == 3
        assert time.monotonic() - began < 10
    finally:
        read.set()
        writer.join()


def test_one_portion_is_one_short_transaction(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "BATCH", 2)
    mailing = over(desk, 5, days=200)
    portions: list[int] = []
    forget = forgetting.forget_messages

    def note(connection: Connection, ids: Sequence[int]) -> None:
        portions.append(len(ids))
        forget(connection, ids)

    monkeypatch.setattr(forgetting, "forget_messages", note)
    assert ending.strip_due(desk.dispatch, seconds=30) == 5
    assert portions == [2, 2, 1]
    assert desk.state_of_mailing(mailing)["stripped_at"] is not None


def test_the_tender_s_rounds_do_it(desk: Desk) -> None:
    assert ending.EVERY_SECONDS in [seconds for seconds, _ in desk.dispatch.rounds]
    over(desk, days=200)
    assert ending.go_round(desk.dispatch) == 3
    assert ending.go_round(desk.dispatch) == 0


def test_days_are_read_and_wrong_ones_stop_the_start(tmp_path: Path) -> None:
    def read(value: str) -> Retention:
        config = {"CLINIC_DISPATCH_RETENTION_DAYS": value}
        return load_settings(config, instance_path=str(tmp_path)).retention_days

    assert read("").of("service") == 180
    assert read("365").longest == 365
    several = read("90, results=30, promotion=none")
    assert (several.of("service"), several.of("results"), several.of("promotion")) == (90, 30, None)
    assert several.longest is None, "promotions are kept for ever, and their reports with them"
    for wrong in ("many", "-1", "0", "fun=3", "results=", "1.5"):
        with pytest.raises(ConfigurationError, match="RETENTION_DAYS"):
            read(wrong)
