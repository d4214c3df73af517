"""What a person does to messages, on every database: it moves what may move, and is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.editing import add_entry
from clinic_dispatch_plugin.host.types import Actor, Recipient
from clinic_dispatch_plugin.messages import store
from clinic_dispatch_plugin.messages.access import CommandLine
from clinic_dispatch_plugin.messages.again import resend
from clinic_dispatch_plugin.messages.causes import causes_json, count_by_answer, mailing_summary
from clinic_dispatch_plugin.messages.commands import messages_for_command
from clinic_dispatch_plugin.messages.contents import look_at_contents
from clinic_dispatch_plugin.messages.correction import (
    AddressProblem,
    NotPossible,
    correct_address,
)
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.lists import Line, MessageFilter, Page, list_messages
from clinic_dispatch_plugin.messages.lists_store import Segment, page_query
from clinic_dispatch_plugin.messages.report import support_report
from clinic_dispatch_plugin.messages.rules import (
    MessageState,
    unsubscribe_token,
)
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.service import (
    NotConfirmed,
    Refusal,
    Settlement,
    check_account_again,
    retry_now,
    settle_uncertain,
    unsubscribe,
)
from clinic_dispatch_plugin.web.asking import HostFailed
from tests.clinic.host import Clinic, TinyHost, make_clinic
from tests.clinic.mailbag import LOST, MAILBOX_FULL, STRANGE, UNKNOWN_USER, Mailbag
from tests.store.letters import LetterPlugin

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LANG = Actor(ref="reception", name="B. Lang")


@dataclass
class Given:
    """A clinic, what is in its tables, and how often a worker was rung for."""

    clinic: Clinic
    bag: Mailbag
    rings: list[str]

    @property
    def dispatch(self) -> Any:
        return self.clinic.dispatch

    @property
    def host(self) -> TinyHost:
        return self.clinic.host


@pytest.fixture
def given(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Given]:
    # Without the e-mail plugin's packs each test starts fast; what a test needs described, it describes.
    config = {
        "SQLALCHEMY_DATABASE_URI": database_url,
        "CLINIC_DISPATCH_BLOCKED_PLUGINS": "email",
    }
    clinic = make_clinic(tmp_path, config=config, plugins=[LetterPlugin()])
    rings: list[str] = []
    monkeypatch.setattr(clinic.dispatch.doorbell, "ring", lambda: rings.append("ring"))
    with clinic.app.test_request_context():
        yield Given(clinic, Mailbag(clinic.dispatch, channel="letter"), rings)
    clinic.dispatch.database.dispose()


def ours(code: str) -> Answer:
    return Answer(system="dispatch", code=code)


def describe(given: Given, code: str, short: str) -> None:
    content = {"short.de": short, "category": "unknown_recipient", "who": "reception"}
    add_entry(given.dispatch, system="smtp", code=code, content=content, by="A. Kern")


def every_line(given: Given, wanted: MessageFilter, *, limit: int = 7) -> list[Line]:
    found: list[Line] = []
    page: Page | None = None
    while page is None or page.after is not None:
        cursor = page.after if page else None
        page = list_messages(given.dispatch, LANG, wanted, cursor=cursor, limit=limit)
        found += page.lines
    return found


def test_sending_again_starts_with_all_tries_anew_and_keeps_what_failed(given: Given) -> None:
    mailing = given.bag.mailing()
    message = given.bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")

    outcome = resend(given.dispatch, LANG, Chosen(ids=(message,)))

    row = given.bag.row(message)
    assert (outcome.done, outcome.left) == (1, 0)
    assert (row["state"], row["tries"], row["answer_id"], row["final_at"]) == (
        "queued",
        0,
        None,
        None,
    )
    (attempt,) = given.bag.attempts(message)
    assert attempt["state"] == "refused" and attempt["answer_text"] == UNKNOWN_USER.text
    (line,) = given.bag.trail(message)
    assert (line["action"], line["actor_ref"], line["mailing_id"]) == (
        "resend",
        "reception",
        mailing,
    )
    assert given.rings == ["ring"]


def test_a_finished_mailing_runs_again_and_its_first_pass_stays(given: Given) -> None:
    mailing = given.bag.mailing()
    message = given.bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
    given.dispatch.database.run(lambda c: store.first_pass_ended(c, mailing))
    given.dispatch.database.run(lambda c: store.mailing_finished(c, mailing))
    before = given.bag.mailing_row(mailing)
    assert before["state"] == "finished"

    resend(given.dispatch, LANG, Chosen(ids=(message,)))

    after = given.bag.mailing_row(mailing)
    assert (after["state"], after["finished_at"]) == ("running", None)
    assert after["first_pass_at"] == before["first_pass_at"] is not None


@pytest.mark.parametrize("state", ["sent", "delivered", "queued", "sending", "uncertain"])
def test_only_what_failed_or_was_left_out_is_sent_again(given: Given, state: str) -> None:
    mailing = given.bag.mailing()
    message = given.bag.message(mailing, state, attempt="accepted")

    outcome = resend(given.dispatch, LANG, Chosen(ids=(message,)))

    assert outcome.done == 0 and outcome.refused[Refusal.MOVED_ON] == 1
    assert given.bag.row(message)["state"] == state
    assert given.bag.trail() == [] and given.rings == []


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        ("superseded", Refusal.SUPERSEDED),
        ("duplicate", Refusal.DUPLICATE),
        ("no_address", Refusal.NO_ADDRESS),
    ],
)
def test_what_would_be_skipped_again_or_arrive_twice_is_refused_with_its_reason(
    given: Given, code: str, refusal: Refusal
) -> None:
    message = given.bag.message(given.bag.mailing(), "skipped", answer=ours(code))

    outcome = resend(given.dispatch, LANG, Chosen(ids=(message,)))

    assert dict(outcome.refused) == {refusal: 1}
    assert given.bag.row(message)["state"] == "skipped"


def test_nothing_of_a_cancelled_mailing_goes_out(given: Given) -> None:
    mailing = given.bag.mailing(state="cancelled")
    message = given.bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")

    outcome = resend(given.dispatch, LANG, Chosen(ids=(message,)))

    assert dict(outcome.refused) == {Refusal.CANCELLED: 1}
    assert given.bag.row(message)["state"] == "undelivered"


def test_one_cause_of_a_mailing_is_sent_again_and_no_other(given: Given) -> None:
    mailing, other = given.bag.mailing(), given.bag.mailing()
    meant = [
        given.bag.message(mailing, "undelivered", answer=STRANGE, attempt="refused")
        for _ in range(3)
    ]
    given.bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
    given.bag.message(other, "undelivered", answer=STRANGE, attempt="refused")

    chosen = Chosen(mailing_id=mailing, cause="smtp:5.9.9")
    assert resend(given.dispatch, LANG, chosen).done == 3

    moved = [line.id for line in every_line(given, MessageFilter(state="queued"))]
    assert sorted(moved) == meant


def test_a_block_the_program_made_is_lifted_and_the_recipients_own_stays(given: Given) -> None:
    message = given.bag.message(given.bag.mailing(), "skipped", answer=ours("blocked"))
    digest = fingerprint(given.dispatch, "letter", given.bag.row(message)["address"])

    def blocks(connection: Connection) -> None:
        for scope in ("", "promotion"):
            store.block(connection, channel="letter", digest=digest, answer_id=None, scope=scope)

    given.dispatch.database.run(blocks)

    resend(given.dispatch, LANG, Chosen(ids=(message,)))

    with given.dispatch.database.begin() as connection:
        assert store.blocked(connection, "letter", [digest], "reminder") == {}
        assert digest in store.blocked(connection, "letter", [digest], "promotion")


def test_an_address_mended_on_the_card_is_used_when_sending_again(given: Given) -> None:
    message = given.bag.message(
        given.bag.mailing(), "skipped", answer=ours("no_address"), ref="p7", address=""
    )
    given.host.patients["p7"] = Recipient(ref="p7", addresses={"letter": " Neu@Example.org "})

    assert resend(given.dispatch, LANG, Chosen(ids=(message,))).done == 1
    assert given.bag.row(message)["address"] == "neu@example.org"


def test_an_address_corrected_for_one_message_is_not_lost_to_the_cards_old_one(
    given: Given,
) -> None:
    given.host.allows_updates = False
    message = given.bag.message(
        given.bag.mailing(), "skipped", answer=ours("malformed_address"), ref="p7", address="alt"
    )
    given.host.patients["p7"] = Recipient(ref="p7", addresses={"letter": "alt@example.org"})
    correct_address(given.dispatch, LANG, message, "neu@example.org")
    given.dispatch.database.run(
        lambda c: store.decide_queued(c, _pairs(c, message), _answer(given, c, "not_agreed"))
    )

    assert resend(given.dispatch, LANG, Chosen(ids=(message,))).done == 1
    assert given.bag.row(message)["address"] == "neu@example.org"


def _pairs(connection: Connection, message: int) -> Any:
    from sqlalchemy import select

    from clinic_dispatch_plugin.messages.tables import Message

    return connection.execute(
        select(Message.id, Message.attempts).where(Message.id == message)
    ).all()


def _answer(given: Given, connection: Connection, code: str) -> int:
    from clinic_dispatch_plugin.error_reference.service import note_answer

    return note_answer(given.dispatch, connection, ours(code))[0]


def test_a_missing_value_is_taken_from_the_card_when_sending_again(given: Given) -> None:
    message = given.bag.message(
        given.bag.mailing(), "skipped", answer=ours("empty_placeholder"), ref="p7", data={}
    )
    given.host.patients["p7"] = Recipient(ref="p7", name="Frau Sieben")

    resend(given.dispatch, LANG, Chosen(ids=(message,)))

    assert given.bag.row(message)["data"] == {"name": "Frau Sieben"}


def test_a_silent_host_moves_nothing(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    message = given.bag.message(given.bag.mailing(), "undelivered", answer=UNKNOWN_USER)

    def fails(ref: str) -> None:
        raise ConnectionError("the clinic's system is away")

    monkeypatch.setattr(given.host, "recipient", fails)
    with pytest.raises(HostFailed):
        resend(given.dispatch, LANG, Chosen(ids=(message,)))
    assert given.bag.row(message)["state"] == "undelivered"


def test_a_corrected_address_is_saved_on_the_card_and_the_old_attempt_keeps_its_own(
    given: Given,
) -> None:
    message = given.bag.message(
        given.bag.mailing(), "undelivered", answer=UNKNOWN_USER, attempt="refused"
    )
    old = given.bag.row(message)["address"]
    ref = given.bag.row(message)["ref"]

    done = correct_address(given.dispatch, LANG, message, " Anna.Berger@Example.org ")

    assert (done.address, done.saved) == ("anna.berger@example.org", True)
    assert given.host.updates == [(ref, "letter", "anna.berger@example.org")]
    row = given.bag.row(message)
    assert (row["state"], row["address"]) == ("queued", "anna.berger@example.org")
    assert given.bag.attempts(message)[0]["address"] == old
    (line,) = given.bag.trail(message)
    assert line["action"] == "correct_address" and line["details"]["saved"] is True
    assert old not in str(line["details"])


def test_where_the_card_cannot_be_changed_the_message_alone_is_corrected(given: Given) -> None:
    given.host.allows_updates = False
    message = given.bag.message(given.bag.mailing(), "undelivered", answer=UNKNOWN_USER)
    assert correct_address(given.dispatch, LANG, message, "neu@example.org").saved is False
    of_file = given.bag.message(given.bag.mailing(), "skipped", answer=ours("no_address"), ref="")
    assert correct_address(given.dispatch, LANG, of_file, "neu@example.org").saved is None


@pytest.mark.parametrize("value", ["", "   ", "kein-at-zeichen"])
def test_what_is_no_address_is_refused_beside_the_field(given: Given, value: str) -> None:
    message = given.bag.message(given.bag.mailing(), "undelivered", answer=UNKNOWN_USER)
    with pytest.raises(AddressProblem) as problem:
        correct_address(given.dispatch, LANG, message, value)
    assert str(problem.value)
    assert given.bag.row(message)["state"] == "undelivered" and given.host.updates == []


def test_the_hosts_own_words_stand_beside_the_field(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = given.bag.message(given.bag.mailing(), "undelivered", answer=UNKNOWN_USER)

    def refuses(ref: str, channel: str, value: str) -> bool:
        raise ValueError("Diese Karte ist gesperrt.")

    monkeypatch.setattr(given.host, "update_address", refuses)
    with pytest.raises(AddressProblem, match="Diese Karte ist gesperrt"):
        correct_address(given.dispatch, LANG, message, "neu@example.org")
    assert given.bag.row(message)["state"] == "undelivered"


def test_the_same_text_does_not_go_twice_to_one_address(given: Given) -> None:
    mailing = given.bag.mailing()
    given.bag.message(mailing, "sent", name="Berger", address="familie@example.org")
    twin = given.bag.message(mailing, "undelivered", answer=UNKNOWN_USER, name="Berger")
    sister = given.bag.message(mailing, "undelivered", answer=UNKNOWN_USER, name="Berger, Ida")

    with pytest.raises(AddressProblem):
        correct_address(given.dispatch, LANG, twin, "Familie@example.org")
    assert correct_address(given.dispatch, LANG, sister, "familie@example.org").saved is True


def test_a_message_that_arrived_cannot_be_corrected_and_nothing_is_saved(given: Given) -> None:
    message = given.bag.message(given.bag.mailing(), "delivered", attempt="accepted")
    with pytest.raises(NotPossible) as problem:
        correct_address(given.dispatch, LANG, message, "neu@example.org")
    assert problem.value.refusal is Refusal.MOVED_ON and given.host.updates == []


def test_an_uncertain_message_goes_again_only_when_somebody_says_it_may_arrive_twice(
    given: Given,
) -> None:
    message = given.bag.message(given.bag.mailing(), "uncertain", answer=LOST, attempt="uncertain")
    chosen = Chosen(ids=(message,))
    with pytest.raises(NotConfirmed):
        settle_uncertain(given.dispatch, LANG, chosen, Settlement.SEND_AGAIN)
    assert given.bag.row(message)["state"] == "uncertain"

    done = settle_uncertain(
        given.dispatch, LANG, chosen, Settlement.SEND_AGAIN, may_arrive_twice=True
    )

    assert done.done == 1 and given.bag.row(message)["state"] == "queued"
    assert given.bag.attempts(message)[0]["state"] == "uncertain"
    (line,) = given.bag.trail(message)
    assert line["details"] == {"choice": "send_again", "may_arrive_twice": "confirmed"}


def test_a_person_who_knows_that_it_arrived_settles_message_and_attempt(given: Given) -> None:
    message = given.bag.message(
        given.bag.mailing(state="cancelled"), "uncertain", answer=LOST, attempt="uncertain"
    )
    settle_uncertain(given.dispatch, LANG, Chosen(ids=(message,)), Settlement.ARRIVED)
    row = given.bag.row(message)
    (attempt,) = given.bag.attempts(message)
    assert (row["state"], row["answer_id"]) == ("delivered", None)
    assert row["sent_at"] == attempt["opened_at"] and attempt["state"] == "accepted"


def test_giving_up_says_so_and_leaves_the_attempt_in_doubt(given: Given) -> None:
    mailing = given.bag.mailing()
    message = given.bag.message(mailing, "uncertain", answer=LOST, attempt="uncertain")
    settle_uncertain(given.dispatch, LANG, Chosen(mailing_id=mailing), Settlement.GIVE_UP)
    assert given.bag.row(message)["state"] == "undelivered"
    assert given.bag.attempts(message)[0]["state"] == "uncertain"
    (found,) = messages_for_command(given.dispatch, language="de")
    assert found["entry"] == {"system": "dispatch", "code": "gave_up", "matched": "exact"}


def test_what_waits_for_later_is_tried_now_and_what_is_due_stays(given: Given) -> None:
    mailing = given.bag.mailing()
    later = given.bag.message(
        mailing, "queued", answer=MAILBOX_FULL, attempt="refused", due_in=3600
    )
    due = given.bag.message(mailing, "queued", due_in=-60)
    before = given.bag.row(due)["due_at"]

    assert retry_now(given.dispatch, LANG, Chosen(mailing_id=mailing)).done == 1

    with given.dispatch.database.begin() as connection:
        assert (mailing, given.bag.row(later)["account_id"], 0) in store.due_work(connection)
    assert given.bag.row(due)["due_at"] == before
    assert [line["action"] for line in given.bag.trail(later)] == ["retry_now"]
    assert given.bag.trail(due) == []


def test_a_stopped_account_is_tried_again_once(given: Given) -> None:
    account = given.bag.stop_account(Answer(system="dispatch", code="authentication"))
    assert check_account_again(given.dispatch, LANG, account)
    assert not check_account_again(given.dispatch, LANG, account)
    with given.dispatch.database.begin() as connection:
        assert accounts.may_send(connection, account, probing=True), "one message tells"
    assert len(given.bag.trail()) == 1 and given.rings == ["ring"]


def test_an_unsubscribed_address_gets_no_more_of_this_purpose_alone(given: Given) -> None:
    key = given.dispatch.settings.secret_keys[0]
    digest = fingerprint(given.dispatch, "letter", "anna@example.org")
    token = unsubscribe_token(key, "letter", "promotion", digest)

    assert unsubscribe(given.dispatch, token)
    assert unsubscribe(given.dispatch, token)
    assert not unsubscribe(given.dispatch, token[:-1] + "x")

    with given.dispatch.database.begin() as connection:
        assert digest in store.blocked(connection, "letter", [digest], "promotion")
        assert store.blocked(connection, "letter", [digest], "reminder") == {}


def test_causes_gather_by_entry_and_drafts_by_their_code(given: Given) -> None:
    describe(given, "5.1.1", "Postfach gibt es nicht")
    describe(given, "4.2.2", "Postfach ist voll")
    mailing = given.bag.mailing()
    for _ in range(2):
        given.bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
    for words in ("one", "another"):
        strange = Answer(system="smtp", code="5.9.9", text=f"599 5.9.9 Zorgon says {words}")
        given.bag.message(mailing, "undelivered", answer=strange, attempt="refused")
    given.bag.message(mailing, "queued", answer=MAILBOX_FULL, attempt="refused", due_in=900)
    given.bag.message(mailing, "skipped", answer=ours("not_agreed"))
    given.bag.message(mailing, "delivered", attempt="accepted")

    summary = mailing_summary(given.dispatch, CommandLine(), mailing, "de")

    assert summary.counts == {"undelivered": 4, "queued": 1, "skipped": 1, "delivered": 1}
    assert [cause.state for cause in summary.causes] == [
        "undelivered",
        "undelivered",
        "queued",
        "skipped",
    ]
    draft = next(cause for cause in summary.causes if cause.draft)
    assert (draft.key, draft.count, len(draft.answer_ids)) == ("smtp:5.9.9", 2, 2)
    assert summary.causes[2].next_due_at == given.bag.row(5)["due_at"]
    said = causes_json(given.dispatch, mailing, "de")
    assert {"key": "smtp:5.9.9", "note": draft.note, "count": 2} in said


def test_describing_a_draft_explains_the_earlier_message_and_its_cause(given: Given) -> None:
    mailing = given.bag.mailing()
    given.bag.message(mailing, "undelivered", answer=STRANGE, attempt="refused")
    describe(given, "5.9.9", "Zorgon mag keine Zahlen")
    (cause,) = mailing_summary(given.dispatch, CommandLine(), mailing, "de").causes
    assert (cause.note, cause.draft, cause.key) == ("Zorgon mag keine Zahlen", False, "smtp:5.9.9")
    (found,) = messages_for_command(given.dispatch, mailing_id=mailing, language="de")
    assert found["note"] == "Zorgon mag keine Zahlen"
    assert found["entry"] == {"system": "smtp", "code": "5.9.9", "matched": "exact"}


def test_a_command_prints_every_message_oldest_first_with_all_its_keys(given: Given) -> None:
    describe(given, "5.1.1", "Postfach gibt es nicht")
    mailing = given.bag.mailing()
    given.bag.message(mailing, "delivered", attempt="accepted")
    given.bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
    given.bag.message(given.bag.mailing(), "queued")

    found = list(messages_for_command(given.dispatch, language="de"))

    assert [row["id"] for row in found] == sorted(row["id"] for row in found)
    assert set(found[0]) == {
        "id",
        "mailing",
        "recipient",
        "channel",
        "address",
        "status",
        "note",
        "group",
        "category",
        "entry",
        "answer",
        "provider_id",
        "attempts",
        "line",
        "created_at",
        "sent_at",
        "final_at",
    }
    assert found[1]["answer"] == UNKNOWN_USER.text and found[1]["group"] == "sending"
    states = [row["status"] for row in messages_for_command(given.dispatch, mailing_id=mailing)]
    assert states == ["delivered", "undelivered"]
    only = list(messages_for_command(given.dispatch, state="queued"))
    assert len(only) == 1 and only[0]["entry"] is None and only[0]["answer"] == ""


def test_pages_hold_every_message_once_in_both_directions(given: Given) -> None:
    mailing = given.bag.mailing()
    for state in ("sent", "undelivered", "queued", "skipped", "uncertain", "delivered"):
        for _ in range(3):
            given.bag.message(mailing, state)
    lines = every_line(given, MessageFilter(mailing_id=mailing), limit=4)
    assert len({line.id for line in lines}) == len(lines) == 18
    assert [line.state for line in lines[:4]] == ["undelivered"] * 3 + ["uncertain"]

    first = list_messages(given.dispatch, LANG, MessageFilter(mailing_id=mailing), limit=4)
    second = list_messages(
        given.dispatch, LANG, MessageFilter(mailing_id=mailing), cursor=first.after, limit=4
    )
    third = list_messages(
        given.dispatch, LANG, MessageFilter(mailing_id=mailing), cursor=second.after, limit=4
    )
    back = list_messages(
        given.dispatch,
        LANG,
        MessageFilter(mailing_id=mailing),
        cursor=third.before,
        newer=True,
        limit=4,
    )
    assert [line.id for line in back.lines] == [line.id for line in second.lines]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("иванов", 1),
        ("ИВАНОВ сергей", 1),
        ("BERGER", 1),
        ("berger@", 1),
        ("100%", 0),
        ("_", 0),
        ("p-77", 1),
        ("berger sergej", 0),
    ],
)
def test_a_search_finds_names_in_any_case_and_takes_signs_as_they_are(
    given: Given, words: str, found: int
) -> None:
    mailing = given.bag.mailing()
    given.bag.message(mailing, name="Иванов, Сергей", address="i@example.org", ref="p-77")
    given.bag.message(mailing, name="Berger, Anna", address="berger@example.org", ref="p-78")
    assert len(every_line(given, MessageFilter(search=words))) == found


def test_filters_narrow_by_state_cause_channel_and_period(given: Given) -> None:
    mailing = given.bag.mailing()
    old = given.bag.row(given.bag.message(mailing, "sent"))["created_at"]
    message = given.bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused")
    key = mailing_summary(given.dispatch, CommandLine(), mailing, "de").causes[0].key
    only = [message]
    for wanted in (
        MessageFilter(state="undelivered"),
        MessageFilter(cause=key),
        MessageFilter(cause=key, mailing_id=mailing, state="undelivered", channel="letter"),
    ):
        assert [line.id for line in every_line(given, wanted)] == only
    assert len(every_line(given, MessageFilter(since=old))) == 2
    assert every_line(given, MessageFilter(until=old)) == []
    assert every_line(given, MessageFilter(cause="smtp:no-such-code")) == []
    assert every_line(given, MessageFilter(channel="pigeon")) == []


@pytest.mark.parametrize(
    ("segment", "index"),
    [
        (Segment(), "INTEGER PRIMARY KEY"),
        (Segment(since=LONG_AGO), "INTEGER PRIMARY KEY"),
        (Segment(state="undelivered"), "ix_dispatch_message_state"),
        (Segment(state="undelivered", mailing_id=1), "ix_dispatch_message_mailing"),
        (Segment(answer_ids=(1,)), "ix_dispatch_message_answer"),
    ],
)
def test_every_page_is_found_by_an_index_in_its_own_order(
    tmp_path: Path, segment: Segment, index: str
) -> None:
    config = {"CLINIC_DISPATCH_BLOCKED_PLUGINS": "email"}
    dispatch = make_clinic(tmp_path, config=config, plugins=[LetterPlugin()]).dispatch
    for newer in (False, True):
        query = page_query(segment, beyond=1_000, limit=51, newer=newer)
        with dispatch.database.begin() as connection:
            said = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN {said}")).all()
        (step,) = [row.detail for row in plan]
        assert step.startswith("SEARCH") and index in step and "TEMP" not in step


def test_what_may_not_be_seen_is_in_no_list_count_or_action(given: Given) -> None:
    mailing = given.bag.mailing()
    seen = given.bag.message(mailing, "undelivered", answer=UNKNOWN_USER, ref="open")
    hidden = [
        given.bag.message(mailing, "undelivered", answer=UNKNOWN_USER, ref="secret")
        for _ in range(12)
    ]
    given.host.hidden = {"secret"}

    assert [line.id for line in every_line(given, MessageFilter(mailing_id=mailing), limit=2)] == [
        seen
    ]
    summary = mailing_summary(given.dispatch, LANG, mailing, "de")
    assert summary.counts == {"undelivered": 1} and summary.causes[0].count == 1
    for use in (
        lambda: correct_address(given.dispatch, LANG, hidden[0], "neu@example.org"),
        lambda: look_at_contents(given.dispatch, LANG, hidden[0]),
        lambda: support_report(given.dispatch, LANG, hidden[0]),
    ):
        _missing(use)
    assert resend(given.dispatch, LANG, Chosen(ids=tuple(hidden))).done == 0
    assert resend(given.dispatch, LANG, Chosen(mailing_id=mailing)).done == 1
    assert len(list(messages_for_command(given.dispatch))) == 13


def _missing(use: Callable[[], object]) -> None:
    with pytest.raises(LookupError):
        use()


def test_looking_at_the_words_is_written_down_first(given: Given) -> None:
    message = given.bag.message(given.bag.mailing(), name="Berger, Anna")
    contents = look_at_contents(given.dispatch, LANG, message, reason="page")
    assert contents.text == "Guten Tag Berger, Anna, bis morgen."
    assert [line["action"] for line in given.bag.trail(message)] == ["view_contents"]


def test_a_report_for_support_names_codes_and_nobody(given: Given) -> None:
    message = given.bag.message(
        given.bag.mailing("Befund Anna Berger"),
        "undelivered",
        answer=UNKNOWN_USER,
        attempt="refused",
        name="Berger, Anna",
        ref="patient-4711",
    )
    correct_address(given.dispatch, LANG, message, "anna.neu@example.org")
    report = support_report(given.dispatch, LANG, message)
    for word in ("Berger", "Anna", "anna", "@example.org", "patient-4711", "Guten Tag"):
        assert word not in report
    for word in ("5.1.1", "correct_address", "UTC", "Python", "User unknown"):
        assert word in report


def test_answers_are_counted_by_the_messages_they_explain(given: Given) -> None:
    mailing = given.bag.mailing()
    for _ in range(3):
        given.bag.message(mailing, "undelivered", answer=UNKNOWN_USER)
    given.bag.message(mailing, "undelivered", answer=STRANGE)
    many = given.bag.row(1)["answer_id"]
    with given.dispatch.database.begin() as connection:
        assert sorted(count_by_answer(connection).values()) == [1, 3]
        assert count_by_answer(connection, [many]) == {many: 3}


def test_waiting_messages_say_what_holds_them(given: Given) -> None:
    paused = given.bag.message(given.bag.mailing(state="paused"), "queued")
    free = given.bag.message(given.bag.mailing(), "queued")
    held = {line.id: line.held_by for line in every_line(given, MessageFilter(state="queued"))}
    assert held == {paused: "mailing", free: ""}
    given.bag.stop_account(ours("authentication"))
    held = {line.id: line.held_by for line in every_line(given, MessageFilter(state="queued"))}
    assert held == {paused: "mailing", free: "account"}


def test_five_hundred_and_more_are_sent_again_in_portions(given: Given) -> None:
    mailing = given.bag.mailing()
    first = given.bag.message(mailing, "undelivered", answer=STRANGE, attempt="refused")
    row = dict(given.bag.row(first))
    rows = [
        {**row, "id": first + n, "key": f"key{n:023d}", "ref": "", "attempt_id": None}
        for n in range(1, 620)
    ]
    given.dispatch.database.run(lambda connection: store.add_messages(connection, rows))
    chosen = Chosen(mailing_id=mailing, states=frozenset({MessageState.UNDELIVERED}))
    assert resend(given.dispatch, LANG, chosen).done == 620
    assert given.rings == ["ring"] and len(given.bag.trail()) == 620
