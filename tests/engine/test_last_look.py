"""What may change between a plan and the moment of sending, and what a person may say meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import datetime

import pytest
from sqlalchemy import QueuePool, select

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine import asking
from clinic_dispatch_plugin.engine.pace import WINDOW
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.error_reference.tables import AnswerRow
from clinic_dispatch_plugin.host.types import Actor, Consent, Recipient
from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.store import block, unblock, write_audit
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from tests.conftest import DATABASES
from tests.engine.dispatching import Desk

SOMEBODY = Actor(ref="1", name="B. Lang")


def patient(
    number: int,
    said: Consent | str = Consent.YES,
    *,
    active: bool = True,
    address: str | None = None,
) -> Recipient:
    return Recipient(
        ref=f"r{number}",
        consent={"promotion": said},
        active=active,
        addresses={"fake": f"p{number}@example.org" if address is None else address},
    )


def test_the_host_is_asked_once_more_just_before(desk: Desk) -> None:
    desk.host.add(
        patient(0), patient(1, Consent.NO), patient(2, active=False), patient(4, Consent.UNKNOWN)
    )
    desk.mailing(5, purpose="promotion", refs=["r0", "r1", "r2", "r3", "r4"])
    desk.settle()
    assert [message.address for message in desk.channel.handed] == ["p0@example.org"]
    codes = [desk.message(f"p{number}@example.org")["code"] for number in range(1, 5)]
    assert codes == ["not_agreed", "inactive", "unknown_ref", "not_agreed"]
    assert desk.states() == {"sent": 1, "skipped": 4}


def test_a_service_message_asks_for_no_consent(desk: Desk) -> None:
    desk.host.add(patient(0, Consent.NO))
    desk.mailing(1, refs=["r0"])
    desk.settle()
    assert desk.states() == {"sent": 1}


def test_who_withdraws_while_others_are_sent_gets_nothing(desk: Desk) -> None:
    number = 4 * WINDOW
    desk.host.add(*(patient(each) for each in range(number)))

    def withdraw(message: object) -> None:
        desk.host.add(patient(number - 1, Consent.NO))

    desk.channel.before = withdraw
    desk.mailing(number, purpose="promotion", refs=[f"r{each}" for each in range(number)])
    desk.settle()
    assert desk.states() == {"sent": number - 1, "skipped": 1}


def test_a_block_set_after_the_plan_holds(desk: Desk) -> None:
    desk.mailing(["a@example.org", "b@example.org"])
    digest = fingerprint(desk.dispatch, "fake", "A@example.org")
    desk.dispatch.database.run(
        lambda connection: block(connection, channel="fake", digest=digest, answer_id=None)
    )
    desk.settle()
    assert desk.message("a@example.org")["code"] == "blocked"
    assert desk.states() == {"sent": 1, "skipped": 1}
    desk.dispatch.database.run(lambda connection: unblock(connection, "fake", [digest]))
    desk.mailing(["A@example.org"])
    desk.settle()
    assert desk.states() == {"sent": 2, "skipped": 1}


def test_a_block_for_one_purpose_holds_for_no_other(desk: Desk) -> None:
    digest = fingerprint(desk.dispatch, "fake", "a@example.org")
    desk.host.add(patient(0, address="a@example.org"))
    desk.dispatch.database.run(
        lambda connection: block(
            connection, channel="fake", digest=digest, answer_id=None, scope="promotion"
        )
    )
    desk.mailing(["a@example.org"], purpose="promotion", refs=["r0"])
    desk.mailing(["a@example.org"])
    desk.settle()
    assert desk.states() == {"sent": 1, "skipped": 1}


def test_an_empty_placeholder_stops_this_message_alone(desk: Desk) -> None:
    people = ["a@example.org", "b@example.org"]
    desk.mailing(people, body="Um {{ time }}", data={"b@example.org": {"time": "9:00"}})
    desk.settle()
    assert desk.message("a@example.org")["code"] == "empty_placeholder"
    assert desk.message("b@example.org")["state"] == "sent"


def test_a_host_that_does_not_answer_costs_nobody_a_try(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.host.add(*(patient(number) for number in range(3)))
    desk.host.broken = RuntimeError("the clinic's database is away")
    desk.mailing(3, refs=["r0", "r1", "r2"])
    desk.pump()
    assert desk.channel.handed == []
    assert desk.states() == {"queued": 3}
    assert desk.count(Attempt) == 0
    message = desk.message("p0@example.org")
    assert (message["tries"], message["lost_runs"], message["run_id"]) == (0, 0, None)
    assert "could not be asked" in caplog.text
    desk.host.broken = None
    desk.settle()
    assert desk.states() == {"sent": 3}


def test_a_mailing_without_refs_goes_out_though_the_host_is_away(desk: Desk) -> None:
    desk.host.broken = RuntimeError("the clinic's database is away")
    desk.mailing(3)
    desk.settle()
    assert desk.states() == {"sent": 3}


def test_a_message_follows_its_patient_to_another_address(desk: Desk) -> None:
    desk.host.add(patient(0), patient(1, address=" new@example.org "))
    desk.mailing(2, refs=["r0", "r1"])
    desk.settle()
    assert [each.address for each in desk.channel.handed] == ["p0@example.org", "new@example.org"]
    message = desk.message("new@example.org")
    assert (message["state"], message["ref"]) == ("sent", "r1")
    assert desk.attempts_of("new@example.org")[0]["address"] == "new@example.org"


def test_who_has_no_address_any_more_or_a_wrong_one_gets_nothing(desk: Desk) -> None:
    desk.host.add(patient(0, address=""), patient(1, address="nonsense"), patient(2))
    desk.mailing(3, refs=["r0", "r1", "r2"])
    desk.settle()
    assert desk.message("")["code"] == "no_address"
    assert desk.message("nonsense")["code"] == "malformed_address"
    assert desk.states() == {"sent": 1, "skipped": 2}


def test_a_files_own_address_holds(desk: Desk) -> None:
    desk.host.add(patient(0, address="card@example.org"))
    mailing = desk.mailing(1, refs=["r0"])
    desk.change(Mailing, Mailing.id == mailing, source="file")
    desk.settle()
    assert desk.message("p0@example.org")["state"] == "sent"


def test_a_persons_correction_that_the_card_did_not_take_wins(desk: Desk) -> None:
    desk.host.add(patient(0, address="card@example.org"), patient(1, address="card1@example.org"))
    desk.mailing(2, refs=["r0", "r1"])
    for number, saved in ((0, False), (1, True)):
        desk.dispatch.database.run(
            lambda connection, number=number, saved=saved: write_audit(  # type: ignore[misc]
                connection,
                actor_ref="1",
                actor_name="",
                action="correct_address",
                message_ids=[desk.message(f"p{number}@example.org")["id"]],
                details={"saved": saved},
            )
        )
    desk.settle()
    assert [each.address for each in desk.channel.handed] == [
        "p0@example.org",
        "card1@example.org",
    ], "what the card took it may change again"


def test_a_block_is_looked_up_for_the_address_that_is_used(desk: Desk) -> None:
    desk.host.add(patient(0, address="bad@example.org"), patient(1, address="good@example.org"))
    desk.mailing(2, refs=["r0", "r1"])
    for address in ("bad@example.org", "p1@example.org"):
        digest = fingerprint(desk.dispatch, "fake", address)
        desk.dispatch.database.run(
            lambda connection, digest=digest: block(  # type: ignore[misc]
                connection, channel="fake", digest=digest, answer_id=None
            )
        )
    desk.settle()
    assert desk.message("bad@example.org")["code"] == "blocked"
    assert desk.message("good@example.org")["state"] == "sent"


def test_a_new_address_that_gets_the_same_words_already_is_a_duplicate(desk: Desk) -> None:
    """Mother and child, say, once each had a mailbox: as the plan would have found it."""
    desk.host.add(
        patient(0),
        patient(1, address="p0@example.org"),
        patient(2, address="both@example.org"),
        patient(3, address="Both@example.org"),
        patient(4, address="P0@example.org"),
    )
    addresses = [f"p{number}@example.org" for number in range(5)]
    names = {address: {"name": "P0"} for address in addresses[:2]}
    names |= {address: {"name": "Family"} for address in addresses[2:4]}
    desk.mailing(addresses, refs=["r0", "r1", "r2", "r3", "r4"], data=names)
    desk.settle()
    assert sorted(each.address for each in desk.channel.handed) == [
        "P0@example.org",
        "both@example.org",
        "p0@example.org",
    ], "other words may go to the same mailbox"
    assert desk.states() == {"sent": 3, "skipped": 2}
    query = select(AnswerRow.code).join(Message, Message.answer_id == AnswerRow.id)
    with desk.dispatch.database.begin() as connection:
        assert set(connection.scalars(query)) == {"duplicate"}


@pytest.mark.parametrize("said", ["yes", "no", "unknown", "ja"])
def test_consent_may_be_plain_text(desk: Desk, said: str) -> None:
    desk.host.add(patient(0, said))
    desk.mailing(1, purpose="promotion", refs=["r0"])
    desk.settle()
    assert desk.states() == {"sent" if said == "yes" else "skipped": 1}


def test_a_host_that_hangs_is_left_behind_and_holds_nothing_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", 1.0)
    desk.host.add(*(patient(number) for number in range(2 * WINDOW)))
    woken, recorded = threading.Event(), list[int]()
    asked = desk.host.recipients_now

    def hang(refs: list[str]) -> object:
        if "r0" not in refs:
            deadline = time.monotonic() + 0.7
            while time.monotonic() < deadline:
                time.sleep(0.05)
            recorded.append(desk.count(Message, Message.state == "sent"))
            woken.wait(20)
        return asked(refs)

    desk.host.recipients_now = hang  # type: ignore[method-assign, assignment]
    desk.mailing(2 * WINDOW, refs=[f"r{number}" for number in range(2 * WINDOW)])
    began = time.monotonic()
    desk.pump()
    assert time.monotonic() - began < 10
    woken.set()
    assert recorded[0] >= WINDOW // 2, "what came meanwhile is recorded while the host hangs"
    assert "did not answer" in caplog.text
    states = desk.states()
    assert set(states) == {"sent", "queued"}
    assert states["sent"] == len(desk.channel.handed)
    assert desk.message(f"p{2 * WINDOW - 1}@example.org")["tries"] == 0
    desk.host.recipients_now = asked  # type: ignore[method-assign]
    desk.settle()
    assert desk.states() == {"sent": 2 * WINDOW}
    assert set(desk.channel.counts.values()) == {1}


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_after_pause_or_cancel_is_confirmed_no_window_opens(desk: Desk, verb: str) -> None:
    confirmed: list[datetime] = []
    mailing = desk.mailing(500)

    def say_stop(message: object) -> None:
        if len(desk.channel.handed) == 60:
            assert getattr(mailings, verb)(desk.dispatch, mailing, SOMEBODY)
            time.sleep(0.2)  # the recording thread meets it while messages are open and untaken
            with desk.dispatch.database.begin() as connection:
                confirmed.append(connection.execute(select(db_now())).scalar_one())

    desk.channel.before = say_stop
    desk.pump()
    assert len(confirmed) == 1
    assert desk.count(Attempt, Attempt.opened_at > confirmed[0]) == 0
    assert 61 <= len(desk.channel.handed) <= 60 + 2 * WINDOW
    rest = "queued" if verb == "pause" else "skipped"
    handed = {message.address for message in desk.channel.handed}
    with desk.dispatch.database.begin() as connection:
        unsent = set(connection.scalars(select(Message.address).where(Message.state == rest)))
    assert handed & unsent == set(), "nothing that went out is called unsent"
    assert len(handed | unsent) == 500
    desk.settle(rounds=2)
    assert len(desk.channel.handed) == len(handed)
    if verb == "pause":
        assert mailings.resume(desk.dispatch, mailing, SOMEBODY)
        desk.settle()
        assert desk.states() == {"sent": 500}
        assert set(desk.channel.counts.values()) == {1}


@pytest.mark.parametrize("by_then", ["leased", "prepared"])
def test_a_message_cancelled_behind_the_windows_back_is_not_handed_over(
    desk: Desk, by_then: str
) -> None:
    """The rows of a claim may be taken away before their window opens, even while its texts are made."""
    desk.host.add(*(patient(number) for number in range(100)))
    desk.mailing(100, refs=[f"r{number}" for number in range(100)])
    asked = desk.host.recipients_now
    cancelled = Answer(system="dispatch", code="cancelled")
    why, _ = desk.dispatch.database.run(lambda c: note_answer(desk.dispatch, c, cancelled))

    def meanwhile(refs: list[str]) -> object:
        being_made, asked_before = "r99" in refs, len(desk.host.questions) == 1
        if being_made if by_then == "prepared" else asked_before:
            desk.change(
                Message,
                Message.address == "p99@example.org",
                Message.state == "leased",
                state="skipped",
                run_id=None,
                due_at=None,
                answer_id=why,
                final_at=db_now(),
            )
        return asked(refs)

    desk.host.recipients_now = meanwhile  # type: ignore[method-assign, assignment]
    desk.settle()
    assert "p99@example.org" not in desk.channel.counts
    assert desk.states() == {"sent": 99, "skipped": 1}


@pytest.mark.parametrize("database_url", DATABASES[:1], indirect=True)
def test_what_became_overdue_since_it_was_leased_is_not_sent(desk: Desk) -> None:
    desk.host.add(patient(0))
    asked = desk.host.recipients_now

    def slowly(refs: Sequence[str]) -> object:
        time.sleep(1.5)
        return asked(refs)

    desk.host.recipients_now = slowly  # type: ignore[method-assign, assignment]
    desk.mailing(1, refs=["r0"], not_after=1.0)
    desk.pump()
    assert desk.channel.handed == []
    assert desk.message("p0@example.org")["code"] == "expired"


@pytest.mark.parametrize("database_url", DATABASES[:1], indirect=True)
def test_no_transaction_is_open_while_others_are_asked(desk: Desk) -> None:
    pool = desk.dispatch.database.engine.pool
    assert isinstance(pool, QueuePool)
    held: dict[str, int] = {}
    asked = desk.host.recipients_now

    def look(refs: Sequence[str]) -> object:
        held["host"] = pool.checkedout()
        return asked(refs)

    def wait(message: object) -> None:
        time.sleep(0.5)  # what opens the next window meanwhile has found that there is none
        held["gateway"] = pool.checkedout()

    desk.host.add(patient(0))
    desk.host.recipients_now = look  # type: ignore[method-assign, assignment]
    desk.channel.before = wait
    desk.mailing(1, refs=["r0"])
    desk.pump()
    assert held == {"host": 0, "gateway": 0}
