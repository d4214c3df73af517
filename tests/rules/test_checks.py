"""Who gets nothing and why, and what counts as a repetition; and what a text may hold."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from clinic_dispatch_plugin.channels.html import clean_html
from clinic_dispatch_plugin.channels.types import ContentFields, Purpose
from clinic_dispatch_plugin.host.types import Consent, consent_allows
from clinic_dispatch_plugin.mailings.checks import (
    Facts,
    Reason,
    Seen,
    person_key,
    reason_not_to,
    text_key,
)
from clinic_dispatch_plugin.mailings.content import MailingContent, checked_content
from clinic_dispatch_plugin.mailings.problems import MailingProblem

MAIL = ContentFields(subject=True, html=True)
NOBODY: frozenset[str] = frozenset()


def test_service_messages_ask_no_consent() -> None:
    assert all(consent_allows("service", said, unknown_goes=NOBODY) for said in Consent)


@pytest.mark.parametrize("purpose", [each for each in Purpose if each is not Purpose.SERVICE])
def test_a_no_holds_for_every_other_purpose_and_a_yes_opens_it(purpose: Purpose) -> None:
    everything = frozenset(Purpose)
    assert not consent_allows(purpose, Consent.NO, unknown_goes=everything)
    assert consent_allows(purpose, Consent.YES, unknown_goes=NOBODY)


def test_unknown_consent_goes_only_for_the_purposes_the_setting_names() -> None:
    goes = frozenset({"reminder"})
    assert consent_allows("reminder", Consent.UNKNOWN, unknown_goes=goes)
    assert not consent_allows("promotion", Consent.UNKNOWN, unknown_goes=goes)


def test_the_first_reason_that_holds_is_given() -> None:
    order: list[tuple[Reason, dict[str, Any]]] = [
        (Reason.UNKNOWN_REF, {"known": False}),
        (Reason.INACTIVE, {"active": False}),
        (Reason.NO_ADDRESS, {"address": None, "address_fault": Reason.NO_ADDRESS}),
        (Reason.NOT_AGREED, {"agreed": False}),
        (Reason.BLOCKED, {"blocked": True}),
        (Reason.DUPLICATE, {"repeated": True}),
    ]
    fine: dict[str, Any] = {"active": True, "agreed": True, "address": "a@example.org"}
    assert reason_not_to(Facts(**fine)) is None
    for first in range(len(order)):
        wrong = dict(itertools.chain.from_iterable(each.items() for _, each in order[first:]))
        assert reason_not_to(Facts(**{**fine, **wrong})) is order[first][0]


def test_every_reason_is_an_answer_of_our_own_system() -> None:
    assert {reason.answer.system for reason in Reason} == {"dispatch"}
    assert Reason.NO_ADDRESS.answer.code == "no_address"


def test_keys_tell_texts_and_people_apart_and_addresses_by_letters_alone() -> None:
    assert text_key("A@example.org", ["x"]) == text_key("a@EXAMPLE.org", ["x"])
    assert text_key("a@example.org", ["x", "y"]) != text_key("a@example.org", ["xy"])
    assert person_key("1", "a@example.org") != person_key("2", "a@example.org")
    assert person_key("1", "a") != text_key("1", ["a"])


def test_what_was_seen_is_known_again() -> None:
    seen = Seen()
    key = text_key("a@example.org", ["x"])
    assert key not in seen
    seen.add(key, person_key("1", "a@example.org"))
    assert key in seen
    assert person_key("2", "a@example.org") not in seen


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (MailingContent(subject="", text="T"), "subject"),
        (MailingContent(subject="x" * 501, text="T"), "subject"),
        (MailingContent(subject="a\nBcc: b@example.org", text="T"), "subject"),
        (MailingContent(subject="S", text=""), "text"),
        (MailingContent(subject="S", text="{{ nmae }}"), "text"),
        (MailingContent(subject="S", text="T", html="<p>{{ name</p>"), "html"),
    ],
)
def test_a_text_that_cannot_be_sent_names_its_field(content: MailingContent, field: str) -> None:
    with pytest.raises(MailingProblem) as caught:
        checked_content(content, fields=MAIL, known=["name"])
    assert field in {problem.field for problem in caught.value.problems}


def test_a_misspelt_placeholder_is_answered_with_its_line_and_the_right_name() -> None:
    with pytest.raises(MailingProblem, match=r"Line 2, column 4.*name"):
        checked_content(
            MailingContent(subject="S", text="one\nTo {{ nmae }}"), fields=MAIL, known=["name"]
        )


def test_a_channel_without_subject_and_html_keeps_neither() -> None:
    kept = checked_content(
        MailingContent(subject="S", text="T", html="<p>x</p>"), fields=ContentFields()
    )
    assert kept == MailingContent(text="T")


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href='{{ link }}'>x</a>",
        "<a href='http://example.org'>x</a>",
        "<a href='/relative'>x</a>",
        "<iframe src='https://example.org'></iframe>",
        "<form action='https://example.org'><input></form>",
        "<style>p{}</style><p style='position:fixed;background:url(https://x)'>x</p>",
        "<svg><script>alert(1)</script></svg>",
        "<meta http-equiv=refresh content=0>",
    ],
)
def test_html_keeps_nothing_that_acts(html: str) -> None:
    cleaned = clean_html(html)
    for wrong in ("script", "onerror", "href", "iframe", "form", "style>", "fixed", "url(", "meta"):
        assert wrong not in cleaned


def test_html_keeps_links_that_people_may_follow_and_placeholders_in_text() -> None:
    html = '<p>Hallo {{ name }}, <a href="https://example.org/{{ id }}">hier</a></p>'
    assert "{{ name }}" in clean_html(html)
    assert 'href="https://example.org/{{ id }}"' in clean_html(html)
    for link in ("mailto:a@example.org", "tel:+4930123"):
        assert link in clean_html(f'<a href="{link}">x</a>')


def test_a_promotion_goes_to_nobody_who_did_not_agree() -> None:
    assert not consent_allows("promotion", Consent.UNKNOWN, unknown_goes=frozenset(Purpose))
    assert not consent_allows("promotion", None, unknown_goes=frozenset(Purpose))


@pytest.mark.parametrize(("said", "goes"), [("yes", True), ("no", False), ("unknown", True)])
def test_consent_may_be_plain_text(said: str, goes: bool) -> None:
    assert consent_allows("reminder", said, unknown_goes=frozenset({"reminder"})) is goes
