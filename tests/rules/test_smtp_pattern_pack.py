"""The shipped texts are complete in three languages, and real wording of mail servers finds its entry."""

from __future__ import annotations

import csv
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import re2

ROOT = Path(__file__).parents[2]
SMTP_PACK = ROOT / "plugins/clinic_dispatch_email/packs/smtp_patterns.toml"
DISPATCH_PACK = ROOT / "clinic_dispatch_plugin/error_reference/packs/dispatch.toml"
ANSWERS = Path(__file__).with_name("smtp_answers.csv")

LANGUAGES = ("de", "en", "ru")
TEXTS = ("short", "what_happened", "what_helps")
SHORT_LIMIT = 60
OWN_DECISIONS = {
    "no_address",
    "malformed_address",
    "blocked",
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
    "connect_failed",
    "timeout",
    "tls_failed",
    "inactive",
    "unknown_ref",
    "superseded",
    "gave_up",
}
MAIL_ADDRESS = re.compile(r"[^\s<>()\[\]\",;:]+@[^\s<>()\[\]\",;:]+")
REPEATED_CODE = re.compile(r"^\d{3}[ -](?:\d\.\d{1,3}\.\d{1,3}\s)?")


class Answer(NamedTuple):
    """One answer of a mail server: its words, what they mean, and whether the words or the code say so."""

    text: str
    category: str
    step: str


def _pack(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _texts(pack: dict[str, Any], entry: dict[str, Any], language: str) -> dict[str, str]:
    own: dict[str, str] | None = entry.get(language)
    if own is not None:
        return own
    shared: dict[str, str] = pack["meaning"][entry["meaning"]][language]
    return shared


def _compiled(expression: str) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return re2.compile(expression, options)


PACKS = {path.stem: _pack(path) for path in (SMTP_PACK, DISPATCH_PACK)}
ENTRIES: list[dict[str, Any]] = PACKS["smtp_patterns"]["entry"]
MATCHERS = [
    (_compiled(entry["pattern"]), _compiled(entry["unless"]) if "unless" in entry else None, entry)
    for entry in ENTRIES
]


def _answers() -> list[Answer]:
    with ANSWERS.open(encoding="utf-8", newline="") as file:
        return [Answer(row["answer"], row["category"], row["step"]) for row in csv.DictReader(file)]


def _comparable(answer: str) -> str:
    """Join the lines (RFC 5321 section 4.2.1) and hide mail addresses, whose words would mislead."""
    first, *rest = answer.splitlines()
    joined = " ".join([first, *(REPEATED_CODE.sub("", line) for line in rest)])
    return MAIL_ADDRESS.sub("<@>", joined)


def _first_match(answer: str) -> dict[str, Any] | None:
    text = _comparable(answer)
    for pattern, unless, entry in MATCHERS:
        if pattern.search(text) and not (unless and unless.search(text)):
            return entry
    return None


def test_the_pack_has_every_pattern_and_each_code_once() -> None:
    assert len(ENTRIES) == 128
    assert max(Counter(entry["code"] for entry in ENTRIES).values()) == 1


def test_a_code_is_the_category_and_its_running_number() -> None:
    seen: Counter[str] = Counter()
    for entry in ENTRIES:
        seen[entry["category"]] += 1
        assert entry["code"] == f"~{entry['category']}-{seen[entry['category']]}"


def test_no_pattern_can_match_the_empty_answer() -> None:
    assert [entry["code"] for pattern, _, entry in MATCHERS if pattern.search("")] == []


def test_our_own_decisions_are_all_described_and_nothing_else() -> None:
    entries = PACKS["dispatch"]["entry"]
    assert Counter(entry["code"] for entry in entries) == Counter(OWN_DECISIONS)
    assert not any("pattern" in entry for entry in entries)


@pytest.mark.parametrize("name", PACKS)
def test_every_entry_has_its_texts_in_three_languages(name: str) -> None:
    pack = PACKS[name]
    gaps = [
        (entry["code"], language, text)
        for entry in pack["entry"]
        for language in LANGUAGES
        for text in TEXTS
        if not _texts(pack, entry, language).get(text, "").strip()
    ]
    assert gaps == []


@pytest.mark.parametrize("name", PACKS)
def test_every_note_is_short_and_ends_without_a_full_stop(name: str) -> None:
    pack = PACKS[name]
    notes = {
        _texts(pack, entry, language)["short"] for entry in pack["entry"] for language in LANGUAGES
    }
    assert {note for note in notes if len(note) > SHORT_LIMIT or note.endswith(".")} == set()


@pytest.mark.parametrize("name", PACKS)
def test_a_text_is_in_the_letters_of_its_language(name: str) -> None:
    pack = PACKS[name]
    wrong = [
        (entry["code"], language, text)
        for entry in pack["entry"]
        for language in LANGUAGES
        for text in TEXTS
        if bool(re.search("[а-яё]", _texts(pack, entry, language)[text])) != (language == "ru")
    ]
    assert wrong == []


@pytest.mark.parametrize("name", PACKS)
def test_entries_and_meanings_use_the_words_the_program_knows(name: str) -> None:
    pack = PACKS[name]
    assert {entry["permanence"] for entry in pack["entry"]} <= {"temporary", "permanent", "unknown"}
    assert {entry["group"] for entry in pack["entry"]} <= {"service", "sending", "delivery"}
    assert {meaning["who"] for meaning in pack["meaning"].values()} <= {
        "recipient",
        "reception",
        "administration",
        "provider",
        "nobody",
    }


@pytest.mark.parametrize("name", PACKS)
def test_every_meaning_is_used_and_every_entry_names_its_source(name: str) -> None:
    pack = PACKS[name]
    assert set(pack["meaning"]) == {entry["meaning"] for entry in pack["entry"]}
    assert [entry["code"] for entry in pack["entry"] if not entry["source"].strip()] == []


@pytest.mark.parametrize("answer", _answers(), ids=lambda answer: answer.text[:60])
def test_an_answer_finds_the_entry_of_its_meaning(answer: Answer) -> None:
    found = _first_match(answer.text)
    if answer.step == "code":
        assert found is None
    else:
        assert answer.step == "pattern"
        assert found is not None
        assert found["category"] == answer.category, found["code"]


def test_every_pattern_is_the_first_match_of_some_answer() -> None:
    found = [_first_match(answer.text) for answer in _answers()]
    reached = {entry["code"] for entry in found if entry is not None}
    assert [entry["code"] for entry in ENTRIES if entry["code"] not in reached] == []


def test_the_words_inside_a_mail_address_do_not_decide() -> None:
    found = _first_match("550 5.1.1 <spam-quota@example.com>: User unknown")
    assert found is not None
    assert found["category"] == "unknown_recipient"
