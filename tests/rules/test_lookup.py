"""How an answer finds its entry: the order of the steps, and what is kept of an answer."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_dispatch_email import clinic_dispatch_reference_packs
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.normalising import SAMPLE_LIMIT, anonymous
from clinic_dispatch_plugin.error_reference.rules import (
    ANY_CODE,
    KnownEntry,
    Matched,
    Reference,
    conflicts,
    flat,
    merge,
)
from clinic_dispatch_plugin.error_reference.shipped import CorePacks

ANSWERS = Path(__file__).with_name("smtp_answers.csv")


def shipped() -> Iterator[KnownEntry]:
    """Every entry the distribution brings."""
    number = 0
    for pack in [
        *clinic_dispatch_reference_packs(),
        *CorePacks().clinic_dispatch_reference_packs(),
    ]:
        for position, entry in enumerate(pack.entries):
            number += 1
            yield KnownEntry(
                id=number,
                origin="shipped",
                system=pack.system,
                code=entry.code,
                pattern=entry.pattern,
                unless=entry.unless,
                position=position,
                content=flat(entry),
            )


SHIPPED = list(shipped())
REFERENCE = Reference(SHIPPED)


def own(
    code: str, pattern: str = "", *, system: str = "smtp", category: str = "unknown"
) -> KnownEntry:
    """An entry of the clinic's."""
    content = {"short.de": "Unser Text", "category": category}
    return KnownEntry(
        id=10_000 + hash((code, pattern)) % 1000,
        origin="clinic",
        system=system,
        code=code,
        pattern=pattern,
        content=content,
    )


def look_up(
    code: str, text: str = "", *more: KnownEntry, system: str = "smtp"
) -> tuple[str, str, str]:
    found = Reference([*SHIPPED, *more]).explain(Answer(system=system, code=code, text=text))
    entry = found.entry
    return (entry.code if entry else "", entry.origin if entry else "", found.matched.value)


def test_an_exact_code_is_found() -> None:
    assert look_up("5.1.1") == ("5.1.1", "shipped", "exact")


def test_words_go_before_the_code() -> None:
    code, _, matched = look_up("5.7.1", "550 5.7.1 Message rejected as spam by content filter")
    assert matched == "pattern"
    assert code.startswith("~spam_content")


def test_the_clinics_code_goes_before_shipped_words() -> None:
    text = "550 5.7.1 Message rejected as spam by content filter"
    assert look_up("5.7.1", text, own("5.7.1")) == ("5.7.1", "clinic", "exact")


def test_the_clinics_words_go_before_its_code() -> None:
    code, origin, matched = look_up(
        "5.7.1", "550 5.7.1 Blue moon", own("5.7.1"), own(ANY_CODE, "blue moon")
    )
    assert (code, origin, matched) == (ANY_CODE, "clinic", "pattern")


def test_the_clinics_pattern_holds_only_for_its_code() -> None:
    assert look_up("5.9.87", "554 5.9.87 Blue moon", own("5.7.1", "blue moon"))[2] == "reply"


def test_an_unknown_code_falls_to_its_family_when_that_says_something() -> None:
    code, _, matched = look_up("5.4.99", "550 5.4.99 whatever")
    assert (code, matched) == ("5.4.x", "family")


def test_a_family_that_says_nothing_is_passed_over_for_the_reply_code() -> None:
    assert look_up("5.9.87", "554 5.9.87 Frobnication 7Q") == ("554", "shipped", "reply")


def test_a_bare_reply_code_is_no_description() -> None:
    assert look_up("550", "550 Frobnication 7Q") == ("550", "shipped", "reply")


def test_a_reply_number_nobody_knows_falls_to_its_hundred() -> None:
    assert look_up("599", "599 whatever") == ("5xx", "shipped", "reply")


def test_the_enhanced_code_inside_the_words_counts() -> None:
    assert look_up("550", "550 5.1.1 Nobody here")[:1] == ("5.1.1",)


def test_the_systems_default_comes_last() -> None:
    default = own(ANY_CODE, system="pigeon")
    assert look_up("7", "lost", default, system="pigeon") == (ANY_CODE, "clinic", "default")


def test_where_nothing_is_known_the_general_entry_speaks() -> None:
    assert look_up("7", "lost", system="pigeon") == ("unknown_answer", "shipped", "none")


