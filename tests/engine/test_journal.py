"""What a dead run's journal is believed, and what it is not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from clinic_dispatch_plugin.api import (
    Accepted,
    Answer,
    NotSent,
    OutgoingMessage,
    Refused,
    SendResult,
    Uncertain,
)
from clinic_dispatch_plugin.engine import aftermath, store
from clinic_dispatch_plugin.engine import journal as journals
from clinic_dispatch_plugin.engine.aftermath import bury_dead_runs
from clinic_dispatch_plugin.engine.journal import Journal, dead_journals, is_locked, try_folder
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.rules import new_key
from tests.engine.dispatching import Desk

PEOPLE = [f"p{number}@example.org" for number in range(5)]
#: What the journal of :func:`a_dead_run` says of the five, in order: accepted, refused, refused for now, no answer.
STATES_BY_JOURNAL = ["sent", "undelivered", "queued", "uncertain", "queued"]
ATTEMPTS_BY_JOURNAL = ["accepted", "refused", "refused", "uncertain", "withdrawn"]


def a_dead_run(desk: Desk) -> tuple[int, Path, list[int]]:
    """A run that opened a window of five and died; gives its id, its journal, its attempts."""
    mailing = desk.mailing(PEOPLE)
    account = desk.account()["id"]
    database = desk.dispatch.database
    run = database.run(lambda c: store.start_run(c, worker="w", host="h", boot_id="b", lease=60))
    ids = database.run(
        lambda c: messages.claim(c, run_id=run, mailing_id=mailing, account_id=account, limit=5)
    )
    attempts = [(run << 20) | number for number in range(1, 6)]

    def open_window(connection: object) -> None:
        opened = messages.open_attempts(
            connection,  # type: ignore[arg-type]
            [
                {
                    "id": attempt,
                    "message_id": message,
                    "number": 1,
                    "key": new_key(),
                    "channel": "fake",
                    "address": address,
                    "account_id": account,
                    "run_id": run,
                    "opened_at": desk.runs()[0]["started_at"],
                    "answer_text": "",
                    "estimate": None,
                    "currency": None,
                }
                for attempt, message, address in zip(attempts, sorted(ids), PEOPLE, strict=True)
            ],
        )
        assert opened == set(attempts)

    database.run(open_window)
    journal = Journal(desk.dispatch.settings.spool_dir, run)
    for attempt in attempts[:4]:
        journal.handed_over(attempt)
    journal.answered(Accepted(attempt_id=attempts[0], provider_id="Q 1\n2"))
    unknown = Answer(system="fake", code="unknown", text="nobody of this name")
    journal.answered(Refused(attempt_id=attempts[1], answer=unknown))
    later = Answer(system="elsewhere", code="busy", text="later")
    journal.answered(Refused(attempt_id=attempts[2], answer=later, retryable=True, retry_after=9))
    journal.close(keep=True)
    return run, journal.path, attempts


def outcome(desk: Desk) -> tuple[list[str], list[str]]:
    return (
        [desk.message(address)["state"] for address in PEOPLE],
        [desk.attempts_of(address)[0]["state"] for address in PEOPLE],
    )


def test_the_journal_decides_what_it_knows_and_leaves_the_rest_in_doubt(desk: Desk) -> None:
    run, path, _ = a_dead_run(desk)
    assert bury_dead_runs(desk.dispatch) == 1
    assert outcome(desk) == (STATES_BY_JOURNAL, ATTEMPTS_BY_JOURNAL)
    assert not path.exists()
    assert desk.message("p0@example.org")["provider_id"] == "Q12"
    assert desk.message("p1@example.org")["code"] == "unknown"
    assert desk.message("p3@example.org")["code"] == "connection_lost"
    assert desk.message("p4@example.org")["tries"] == 0
    assert [(each["id"], each["state"]) for each in desk.runs()] == [(run, "lost")]


def test_a_second_reading_changes_nothing(desk: Desk) -> None:
    _, path, _ = a_dead_run(desk)
    kept = path.read_bytes()
    bury_dead_runs(desk.dispatch)
    before = [desk.message(address) for address in PEOPLE]
    path.write_bytes(kept)
    assert bury_dead_runs(desk.dispatch) == 0
    assert [desk.message(address) for address in PEOPLE] == before
    assert outcome(desk) == (STATES_BY_JOURNAL, ATTEMPTS_BY_JOURNAL)


def _torn(data: bytes, run: int) -> bytes:
    return data[:-4]


def _foreign(data: bytes, run: int) -> bytes:
    return data.replace(b"%d " % run, b"%d " % (run + 1), 1)


def _headless(data: bytes, run: int) -> bytes:
    return data.partition(b"\n")[2]


def _other_boot(data: bytes, run: int) -> bytes:
    return data.replace(journals.boot_id().encode(), b"another-start", 1)


def _empty(data: bytes, run: int) -> bytes:
    return b""


@pytest.mark.parametrize(
    ("damage", "states"),
    [
        # The torn line was the third answer: its message was handed over and is in doubt.
        (_torn, ["sent", "undelivered", "uncertain", "uncertain", "queued"]),
        (_foreign, ["uncertain"] * 5),
        (_headless, ["uncertain"] * 5),
        (_empty, ["uncertain"] * 5),
        # After a reboot answers still count, but a missing line proves nothing.
        (_other_boot, ["sent", "undelivered", "queued", "uncertain", "uncertain"]),
    ],
    ids=["torn", "foreign", "headless", "empty", "other_boot"],
)
def test_a_damaged_journal_is_believed_no_more_than_it_deserves(
    desk: Desk, damage: Callable[[bytes, int], bytes], states: list[str]
) -> None:
    run, path, _ = a_dead_run(desk)
    path.write_bytes(damage(path.read_bytes(), run))
    bury_dead_runs(desk.dispatch)
    assert outcome(desk)[0] == states


def test_a_live_runs_journal_is_left_alone(desk: Desk) -> None:
    run, path, _ = a_dead_run(desk)
    alive = Journal(desk.dispatch.settings.spool_dir, run + 1)
    path.unlink()
    assert is_locked(desk.dispatch.settings.spool_dir, run + 1) is True
    assert bury_dead_runs(desk.dispatch) == 0
    assert alive.path.exists()
    alive.close()
    assert is_locked(desk.dispatch.settings.spool_dir, run + 1) is None


def test_a_journal_written_anew_keeps_what_is_not_recorded_and_what_is_uncertain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_LONGEST", 200)
    journal = Journal(tmp_path, 7)
    doubt = Answer(system="dispatch", code="connection_lost")
    for attempt in range(1, 60):
        journal.handed_over(attempt)
        result = (
            Uncertain(attempt_id=attempt, answer=doubt)
            if attempt == 5
            else Accepted(attempt_id=attempt)
        )
        if attempt != 9:
            journal.answered(result)
            journal.recorded([result])
    assert journal.path.stat().st_size < 400
    journal.close(keep=True)
    (dead,) = dead_journals(tmp_path)
    content = dead.read()
    assert content is not None
    assert {5, 9} <= content.handed_over, "a missing line would prove that it never left"
    assert content.answers[5][0] == "uncertain"
    assert not content.never_left(5)
    assert content.never_left(60)


def test_a_journal_survives_two_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread hands over while another records and the file is written anew."""
    import threading

    monkeypatch.setattr(journals, "_LONGEST", 2_000)
    journal = Journal(tmp_path, 7)
    handed: list[int] = []

    def hand_over() -> None:
        for attempt in range(1, 5_000):
            journal.handed_over(attempt)
            journal.answered(NotSent(attempt_id=attempt))
            handed.append(attempt)

    thread = threading.Thread(target=hand_over)
    thread.start()
    done = 0
    while thread.is_alive():
        upto = len(handed) - 40
        if upto > done:
            journal.recorded([NotSent(attempt_id=attempt) for attempt in handed[done:upto]])
            done = upto
    thread.join()
    journal.close(keep=True)
    (dead,) = dead_journals(tmp_path)
    content = dead.read()
    assert content is not None
    assert set(handed[done:]) <= content.handed_over


