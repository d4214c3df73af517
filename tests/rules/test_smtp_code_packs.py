"""Every known code of a mail server explains itself in three languages, from the two shipped packs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

PACKS = Path(__file__).parents[2] / "plugins" / "clinic_dispatch_email" / "packs"
SIZES = {"smtp_enhanced": 167, "smtp_reply": 64}
LANGUAGES = ("de", "en", "ru")
TEXTS = ("short", "what_happened", "what_helps")
SHORT_LIMIT = 60
WHO = {"recipient", "reception", "administration", "provider", "nobody"}
PERMANENCES = {"temporary", "permanent", "unknown"}
GROUPS = {"service", "sending", "delivery"}
CATEGORIES = {
    "authentication",
    "bad_address",
    "configuration",
    "expired",
    "gateway_fault",
    "message_content",
    "message_too_big",
    "network_fault",
    "quota_or_rate",
    "recipient_disabled",
    "recipient_full",
    "recipient_moved",
    "recipient_refuses",
    "sender_identity",
    "sender_reputation",
    "spam_content",
    "unknown",
    "unknown_recipient",
    "unreachable",
    "unsupported_destination",
}
ENTRY_KEYS = {"code", "symbol", "permanence", "category", "group", "meaning", "source"}
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
CYRILLIC = re.compile("[А-Яа-яЁё]")

Pack = dict[str, Any]
Entry = dict[str, Any]


def _read(name: str) -> Pack:
    return tomllib.loads((PACKS / f"{name}.toml").read_text(encoding="utf-8"))


LOADED = {name: _read(name) for name in SIZES}
ENTRIES = [(name, entry) for name, pack in LOADED.items() for entry in pack["entry"]]


def _texts(name: str, entry: Entry, language: str) -> dict[str, str]:
    shared = LOADED[name]["meaning"][entry["meaning"]][language]
    return {**shared, **entry.get(language, {})}


def _who(name: str, entry: Entry) -> str:
    return str(entry.get("who", LOADED[name]["meaning"][entry["meaning"]]["who"]))


def _named(code: str) -> tuple[str, Entry]:
    [found] = [(name, entry) for name, entry in ENTRIES if entry["code"] == code]
    return found


@pytest.mark.parametrize("name", SIZES)
def test_a_pack_names_its_system_and_version(name: str) -> None:
    assert LOADED[name]["system"] == "smtp"
    assert LOADED[name]["version"] >= 1


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_every_known_code_is_there(name: str, size: int) -> None:
    assert len(LOADED[name]["entry"]) == size


def test_no_code_is_explained_twice() -> None:
    codes = [entry["code"] for _, entry in ENTRIES]
    assert sorted(codes) == sorted(set(codes))


def test_every_code_has_the_form_of_its_kind() -> None:
    wrong = [entry["code"] for name, entry in ENTRIES if not CODE[name].fullmatch(entry["code"])]
    assert wrong == []


def test_facts_come_from_the_allowed_words() -> None:
    for name, entry in ENTRIES:
        code = entry["code"]
        assert entry["permanence"] in PERMANENCES, code
        assert entry["category"] in CATEGORIES, code
        assert entry["group"] in GROUPS, code
        assert _who(name, entry) in WHO, code


def test_an_entry_is_complete_and_has_no_misspelt_key() -> None:
    for _, entry in ENTRIES:
        keys = set(entry) - {"who", *LANGUAGES}
        assert keys == ENTRY_KEYS, entry["code"]
        assert all(str(entry[key]).strip() for key in keys), entry["code"]
        assert len(set(entry) & set(LANGUAGES)) in (0, len(LANGUAGES)), entry["code"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_entry_says_its_three_texts_cleanly(language: str) -> None:
    for name, entry in ENTRIES:
        texts = _texts(name, entry, language)
        assert set(texts) == set(TEXTS), entry["code"]
        for text in texts.values():
            assert text, entry["code"]
            assert text == " ".join(text.split()), entry["code"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_note_is_short_and_the_rest_are_sentences(language: str) -> None:
    for name, entry in ENTRIES:
        texts = _texts(name, entry, language)
        assert len(texts["short"]) <= SHORT_LIMIT, texts["short"]
        assert not texts["short"].endswith("."), texts["short"]
        assert entry["code"] not in texts["short"]
        assert texts["what_happened"].endswith("."), texts["what_happened"]
        assert texts["what_helps"].endswith("."), texts["what_helps"]


def test_no_text_is_the_same_in_two_languages() -> None:
    for name, entry in ENTRIES:
        for key in TEXTS:
            said = {_texts(name, entry, language)[key] for language in LANGUAGES}
            assert len(said) == len(LANGUAGES), (entry["code"], key)


def test_russian_texts_are_cyrillic_and_the_others_are_not() -> None:
    for name, entry in ENTRIES:
        for language in LANGUAGES:
            for text in _texts(name, entry, language).values():
                assert bool(CYRILLIC.search(text)) is (language == "ru"), (entry["code"], text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_only_temporary_answers_promise_a_repeat(language: str) -> None:
    for name, entry in ENTRIES:
        temporary = entry["permanence"] == "temporary" and entry["code"] not in WAITS_FOR_A_PERSON
        promised = REPEATS[language] in _texts(name, entry, language)["what_helps"]
        assert promised is temporary, entry["code"]


@pytest.mark.parametrize("name", SIZES)
def test_no_meaning_lies_unused(name: str) -> None:
    used = {entry["meaning"] for entry in LOADED[name]["entry"]}
    assert set(LOADED[name]["meaning"]) == used


def test_a_meaning_in_both_packs_says_the_same() -> None:
    enhanced, reply = (LOADED[name]["meaning"] for name in SIZES)
    both = set(enhanced) & set(reply)
    assert "unknown_recipient" in both
    assert {key: enhanced[key] for key in both} == {key: reply[key] for key in both}


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
    name, entry = _named(code)
    assert entry["permanence"] == permanence
    assert entry["category"] == category
    assert entry["group"] == group
    assert _who(name, entry) == who


def test_a_missing_mailbox_reads_as_a_receptionist_would_say_it() -> None:
    name, entry = _named("5.1.1")
    shorts = [_texts(name, entry, language)["short"] for language in LANGUAGES]
    assert shorts == ["Postfach gibt es nicht", "No such mailbox", "Такого ящика нет"]
