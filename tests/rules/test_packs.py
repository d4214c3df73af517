"""The quality of what the reference is shipped with: every code has a cause, every cause words in three languages."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from clinic_dispatch_plugin.api import Cause, Texts, load_causes, load_pack
from clinic_dispatch_plugin.channels.reference import GROUPS, LANGUAGES, WHO
from clinic_dispatch_plugin.error_reference.checking import checked_content
from clinic_dispatch_plugin.error_reference.policy import PolicyAction
from clinic_dispatch_plugin.error_reference.rules import compile_pattern, flat
from clinic_dispatch_plugin.error_reference.wording import CATEGORIES
from tests.rules.packs import causes, entries, shipped

SHORT_LIMIT = 60
PARTS = tuple(item.name for item in fields(Texts))
CYRILLIC = re.compile("[А-Яа-яЁё]")
#: Words a receptionist should not need to know; in a note they never stand.
JARGON = re.compile(
    r"\b(?:SMTP|HTTP|API|PDU|SMSC|SMPP|SIP|ISDN|DNS|MX|RBL|SPF|DKIM|DMARC|TLS|SSL|TON|NPI|IMSI|MSISDN|MCC|MNC|HLR|"
    r"DTMF|(?i:codec|payload|timeout|time-out|request|response|gateway|callback|token|bounce|relay|greylist\w*|throttl\w*|"
    r"header|parameter|bind|session|spoof\w*|subscriber))\b"
)
CODE = re.compile(r"\b[245]\.\d\.\d+\b|\b[45]\d\d\b|0x[0-9a-fA-F]+")


def _causes() -> Iterator[tuple[str, Cause]]:
    for place, several in causes().items():
        for cause in several.values():
            yield place, cause


def _said() -> Iterator[tuple[str, str, str, str]]:
    """Every text: where it stands, its language, which part it is, its words."""
    for place, cause in _causes():
        for language, texts in cause.texts.items():
            for part in PARTS:
                yield f"{place} {cause.key}", language, part, getattr(texts, part)


def test_the_bars_are_printed_and_met(capsys: pytest.CaptureFixture[str]) -> None:
    everything = list(entries())
    specific = [entry for _, entry in everything if entry.cause]
    complete = [
        entry
        for _, entry in everything
        if all(
            texts.short and texts.what_happened and texts.what_helps
            for texts in (entry.texts[language] for language in LANGUAGES)
        )
    ]
    used = {(pack.system, entry.cause) for pack, entry in everything}
    with capsys.disabled():
        print(
            f"\n{len(everything)} entries of {len({pack.system for pack, _ in everything})} systems, "
            f"{sum(len(several) for several in causes().values())} causes ({len(used)} in use); "
            f"with a cause {len(specific) / len(everything):.1%}, "
            f"complete in three languages {len(complete) / len(everything):.1%}"
        )
    assert len(specific) == len(complete) == len(everything)


def test_a_note_is_short_and_says_no_code_and_no_jargon() -> None:
    wrong = [
        (place, language, words)
        for place, language, part, words in _said()
        if part == "short"
        and (
            not words
            or len(words) > SHORT_LIMIT
            or words.endswith(".")
            or CODE.search(words)
            or JARGON.search(words)
        )
    ]
    assert wrong == []


def test_no_two_causes_share_a_note() -> None:
    notes = defaultdict(list)
    for place, language, part, words in _said():
        if part == "short":
            notes[language, words.casefold()].append(place)
    assert {note: places for note, places in notes.items() if len(places) > 1} == {}


def test_the_longer_texts_are_sentences_without_codes() -> None:
    wrong = [
        (place, language, part, words)
        for place, language, part, words in _said()
        if part != "short" and words and (words[-1] not in ".?!“”»" or CODE.search(words))
    ]
    assert wrong == []


def test_what_to_tell_the_patient_is_there_in_every_language_or_in_none() -> None:
    wrong = [
        cause.key
        for _, cause in _causes()
        if len({bool(texts.tell_patient) for texts in cause.texts.values()}) > 1
    ]
    assert wrong == []


def test_texts_are_in_the_letters_of_their_language() -> None:
    wrong = [
        (place, language, words)
        for place, language, _, words in _said()
        if words and bool(CYRILLIC.search(words)) != (language == "ru")
    ]
    assert wrong == []


def test_no_text_is_the_same_in_two_languages() -> None:
    wrong = []
    for place, cause in _causes():
        for part in PARTS:
            said = [getattr(cause.texts[language], part) for language in LANGUAGES]
            if any(said) and len(set(said)) < len(said):
                wrong.append((place, cause.key, part))
    assert wrong == []


def test_every_cause_is_used() -> None:
    used = {entry.cause for _, entry in entries()}
    assert [f"{place} {cause.key}" for place, cause in _causes() if cause.key not in used] == []


def test_entries_use_the_words_the_program_knows() -> None:
    for pack, entry in entries():
        place = (pack.key, entry.code)
        assert entry.category in CATEGORIES, place
        assert entry.group in GROUPS, place
        assert entry.who in WHO, place
        assert entry.source.strip(), place
        compile_pattern(entry.pattern)
        compile_pattern(entry.unless)
        checked_content(flat(entry), complete=True)


def test_a_pack_has_each_key_once() -> None:
    for pack in shipped().values():
        keys = [(entry.code, entry.pattern, entry.unless) for entry in pack.entries]
        assert len(keys) == len(set(keys)), pack.key


def test_an_entry_that_is_no_error_leaves_nothing_to_do() -> None:
    """Whoever is told "delivered, not an error" is not asked to mend anything."""
    wrong = [
        entry.code
        for _, entry in entries()
        if entry.texts["en"].short.endswith("not an error") and entry.who != "nobody"
    ]
    assert wrong == []


CAUSE = """
[cause.lost]
category = "network_fault"
permanence = "temporary"
group = "delivery"
who = "nobody"
{texts}
"""
TEXTS = "".join(
    f'[cause.lost.{language}]\nshort = "{language}"\nwhat_happened = "A."\nwhat_helps = "B."\n'
    for language in LANGUAGES
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CAUSE.format(texts=""), "cause lost, language de"),
        (CAUSE.format(texts=TEXTS).replace("nobody", "somebody"), "who is one of"),
        (CAUSE.format(texts=TEXTS).replace("category", "kategory"), "nobody reads kategory"),
        (CAUSE.format(texts=TEXTS).replace('permanence = "temporary"', ""), "it lacks permanence"),
    ],
)
def test_a_faulty_cause_is_named_with_what_is_wrong(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "causes.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        load_causes(file)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('code = "1"\ncause = "nowhere"', "there is no cause nowhere"),
        ('cause = "lost"', "it has no code"),
        ('code = "1"\ncause = "lost"\nmeaning = "x"', "nobody reads meaning"),
        ('code = "1"', "it lacks category"),
    ],
)
def test_a_faulty_entry_is_named_with_what_is_wrong(entry: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "pigeon.toml"
    head = 'system = "pigeon"\nversion = 1\n'
    file.write_text(f"{head}[[entry]]\n{entry}\n{CAUSE.format(texts=TEXTS)}", encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        load_pack(file)


def test_an_entry_may_say_a_shared_cause_in_its_own_words(tmp_path: Path) -> None:
    file = tmp_path / "pigeon.toml"
    entry = '[[entry]]\ncode = "1"\ncause = "lost"\nwho = "reception"\nde = {short = "Taube"}\n'
    head = 'system = "pigeon"\nversion = 1\n'
    file.write_text(f"{head}{entry}{CAUSE.format(texts=TEXTS)}", encoding="utf-8")
    [found] = load_pack(file).entries
    assert (found.texts["de"].short, found.texts["en"].short) == ("Taube", "en")
    assert found.texts["de"].what_happened == "A."
    assert (found.who, found.category) == ("reception", "network_fault")


@pytest.mark.parametrize(("code", "action"), [("5.4.6", "fail"), ("4.4.6", "retry")])
def test_a_recipients_forwarding_in_circles_stops_no_account_of_the_clinics(
    code: str, action: str
) -> None:
    """The usual policy of its category would: three such patients in a row, and nobody's mail went out."""
    [entry] = [each for each in shipped()["smtp_enhanced"].entries if each.code == code]
    assert entry.policy is not None
    assert PolicyAction(entry.policy["action"]) is PolicyAction(action)
    assert entry.policy["next_channel"]