def test_several_may_try_the_folder_at_once(tmp_path: Path) -> None:
    """A doctor beside a worker that starts."""
    faults: list[OSError] = []
    begin = threading.Barrier(8)

    def try_often() -> None:
        begin.wait()
        for _ in range(50):
            try:
                try_folder(tmp_path / "spool")
            except OSError as error:
                faults.append(error)

    threads = [threading.Thread(target=try_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert list((tmp_path / "spool").iterdir()) == []


def test_doubt_keeps_the_id_by_which_a_gateway_can_be_asked(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 8)
    doubt = Answer(system="dispatch", code="timeout")
    journal.handed_over(1)
    journal.handed_over(2)
    journal.answered(Uncertain(attempt_id=1, answer=doubt, provider_id="request-0a1b"))
    journal.answered(Uncertain(attempt_id=2, answer=doubt))
    journal.close(keep=True)
    (dead,) = dead_journals(tmp_path)
    said = [aftermath.said(attempt, dead.read()) for attempt in (1, 2)]
    assert said == [
        Uncertain(attempt_id=1, answer=doubt, provider_id="request-0a1b"),
        Uncertain(attempt_id=2, answer=doubt),
    ]


def test_a_result_in_doubt_is_recorded_with_its_id(desk: Desk) -> None:
    def doubt(message: OutgoingMessage) -> SendResult:
        answer = Answer(system="dispatch", code="timeout")
        return Uncertain(attempt_id=message.attempt_id, answer=answer, provider_id="request-0a1b")

    desk.channel.will("p0@example.org", doubt)
    desk.mailing(1)
    desk.pump()
    message = desk.message("p0@example.org")
    assert (message["state"], message["provider_id"]) == ("uncertain", "request-0a1b")
