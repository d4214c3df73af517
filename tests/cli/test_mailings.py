"""``dispatch messages|status|pause|resume|cancel|resend``: what became of it, and what a person does about it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clinic_dispatch_plugin.channels.types import Answer
from tests.cli.conftest import Typed
from tests.clinic.host import Clinic
from tests.clinic.mailbag import LOST, MAILBOX_FULL, UNKNOWN_USER, Mailbag

KEYS = [
    *("id", "mailing", "recipient", "channel", "address", "status", "note", "group", "category"),
    *("entry", "answer", "provider_id", "attempts", "created_at", "sent_at", "final_at"),
    "line",
]
HUGE = 10**30


def _messages(typed: Typed, *arguments: object) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in typed("messages", "--json", *arguments).stdout.splitlines()
    ]


def test_each_message_has_exactly_the_promised_keys(typed: Typed, mailbag: Mailbag) -> None:
    mailing = mailbag.mailing()
    mailbag.message(mailing, "sent", attempt="accepted")
    mailbag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
    mailbag.message(mailing, "queued", due_in=60, answer=MAILBOX_FULL, attempt="refused")
    found = _messages(typed, "--lang", "en")
    assert all(list(each) == KEYS for each in found)
    sent, failed, waits = found
    assert (sent["note"], sent["entry"]) == ("", None)
    assert failed["entry"]["matched"] == "pattern"
    assert failed["group"] == "sending"
    assert failed["attempts"] == 1
    assert failed["created_at"].endswith("+00:00")
    assert waits["status"] == "queued" and waits["final_at"] is None


def test_messages_can_be_narrowed_to_a_mailing_and_a_state(typed: Typed, mailbag: Mailbag) -> None:
    first, second = mailbag.mailing("eins"), mailbag.mailing("zwei")
    ids = [
        mailbag.message(mailing, state)
        for mailing in (first, second)
        for state in ("sent", "skipped")
    ]
    assert [each["id"] for each in _messages(typed)] == ids
    assert [each["id"] for each in _messages(typed, "--mailing", second)] == ids[2:]
    assert [each["id"] for each in _messages(typed, "--status", "sent")] == ids[::2]


def test_notes_come_in_the_language_asked_for(typed: Typed, mailbag: Mailbag) -> None:
    mailbag.message(mailbag.mailing(), "undelivered", answer=UNKNOWN_USER, attempt="refused")
    notes = {
        language: _messages(typed, "--lang", language)[0]["note"] for language in ("de", "en", "ru")
    }
    assert len(set(notes.values())) == 3


def test_a_table_is_shown_to_people(typed: Typed, mailbag: Mailbag) -> None:
    mailbag.message(mailbag.mailing(), "sent", name="Jörg", address="joerg@example.org")
    assert "joerg@example.org" in typed("messages").stdout


def test_a_mailing_is_held_let_go_and_ended(typed: Typed, mailbag: Mailbag) -> None:
    mailing = mailbag.mailing()
    message = mailbag.message(mailing, "queued", due_in=0)
    for verb, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        said = json.loads(typed(verb, mailing, "--json").stdout)
        assert said == {"mailing": mailing, "changed": True, "state": state}
    again = typed("cancel", mailing)
    assert again.exit_code == 0
    assert "nothing changed" in again.stdout
    assert mailbag.row(message)["state"] == "skipped"


def test_failed_messages_of_one_cause_are_sent_again(typed: Typed, mailbag: Mailbag) -> None:
    mailing = mailbag.mailing(state="finished")
    unknown = mailbag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
    full = mailbag.message(mailing, "undelivered", answer=MAILBOX_FULL, attempt="refused")
    (failed,) = [each for each in _messages(typed) if each["id"] == full]
    cause = f"{failed['entry']['system']}:{failed['entry']['code']}"
    said = json.loads(typed("resend", mailing, "--cause", cause, "--json").stdout)
    assert said == {"mailing": mailing, "resent": 1, "left": 0}
    assert mailbag.row(full)["state"] == "queued"
    assert mailbag.row(unknown)["state"] == "undelivered"
    assert json.loads(typed("resend", mailing, "--json").stdout)["resent"] == 1
    assert mailbag.row(unknown)["state"] == "queued"


@pytest.mark.parametrize(
    "given", [[], ["--may-arrive-twice"], ["--as", "Eva"], ["--may-arrive-twice", "--as", " "]]
)
def test_uncertain_messages_need_both_words_of_a_person(
    typed: Typed, mailbag: Mailbag, given: list[str]
) -> None:
    mailing = mailbag.mailing()
    message = mailbag.message(mailing, "uncertain", answer=LOST, attempt="uncertain")
    found = typed("resend", mailing, "--status", "uncertain", *given)
    assert found.exit_code == 1
    assert "--may-arrive-twice --as" in found.stderr
    assert mailbag.row(message)["state"] == "uncertain"


def test_who_sends_uncertain_messages_again_stands_in_the_audit_trail(
    typed: Typed, mailbag: Mailbag
) -> None:
    mailing = mailbag.mailing()
    message = mailbag.message(mailing, "uncertain", answer=LOST, attempt="uncertain")
    words = ("--status", "uncertain", "--may-arrive-twice", "--as", "Eva Roth")
    assert typed("resend", mailing, *words).exit_code == 0
    assert mailbag.row(message)["state"] == "queued"
    assert "Eva Roth" in {row["actor_name"] for row in mailbag.trail(message)}


def test_what_stays_is_said_with_its_reason(typed: Typed, mailbag: Mailbag) -> None:
    mailing = mailbag.mailing()
    nowhere = Answer(system="dispatch", code="no_address")
    mailbag.message(mailing, "skipped", answer=nowhere, address="", ref="")
    found = typed("resend", mailing, "--status", "skipped")
    assert "0 messages are sent again" in found.stdout
    assert "no usable address" in found.stderr


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "resend"])
def test_a_mailing_that_does_not_exist_is_said_to_be_none(typed: Typed, verb: str) -> None:
    found = typed(verb, 4711)
    assert found.exit_code == 1
    assert found.stderr == "Error: There is no mailing 4711.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["messages", "--mailing", 4711], "There is no mailing 4711."),
        (["messages", "--mailing", HUGE], "not in the range"),
        (["messages", "--mailing", "x"], "not a valid integer"),
        (["messages", "--mailing", 0], "not in the range"),
        (["messages", "--status", "lost"], "'lost' is not one of"),
        (["messages", "--lang", "fr"], "'fr' is not one of"),
        (["pause", HUGE], "not in the range"),
        (["resend", -1], ""),
        (["worker", "--concurrency", 0], "not in the range"),
    ],
)
def test_a_wrong_value_is_a_sentence(typed: Typed, arguments: list[object], said: str) -> None:
    found = typed(*arguments)
    assert found.exit_code in (1, 2)
    assert said in found.stderr
    assert found.stdout == ""


def test_a_cause_nobody_knows_is_answered_with_those_there_are(
    typed: Typed, mailbag: Mailbag
) -> None:
    mailing = mailbag.mailing()
    mailbag.message(mailing, "undelivered", answer=MAILBOX_FULL, attempt="refused")
    found = typed("resend", mailing, "--cause", "smtp:9.9.9")
    assert found.exit_code == 1
    assert "has no such cause; use one of: smtp:" in found.stderr


def test_status_says_who_is_at_work_and_why_an_account_stands_still(
    clinic: Clinic, typed: Typed, mailbag: Mailbag
) -> None:
    mailbag.message(mailbag.mailing(), "queued", due_in=0)
    mailbag.stop_account(Answer(system="smtp", code="5.7.8", text="535 5.7.8 secret-canary"))
    said = json.loads(typed("status", "--json").stdout)
    assert (said["workers"], said["waiting"], said["running"]) == ([], 1, 1)
    assert said["queue"] == {"reachable": False, "embedded": True}
    (account,) = said["accounts"]
    assert account["state"] == "stopped" and account["note"]
    shown = typed("status").stdout
    assert account["note"] in shown and "start one with" in shown
    assert account["what_helps"] in shown and "in the last minute" in shown
    assert (said["sent_last_minute"], account["sent_last_minute"], account["slowed"]) == (
        0,
        0,
        False,
    )


def test_an_adapter_that_raises_is_a_sentence_without_its_words(
    clinic: Clinic, typed: Typed, mailbag: Mailbag, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing = mailbag.mailing()
    mailbag.message(mailing, "undelivered", ref="p1", answer=UNKNOWN_USER, attempt="refused")

    def recipients_now(refs: object) -> Any:
        raise RuntimeError("Anna Kern, born 1970")

    monkeypatch.setattr(clinic.host, "recipients_now", recipients_now)
    found = typed("resend", mailing)
    assert found.exit_code == 1
    assert "The clinic's system could not be asked" in found.stderr
    assert "try again in a moment" in found.stderr
    assert "Anna Kern" not in found.stderr and "Traceback" not in found.stderr
    assert [each["status"] for each in _messages(typed)] == ["undelivered"]