def test_only_pattern_and_exact_count_as_described() -> None:
    described = {matched for matched in Matched if matched.described}
    assert described == {Matched.PATTERN, Matched.EXACT}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("550 5.1.1 <eva.roth@example.org>: User unknown", "550 5.1.1 <@>: User unknown"),
        ("blocked 192.0.2.17 today", "blocked 0.0.0.0 today"),
        ("see https://help.example/why?user=eva", "see <link>"),
        ("see https://support.google.com/mail/?p=Full", "see https://support.google.com/mail/?p=…"),
        ("host mx7.praxis-roth.de said no", "host <host> said no"),
        ("atlas315.free.mail.ne1.yahoo.com", "*.free.mail.*.yahoo.com"),
        ("RESOLVER.ADR.RecipientNotFound", "RESOLVER.ADR.RecipientNotFound"),
        ("RFC 5322 allows 998 characters", "RFC 5322 allows 998 characters"),
        ("try again in 300 seconds", "try again in <number> seconds"),
        ("size 10485760 exceeded", "size <number> exceeded"),
        ("refused [vH7Ns8biNgp6EfZ0Qa]", "refused [<id>]"),
        ("born 24.12.1968", "born <time>"),
        ("call 0170 123 4567 now", "call <number> now"),
        ("call +49 30 1234567 now", "call <number> now"),
        ("queued as 4B2F1C0A9D", "queued as <id>"),
        ("two\r\n  lines", "two lines"),
    ],
)
def test_what_names_a_person_or_one_message_is_not_kept(said: str, kept: str) -> None:
    assert anonymous(said) == kept


def test_the_recipients_name_is_not_kept_and_everyday_words_are() -> None:
    said = "550 5.1.1 Mailbox of Hans Busch (hbusch) unknown"
    hidden = anonymous(said, hide=("Hans", "Busch", "hbusch"))
    assert hidden == "550 5.1.1 Mailbox of <name> <name> (<name>) unknown"
    assert anonymous("550 user unknown", hide=("User", "unknown")) == "550 user unknown"


def test_an_answer_is_explained_alike_before_and_after_personal_data_is_taken_out() -> None:
    reference = Reference(SHIPPED)
    different = []
    with ANSWERS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            text = " ".join(row["answer"].split())
            first = reference.explain(Answer(system="smtp", code=text[:3], text=text))
            again = reference.explain(Answer(system="smtp", code=text[:3], text=anonymous(text)))
            if first.entry != again.entry:
                different.append(text)
    assert different == []


PIECES = st.sampled_from(
    """<eva@x.de> mx1.a.de: [1.2.3.4] 12345 http://a.b/c?d=efg id=4711ab queued as
    4B2F1C0A9D . - 5.1.1 +49 30 123 99 x""".split()  # noqa: SIM905
)


@given(st.lists(PIECES, max_size=12), st.sampled_from(["", " ", "-", "."]))
def test_taking_personal_data_out_twice_changes_nothing(pieces: list[str], glue: str) -> None:
    once = anonymous(glue.join(pieces))
    assert anonymous(once) == once


@given(st.text(max_size=3000), st.text(max_size=80))
def test_no_words_and_no_code_break_the_look_up(text: str, code: str) -> None:
    found = REFERENCE.explain(Answer(system="smtp", code=code, text=text))
    assert found.entry is not None or found.matched is Matched.NONE
    assert len(anonymous(text)) <= SAMPLE_LIMIT


def test_the_clinics_words_stay_when_the_pack_changes_others() -> None:
    before = {"short.de": "Alt", "what_helps.de": "Alt"}
    now = {"short.de": "Neu", "what_helps.de": "Neu"}
    ours = {"short.de": "Unser"}
    assert merge(now, ours) == {"short.de": "Unser", "what_helps.de": "Neu"}
    assert conflicts(now, ours, {"short.de": before["short.de"]}) == {"short.de": ("Unser", "Neu")}


def test_a_pack_that_did_not_touch_the_clinics_field_is_no_conflict() -> None:
    same = {"short.de": "Alt"}
    assert conflicts(same, {"short.de": "Unser"}, same) == {}


def test_every_gathered_answer_finds_its_category() -> None:
    wrong = []
    with ANSWERS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            code = row["answer"].strip()[:3]
            found = REFERENCE.explain(Answer(system="smtp", code=code, text=row["answer"]))
            if found.entry is None or found.entry.category != row["category"]:
                wrong.append((row["answer"], found.entry.category if found.entry else ""))
    assert wrong == [("421 mx.example.com closing transmission channel", "gateway_fault")]


def test_lines_of_one_reply_are_read_as_one() -> None:
    code, _, matched = look_up("550", "550-mx.example.com: Relay access\n550 denied")
    assert (code[:15], matched) == ("~configuration-", "pattern")
