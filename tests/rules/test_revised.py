"""What a changed policy makes of a message that waits, and that nobody's address pays for the sender's name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clinic_dispatch_plugin.api import Answer
from clinic_dispatch_plugin.engine.rules import Revised, Waiting, policy_for, revise
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem, checked_content
from clinic_dispatch_plugin.error_reference.policy import Policy, PolicyAction, policy_of
from clinic_dispatch_plugin.error_reference.rules import Explanation, KnownEntry, Matched
from clinic_dispatch_plugin.messages.rules import MessageState
from tests.rules.packs import entries

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
RETRY = Policy(action=PolicyAction.RETRY, base=3_600, cap=3_600, tries=5)
FAIL = Policy(action=PolicyAction.FAIL, block=True, block_days=30)
#: Refused half an hour ago for the second time, due in half an hour.
WAITS = Waiting(
    tries=2, due_at=NOW + HOUR / 2, refused_at=NOW - HOUR / 2, created_at=NOW - 3 * HOUR
)


def revised(after: Policy, found: Waiting = WAITS, *, before: Policy = RETRY) -> Revised:
    return revise(before, after, found, now=NOW, scale=1.0)


def test_what_is_not_to_be_tried_again_is_given_up_and_its_address_blocked() -> None:
    done = revised(FAIL)
    assert (done.message, done.block, done.block_days) == (MessageState.UNDELIVERED, True, 30)


@pytest.mark.parametrize(("tries", "waits"), [(1, False), (2, False), (3, True)])
def test_fewer_tries_end_what_has_used_them_up(tries: int, waits: bool) -> None:
    done = revised(replace(RETRY, tries=tries, block=True))
    assert (done.message is MessageState.QUEUED) is waits
    assert done.block is not waits, "a block comes with the last try, not before"


def test_other_times_count_from_the_refusal_and_are_never_past() -> None:
    longer = revised(replace(RETRY, floor=7_200.0, base=600.0))
    assert (longer.earliest, longer.latest) == (NOW + 1.5 * HOUR, NOW + 1.5 * HOUR + HOUR / 3)
    shorter = revised(replace(RETRY, base=60.0))
    assert (shorter.earliest, shorter.latest) == (NOW, NOW)


def test_the_same_times_leave_a_message_where_it_is() -> None:
    done = revised(replace(RETRY, tries=9, block=True))
    assert (done.earliest, done.latest) == (WAITS.due_at, WAITS.due_at)


def test_what_is_due_already_is_not_put_off() -> None:
    due = replace(WAITS, due_at=NOW - HOUR)
    assert revised(replace(RETRY, floor=86_400.0), due).earliest == NOW - HOUR


def test_a_deadline_ends_what_would_come_after_it_but_no_first_try() -> None:
    two_hours = replace(RETRY, deadline=7_200.0)
    assert revised(two_hours).message is MessageState.UNDELIVERED
    assert revised(two_hours, replace(WAITS, tries=1)).message is MessageState.QUEUED
    assert revised(replace(RETRY, deadline=86_400.0)).message is MessageState.QUEUED


def test_a_mailings_last_moment_ends_what_would_come_after_it_without_a_block() -> None:
    late = replace(WAITS, not_after=NOW + HOUR)
    done = revised(replace(RETRY, floor=7_200.0, block=True), late)
    assert (done.message, done.expired, done.block) == (MessageState.UNDELIVERED, True, False)
    spread = revised(replace(RETRY, base=7_200.0, cap=7_200.0), replace(late, tries=1))
    assert spread.latest == spread.earliest == NOW, "the draw never reaches past the last moment"


def test_a_stop_makes_it_wait_for_its_account_and_costs_no_try() -> None:
    done = revised(replace(RETRY, action=PolicyAction.STOP_ACCOUNT, tries=1))
    assert done.stops_account and done.message is MessageState.QUEUED
    assert done.earliest == NOW, "it goes out as soon as somebody has mended the account"


def test_a_doubtful_account_retries_like_any_other_error() -> None:
    suspect = replace(RETRY, action=PolicyAction.SUSPECT_ACCOUNT, tries=2)
    assert revised(suspect).message is MessageState.UNDELIVERED
    assert not revised(replace(suspect, tries=4)).stops_account


REPUTATION = {
    "category": "sender_reputation",
    "permanence": "permanent",
    "policy.block": True,
    "short.en": "a",
}


@pytest.mark.parametrize("complete", [True, False])
def test_a_block_for_the_senders_name_cannot_be_saved(complete: bool) -> None:
    with pytest.raises(ReferenceProblem) as problem:
        checked_content(REPUTATION, complete=complete)
    assert problem.value.field == "policy.block"
    assert checked_content({**REPUTATION, "policy.block": False}, complete=complete)
    assert checked_content({**REPUTATION, "category": "unknown_recipient"}, complete=complete)


@pytest.mark.parametrize("retryable", [None, True, False])
def test_a_block_for_the_senders_name_never_happens_whatever_the_entry_says(
    retryable: bool | None,
) -> None:
    entry = KnownEntry(id=1, origin="clinic", system="smtp", code="5.7.1", content=REPUTATION)
    answer = Answer(system="smtp", code="5.7.1", text="550 5.7.1 bad reputation")
    found = Explanation(entry=entry, matched=Matched.EXACT)
    assert not policy_for(found, answer, retryable).block
    assert policy_of({**REPUTATION, "category": "unknown_recipient"}).block, "the rest still holds"


def test_no_shipped_entry_blocks_an_address_for_the_senders_name() -> None:
    shipped = [each for _, each in entries() if each.category == "sender_reputation"]
    assert len(shipped) > 20
    assert [each.code for each in shipped if (each.policy or {}).get("block")] == []
