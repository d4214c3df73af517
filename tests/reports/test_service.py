"""A mail changes the one message it speaks of, once, on every database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.error_reference.answers import explained
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages.again import resend
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.tables import Attempt
from clinic_dispatch_plugin.reports.rules import MOST_BYTES
from clinic_dispatch_plugin.reports.service import (
    CannotTie,
    Result,
    Why,
    look_again,
    look_at,
    take,
    tie_by_hand,
)
from tests.reports.conftest import WRITTEN, Post
from tests.reports.making import Shape, standard
from tests.reports.shapes_standard import OTHERS, STANDARD
from tests.reports.shapes_words import WORDS

SHAPES: dict[str, Shape] = {shape.name: shape for shape in [*STANDARD, *OTHERS, *WORDS]}
LANG = Actor(ref="reception", name="B. Lang")
NOWHERE = "From: x@example.org\n"


def given(post: Post, name: str, message_id: int, number: int = 1) -> Result:
    raw = post.mail(SHAPES[name].raw, message_id, number)
    return take(post.dispatch, raw, source="command", by="test")


def category(post: Post, answer_id: int) -> str:
    with post.dispatch.database.begin() as connection:
        return explained(post.dispatch, connection, [answer_id])[answer_id].category


@pytest.mark.parametrize(
    "name",
    [
        "postfix",
        "only headers returned, no envelope id",
        "nothing returned, the report came to the sender address of this message",
        "Exim",
        "mail.ru",
        "T-Online: German words",
    ],
)
def test_a_report_makes_its_message_undelivered_with_the_note(post: Post, name: str) -> None:
    message_id, other = post.sent(), post.sent()
    result = given(post, name, message_id)
    assert (result.new, result.message_id) == (True, message_id)
    row = post.message(message_id)
    assert row["state"] == "undelivered"
    assert row["final_at"] is not None
    assert category(post, row["answer_id"]) == SHAPES[name].category
    assert post.attempts(message_id)[0]["report"] == "failed"
    assert post.attempts(message_id)[0]["state"] == "accepted"
    assert post.message(other)["state"] == "sent"
    (kept,) = post.bounces()
    assert (kept["state"], kept["kind"], kept["action"]) == ("tied", "bounce", "failed")


def test_the_same_mail_twice_changes_nothing(post: Post) -> None:
    message_id = post.sent()
    first = given(post, "postfix", message_id)
    before = post.everything()
    second = given(post, "postfix", message_id)
    assert post.everything() == before
    assert (second.new, second.bounce_id) == (False, first.bounce_id)
    raw = post.mail(SHAPES["postfix"].raw, message_id).replace(b"\n", b"\r\n")
    assert not take(post.dispatch, raw, source="mailbox", by="").new


def test_reading_alone_keeps_nothing(post: Post) -> None:
    message_id = post.sent()
    before = post.everything()
    result = look_at(post.dispatch, post.mail(SHAPES["postfix"].raw, message_id))
    assert (result.message_id, result.bounce_id) == (message_id, None)
    assert post.everything() == before


def test_the_policy_of_the_entry_blocks_a_dead_address_and_spares_a_full_one(post: Post) -> None:
    dead, full = post.sent(), post.sent()
    given(post, "postfix", dead)
    given(post, "mailbox full, given up after days", full)
    digest = fingerprint(post.dispatch, "email", post.attempts(dead)[0]["address"])
    assert post.blocks() == [(digest, "")]
    assert post.message(full)["state"] == "undelivered"


def test_what_arrived_never_goes_back(post: Post) -> None:
    message_id = post.sent("delivered")
    given(post, "postfix", message_id)
    assert post.message(message_id)["state"] == "delivered"
    assert post.blocks() == []


def test_delivered_outweighs_an_earlier_failure(post: Post) -> None:
    message_id = post.sent()
    given(post, "postfix", message_id)
    given(post, "delivered", message_id)
    assert post.message(message_id)["state"] == "delivered"
    assert post.attempts(message_id)[0]["report"] == "delivered"
    given(post, "only headers returned, no envelope id", message_id)
    assert post.message(message_id)["state"] == "delivered"
    assert post.attempts(message_id)[0]["report"] == "delivered"


def test_a_report_settles_what_was_uncertain(post: Post) -> None:
    message_id = post.sent("uncertain", attempt="uncertain")
    given(post, "postfix", message_id)
    assert post.message(message_id)["state"] == "undelivered"
    assert post.attempts(message_id)[0]["state"] == "accepted"


@pytest.mark.parametrize("name", ["delayed", "relayed", "vacation by RFC 3834", "Exim warns"])
def test_what_decides_nothing_changes_nothing_and_is_kept(post: Post, name: str) -> None:
    message_id = post.sent()
    before = post.message(message_id)
    given(post, name, message_id)
    assert dict(post.message(message_id)) == dict(before)
    (kept,) = post.bounces()
    assert (kept["state"], kept["message_id"]) == ("tied", message_id)
    assert kept["action"] == SHAPES[name].recipients[0][1]
    assert post.blocks() == []


def test_a_complaint_blocks_promotions_and_nothing_else(post: Post) -> None:
    message_id = post.sent()
    given(post, "complaint with the recipient struck out", message_id)
    given(post, "complaint with the recipient", message_id)
    assert post.message(message_id)["state"] == "sent"
    digest = fingerprint(post.dispatch, "email", post.attempts(message_id)[0]["address"])
    assert post.blocks() == [(digest, "promotion")]
    assert [row["message_id"] for row in post.trail("complaint")] == [message_id]


def test_an_older_attempts_report_lands_on_its_own_attempt_alone(post: Post) -> None:
    message_id = post.sent()
    second = post.another_attempt(message_id, address="anna.berg@example.org", hours=5)
    given(post, "postfix", message_id, number=1)
    assert post.message(message_id)["state"] == "sent"
    assert [row["report"] for row in post.attempts(message_id)] == ["failed", None]
    assert post.blocks() == []
    given(post, "postfix", message_id, number=2)
    assert post.message(message_id)["state"] == "undelivered"
    assert post.bounces()[1]["attempt_id"] == second


def test_without_an_envelope_id_the_returned_mails_date_tells_the_attempt(post: Post) -> None:
    message_id = post.sent()
    post.began(message_id, WRITTEN - timedelta(seconds=1))
    address = post.attempts(message_id)[0]["address"]
    post.another_attempt(message_id, address=address, hours=3)
    given(post, "only headers returned, no envelope id", message_id)
    assert [row["report"] for row in post.attempts(message_id)] == ["failed", None]
    assert post.message(message_id)["state"] == "sent"


def test_a_message_that_waits_again_is_left_alone(post: Post) -> None:
    message_id = post.sent()
    given(post, "postfix", message_id)
    resend(post.dispatch, LANG, Chosen(ids=(message_id,)))
    assert post.message(message_id)["state"] == "queued"
    given(post, "only headers returned, no envelope id", message_id)
    assert post.message(message_id)["state"] == "queued"


def test_a_mail_that_comes_while_the_message_is_being_handed_over_waits(post: Post) -> None:
    message_id = post.sent("sending", attempt="open")
    given(post, "postfix", message_id)
    assert post.bounces()[0]["state"] == "early"
    assert post.message(message_id)["state"] == "sending"
    assert look_again(post.dispatch) == 0
    with post.dispatch.database.begin() as connection:
        connection.execute(update(Attempt).values(state="accepted", closed_at=db_now()))
        connection.exec_driver_sql(
            "UPDATE dispatch_message SET state = 'sent', run_id = NULL, final_at = created_at"
        )
    assert look_again(post.dispatch) == 1
    assert post.bounces()[0]["state"] == "tied"
    assert post.message(message_id)["state"] == "undelivered"
    assert look_again(post.dispatch) == 0


def test_a_running_mailing_is_paused_when_too_many_come_back(post: Post) -> None:
    mailing_id = post.bag.mailing()
    ids = [post.sent(mailing_id=mailing_id) for _ in range(20)]
    for message_id in ids[:7]:
        given(post, "postfix", message_id)
    with post.dispatch.database.begin() as connection:
        found = connection.exec_driver_sql("SELECT state, pause_text FROM dispatch_mailing").one()
    assert tuple(found) == ("paused", "smtp:5.1.1")
    assert [row["mailing_id"] for row in post.trail("pause")] == [mailing_id]


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        (
            standard("smtp; 550 5.1.1 gone", status="5.1.1", envelope_id=False, returned=NOWHERE),
            "unknown",
        ),
        (SHAPES["advertising"].raw, "unreadable"),
        (b"\x00\xff" * 100, "unreadable"),
        (b"", "unreadable"),
        (b"From: x@y.example\n\n" + b"\xf0\x9f\x98\x80" * MOST_BYTES, "unreadable"),
    ],
    ids=["somebody else's", "advertising", "bytes", "nothing", "large"],
)
def test_what_belongs_to_nothing_is_kept(post: Post, raw: bytes, state: str) -> None:
    result = take(post.dispatch, raw, source="uploaded", by="B. Lang")
    (kept,) = post.bounces()
    assert (kept["state"], kept["message_id"], kept["created_by"]) == (state, None, "B. Lang")
    assert result.message_id is None
    assert len(kept["raw"]) <= MOST_BYTES


def test_a_person_ties_a_mail_to_its_message(post: Post) -> None:
    message_id = post.sent()
    raw = standard("smtp; 550 5.1.1 gone", status="5.1.1", envelope_id=False, returned=NOWHERE)
    bounce_id = take(post.dispatch, raw, source="pasted", by="B. Lang").bounce_id
    assert bounce_id is not None
    tie_by_hand(post.dispatch, LANG, bounce_id, message_id)
    assert post.message(message_id)["state"] == "undelivered"
    (kept,) = post.bounces()
    assert (kept["state"], kept["tied_by"]) == ("tied", "B. Lang")
    assert [row["message_id"] for row in post.trail("tie_bounce")] == [message_id]
    with pytest.raises(CannotTie) as again:
        tie_by_hand(post.dispatch, LANG, bounce_id, message_id)
    assert again.value.why is Why.TIED


def test_a_mail_is_tied_to_nothing_that_is_not_there(post: Post) -> None:
    waiting = post.bag.message(post.bag.mailing(), "queued")
    bounce_id = take(post.dispatch, SHAPES["advertising"].raw, source="pasted", by="").bounce_id
    assert bounce_id is not None
    wrong: list[tuple[int, Any]] = [(999_999, Why.NO_MESSAGE), (waiting, Why.NEVER_SENT)]
    for message_id, why in wrong:
        with pytest.raises(CannotTie) as error:
            tie_by_hand(post.dispatch, LANG, bounce_id, message_id)
        assert error.value.why is why
    with pytest.raises(LookupError):
        tie_by_hand(post.dispatch, LANG, 999_999, waiting)
    assert post.bounces()[0]["state"] == "unreadable"
