"""Every known code of a mail server explains itself in three languages, from the two shipped packs."""

from __future__ import annotations

import re

import pytest

from clinic_dispatch_plugin.api import ReferenceEntry
from tests.rules.packs import shipped

SIZES = {"smtp_enhanced": 167, "smtp_reply": 64}
LANGUAGES = ("de", "en", "ru")
#: What a text says when the program repeats without being asked.
REPEATS = {
    "de": "Das Programm versucht es von selbst wieder",
    "en": "he program tries again by itself",
    "ru": "рограмма сама повторит отправку",
}
#: Temporary by their number, yet only a sign-in by hand goes on from here.
WAITS_FOR_A_PERSON = {"4.7.12", "432"}
CODE = {
    "smtp_enhanced": re.compile(r"[245]\.(?:\d{1,3}\.(?:\d{1,3}|x)|x\.x)"),
    "smtp_reply": re.compile(r"[45](?:\d\d|xx)"),
}
ENTRIES = [(name, entry) for name in SIZES for entry in shipped()[name].entries]


def _named(code: str) -> ReferenceEntry:
    [found] = [entry for _, entry in ENTRIES if entry.code == code]
    return found


@pytest.mark.parametrize("name", SIZES)
def test_a_pack_names_its_system_and_version(name: str) -> None:
    assert shipped()[name].system == "smtp"
    assert shipped()[name].version >= 1


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_every_known_code_is_there(name: str, size: int) -> None:
    assert len(shipped()[name].entries) == size


def test_no_code_is_explained_twice() -> None:
    codes = [entry.code for _, entry in ENTRIES]
    assert sorted(codes) == sorted(set(codes))


def test_every_code_has_the_form_of_its_kind() -> None:
    wrong = [entry.code for name, entry in ENTRIES if not CODE[name].fullmatch(entry.code)]
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_only_temporary_answers_promise_a_repeat(language: str) -> None:
    for _, entry in ENTRIES:
        temporary = entry.permanence == "temporary" and entry.code not in WAITS_FOR_A_PERSON
        promised = REPEATS[language] in entry.texts[language].what_helps
        assert promised is temporary, entry.code


@pytest.mark.parametrize(
    ("code", "permanence", "category", "group", "who"),
    [
        ("5.1.1", "permanent", "unknown_recipient", "sending", "reception"),
        ("4.2.2", "temporary", "recipient_full", "sending", "recipient"),
        ("5.1.2", "permanent", "bad_address", "sending", "reception"),
        ("4.4.7", "temporary", "expired", "delivery", "reception"),
        ("2.1.5", "unknown", "unknown", "delivery", "nobody"),
        ("4.7.1", "temporary", "recipient_refuses", "sending", "nobody"),
        ("5.7.8", "permanent", "authentication", "service", "administration"),
        ("5.7.23", "permanent", "sender_identity", "sending", "administration"),
        ("535", "permanent", "authentication", "service", "administration"),
        ("421", "temporary", "gateway_fault", "service", "administration"),
        ("450", "temporary", "unreachable", "sending", "nobody"),
        ("550", "permanent", "unknown", "sending", "reception"),
        ("577", "permanent", "sender_reputation", "sending", "administration"),
    ],
)
def test_a_well_known_code_means_what_it_should(
    code: str, permanence: str, category: str, group: str, who: str
) -> None:
    entry = _named(code)
    assert (entry.permanence, entry.category) == (permanence, category)
    assert (entry.group, entry.who) == (group, who)


def test_a_missing_mailbox_reads_as_a_receptionist_would_say_it() -> None:
    shorts = [_named("5.1.1").texts[language].short for language in LANGUAGES]
    assert shorts == ["Postfach gibt es nicht", "No such mailbox", "Такого ящика нет"]
