"""The shipped texts are complete in three languages, and real wording of mail servers finds its entry."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import re2

from clinic_dispatch_plugin.api import ReferenceEntry
from clinic_dispatch_plugin.error_reference.normalising import anonymous
from clinic_dispatch_plugin.error_reference.rules import unfolded
from tests.rules.packs import shipped

ANSWERS = Path(__file__).with_name("smtp_answers.csv")

OWN_DECISIONS = {
    "no_address",
    "malformed_address",
    "blocked",
    "blocked_by_hand",
    "not_agreed",
    "duplicate",
    "empty_placeholder",
    "expired",
    "cancelled",
    "connection_lost",
    "authentication",
    "no_route",
    "harmful",
    "unknown_answer",
    "asking",
    "connect_failed",
    "channel_failed",
    "timeout",
    "tls_failed",
    "connections_in_use",
    "inactive",
    "unknown_ref",
    "free_mailbox",
    "superseded",
    "gave_up",
    "landline",
    "short_number",
    "text_too_long",
    "no_report",
    "quiet_hours",
    "mailings_stopped",
    "restored",
}


class Answer(NamedTuple):
    """One answer of a mail server: its words, what they mean, and whether the words or the code say so."""

    text: str
    category: str
    step: str


def _compiled(expression: str) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return re2.compile(expression, options)


ENTRIES = shipped()["smtp_patterns"].entries
MATCHERS = [
    (_compiled(entry.pattern), _compiled(entry.unless) if entry.unless else None, entry)
    for entry in ENTRIES
]


def _answers() -> list[Answer]:
    with ANSWERS.open(encoding="utf-8", newline="") as file:
        return [Answer(row["answer"], row["category"], row["step"]) for row in csv.DictReader(file)]


def _first_match(answer: str) -> ReferenceEntry | None:
    text = unfolded("smtp", anonymous(answer))
    for pattern, unless, entry in MATCHERS:
        if pattern.search(text) and not (unless and unless.search(text)):
            return entry
    return None


def test_the_pack_has_every_pattern_and_each_code_once() -> None:
    assert len(ENTRIES) == 131
    assert max(Counter(entry.code for entry in ENTRIES).values()) == 1


def test_a_code_is_the_category_and_a_number_that_stays() -> None:
    """What comes to stand between two others gets the next number: codes are what the clinic's words hang on."""
    numbers = defaultdict(set)
    for entry in ENTRIES:
        category, _, number = entry.code.removeprefix("~").rpartition("-")
        assert category == entry.category, entry.code
        numbers[category].add(int(number))
    assert [name for name, found in numbers.items() if found != {*range(1, len(found) + 1)}] == []


def test_no_pattern_can_match_the_empty_answer() -> None:
    assert [entry.code for pattern, _, entry in MATCHERS if pattern.search("")] == []


def test_our_own_decisions_are_all_described_and_nothing_else() -> None:
    entries = shipped()["dispatch"].entries
    assert Counter(entry.code for entry in entries) == Counter(OWN_DECISIONS)
    assert not any(entry.pattern for entry in entries)


@pytest.mark.parametrize("answer", _answers(), ids=lambda answer: answer.text[:60])
def test_an_answer_finds_the_entry_of_its_meaning(answer: Answer) -> None:
    found = _first_match(answer.text)
    if answer.step == "code":
        assert found is None
    else:
        assert answer.step == "pattern"
        assert found is not None
        assert found.category == answer.category, found.code


def test_every_pattern_is_the_first_match_of_some_answer() -> None:
    found = [_first_match(answer.text) for answer in _answers()]
    reached = {entry.code for entry in found if entry is not None}
    assert [entry.code for entry in ENTRIES if entry.code not in reached] == []


def test_the_words_inside_a_mail_address_do_not_decide() -> None:
    found = _first_match("550 5.1.1 <spam-quota@example.com>: User unknown")
    assert found is not None
    assert found.category == "unknown_recipient"
