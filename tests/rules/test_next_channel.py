"""When a message goes on by its next channel, and what it knows of those it left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_dispatch_plugin.channels.types import Answer, Refused
from clinic_dispatch_plugin.engine.rules import Facts, Outcome, decide, spared, went_on
from clinic_dispatch_plugin.error_reference.policy import usual
from clinic_dispatch_plugin.error_reference.rules import Explanation, KnownEntry, Reference
from clinic_dispatch_plugin.host.types import Consent, consent_said, names_yes
from clinic_dispatch_plugin.messages.routes import Onward, Passed, Route, after, legs_of, order_of
from clinic_dispatch_plugin.messages.rules import MessageState

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SMS = Onward(channel="sms", account_id=2, address="+491711234567")


def explained(**content: object) -> Explanation:
    entry = KnownEntry(
        id=1, origin="clinic", system="chat", code="1", content={"short.en": "No", **content}
    )
    return Reference([entry]).explain(Answer(system="chat", code="1"))


def outcome(*, tries: int = 0, not_after: datetime | None = None, **content: object) -> Outcome:
    facts = Facts(
        message_id=1, attempt_id=1, number=1, tries=tries, attempts=1, not_after=not_after
    )
    result = Refused(attempt_id=1, answer=Answer(system="chat", code="1"))
    return decide(result, facts, now=NOW, scale=1.0, explanation=explained(**content))


@pytest.mark.parametrize(
    ("category", "permanence", "goes_on"),
    [
        ("unknown_recipient", "permanent", True),
        ("recipient_disabled", "permanent", True),
        ("unreachable", "permanent", True),
        ("unreachable", "temporary", True),
        ("no_answer", "temporary", True),
        ("unsupported_destination", "permanent", True),
        # The recipient wants nothing, or the words or the sender are at fault: another way is no better.
        ("recipient_refuses", "permanent", False),
        ("spam_content", "permanent", False),
        ("sender_reputation", "permanent", False),
        ("balance", "permanent", False),
        ("network_fault", "temporary", False),
        ("unknown", "permanent", False),
    ],
)
def test_which_kinds_of_trouble_go_on_unless_somebody_says_otherwise(
    category: str, permanence: str, goes_on: bool
) -> None:
    assert usual(category, permanence).next_channel is goes_on


def test_it_goes_on_only_once_it_is_given_up() -> None:
    busy: dict[str, Any] = {"category": "busy", "permanence": "temporary"}
    assert not outcome(**busy).falls
    assert outcome(**busy).message is MessageState.QUEUED
    assert outcome(tries=2, **busy).falls
    assert not outcome(category="unknown", permanence="permanent").falls
    own: dict[str, Any] = {
        "category": "unknown",
        "permanence": "permanent",
        "policy.next_channel": True,
    }
    assert outcome(**own).falls


def test_what_comes_too_late_goes_nowhere() -> None:
    late = outcome(
        not_after=NOW + timedelta(seconds=1), category="no_answer", permanence="temporary"
    )
    assert late.message is MessageState.UNDELIVERED
    assert not late.falls


def test_going_on_gives_all_tries_back_and_does_not_count_against_the_mailing() -> None:
    refused = outcome(category="unknown_recipient", permanence="permanent")
    assert (refused.pause_share, refused.block) == (0.30, True)
    gone = went_on(refused, SMS, NOW)
    assert (gone.message, gone.tries, gone.due_at) == (MessageState.QUEUED, 0, NOW)
    assert (gone.category, gone.pause_share, gone.block) == ("", 0.0, True)
    assert spared(gone, NOW).onward is None


def test_a_route_remembers_what_was_left_behind() -> None:
    route = Route(addresses={"sms": "1"}).passing("chat", 7).passing("email", 8)
    assert Route.read(route.stored()) == route
    assert route.back_on("email").passed == (Passed(channel="chat", answer_id=7),)
    assert route.back_on("chat").passed == ()
    assert route.anew({"sms": "2"}) == Route(addresses={"sms": "2"})
    assert Route.read(None) == Route()


def test_channels_follow_in_order() -> None:
    rest = [{"channel": "sms", "revision": 4}, {"channel": "voice", "revision": 5}]
    order = order_of("chat", rest)
    assert (after(order, "chat"), after(order, "voice"), after(order, "pigeon")) == (
        ("sms", "voice"),
        (),
        (),
    )
    legs = legs_of({"channel": "chat", "revision_id": 3, "fallbacks": rest})
    assert [(leg.channel, leg.revision_id) for leg in legs] == [
        ("chat", 3),
        ("sms", 4),
        ("voice", 5),
    ]


def test_consent_to_one_channel_holds_before_consent_to_all() -> None:
    said = {"promotion": "yes", "promotion.sms": Consent.NO, "greeting.sms": "yes"}
    assert consent_said(said, "promotion", "email") == Consent.YES
    assert consent_said(said, "promotion", "sms") == Consent.NO
    assert consent_said(said, "greeting", "email") is None
    assert names_yes(said, "greeting", "sms")
    assert not names_yes(said, "promotion", "email")
