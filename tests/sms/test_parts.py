"""Parts as they are billed: the examples everybody can count again, and what holds for any text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_dispatch_plugin.api import Content
from clinic_dispatch_sms.alphabet import GSM7, NATIONAL
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_sms.parts import CONCATENATION_16, parted, prepared, units_of
from clinic_dispatch_sms.saving import cheaper_texts, odd_characters, replaced, transliterated

FAMILY = "👨\u200d👩\u200d👧"
VISIT = "Здравствуйте! Напоминаем о приёме 25.11 в 10:30, кабинет 12. Клиника «Здоровье»"
CARD = "Your visit is on 25.11 at 10:30 – bring the “blue” card, please. Clinic Zdorovie, call 555-0100"
TURKISH = (
    "Sayın hastamız, randevunuz 25.11 saat 10:30'da. Lütfen 10 dakika önce geliniz. Şişli Kliniği"
)

EXAMPLES = [
    ("a" * 160, "GSM-7", 160, [160]),
    ("a" * 161, "GSM-7", 161, [153, 8]),
    ("€" * 80, "GSM-7", 160, [160]),
    ("€" * 81, "GSM-7", 162, [152, 10]),
    ("a" * 152 + "€" + "a" * 10, "GSM-7", 164, [152, 12]),
    ("a" * 306, "GSM-7", 306, [153, 153]),
    ("я" * 70, "UCS-2", 70, [70]),
    ("я" * 71, "UCS-2", 71, [67, 4]),
    ("я" * 69 + "😀", "UCS-2", 71, [67, 4]),
    ("я" * 66 + "😀" + "я" * 10, "UCS-2", 78, [66, 12]),
    ("я" * 60 + FAMILY + "я" * 10, "UCS-2", 78, [60, 18]),
    (VISIT, "UCS-2", 79, [67, 12]),
    (CARD, "UCS-2", 95, [67, 28]),
    (TURKISH, "UCS-2", 92, [67, 25]),
    ("cafe\u0301", "GSM-7", 4, [4]),
    ("", "GSM-7", 0, []),
    ("Bis Montag! \n\n", "GSM-7", 11, [11]),
    ("eins\r\nzwei", "GSM-7", 9, [9]),
    ("ç", "UCS-2", 1, [1]),
    ("Ç", "GSM-7", 1, [1]),
    # Two national flags: a pair of letters each, never parted inside.
    ("я" * 65 + "🇩🇪" * 2, "UCS-2", 73, [65, 8]),
    # A sign with more marks than a part holds is parted inside, for want of anything better.
    ("я" + "\u0301" * 80, "UCS-2", 81, [67, 14]),
]


def _units(text: str, encoding: str) -> int:
    return units_of(text) if encoding == "UCS-2" else sum(map(GSM7.septets, text))


@pytest.mark.parametrize(("text", "encoding", "units", "parts"), EXAMPLES)
def test_examples(text: str, encoding: str, units: int, parts: list[int]) -> None:
    found = parted(text)
    assert (found.encoding, found.units) == (encoding, units)
    assert [_units(part, encoding) for part in found.texts] == parts


def test_a_reference_of_two_octets_leaves_less_room() -> None:
    found = parted("a" * 306, reference=CONCATENATION_16)
    assert [len(part) for part in found.texts] == [152, 152, 2]
    assert [len(part) for part in parted("я" * 71, reference=CONCATENATION_16).texts] == [66, 5]


def test_a_national_table_is_used_where_it_saves_and_only_where_it_is_told() -> None:
    found = parted(TURKISH, language="TR")
    assert (found.encoding, found.language, found.units, found.limit) == (
        "GSM-7 (TR)",
        "TR",
        97,
        155,
    )
    assert found.parts == 1
    assert parted(TURKISH, language="ES").encoding == "UCS-2"
    assert parted("Bis Montag", language="TR").language == ""


@pytest.mark.parametrize(
    ("text", "encoding", "limit", "several"),
    [
        ("ş" * 90, "GSM-7 (TR, locking)", 152, 146),
        ("á" * 80, "GSM-7 (ES)", 155, 149),
        ("ã" * 80, "GSM-7 (PT)", 155, 149),
    ],
)
def test_what_a_national_table_costs(text: str, encoding: str, limit: int, several: int) -> None:
    [language] = [key for key in NATIONAL if f"({key}" in encoding]
    found = parted(text, language=language)
    assert (found.encoding, found.limit) == (encoding, limit)
    table = next(each for each in NATIONAL[language] if each.name == encoding)
    assert all(
        sum(map(table.septets, part)) <= several for part in found.texts[:1] if found.parts > 1
    )


def test_the_basic_table_has_its_127_characters() -> None:
    assert len(GSM7.one) == 127
    assert len(GSM7.two) == 10


def test_the_channel_measures_so() -> None:
    measure = SmsChannel([]).measure(Content(text=VISIT))
    assert (measure.characters, measure.parts, measure.encoding) == (79, 2, "UCS-2")
    assert SmsChannel([]).measure(Content(text="")).parts == 1


ANY = st.text(
    alphabet=st.sampled_from("aZ9 €[ß\n\r\tя«„é\u0301😀👍🏽🇩🇪\u200d👩ş\ufe0f❤"), max_size=400
)


@settings(max_examples=200, deadline=None)
@given(ANY)
def test_nothing_is_lost_and_no_part_is_too_long(text: str) -> None:
    found = parted(text)
    assert "".join(found.texts) == prepared(text)
    room = found.limit if found.parts == 1 else {160: 153, 70: 67}[found.limit]
    assert all(0 < _units(part, found.encoding) <= room for part in found.texts)
    assert found.units == sum(_units(part, found.encoding) for part in found.texts)
    for part in found.texts[1:]:
        assert unicodedata.combining(part[0]) == 0
        assert part[0] not in "\u200d\ufe0f"


# -- what saves a part ----------------------------------------------------------------------------


def test_signs_that_look_alike_are_offered_with_what_they_save() -> None:
    [offer] = cheaper_texts(CARD)
    assert (offer.kind, offer.parts, offer.saved) == ("signs", 1, 1)
    assert offer.text == CARD.replace("–", "-").replace("“", '"').replace("”", '"')
    assert offer.changed == (("–", "-"), ("“", '"'), ("”", '"'))


def test_letters_without_their_marks_are_offered_only_where_signs_do_not_do() -> None:
    [offer] = cheaper_texts(TURKISH)
    assert offer.kind == "letters"
    assert offer.text.startswith("Sayin hastamiz")
    assert "Lütfen" in offer.text, "what the alphabet has stays as it is"


def test_nothing_is_offered_where_nothing_is_saved() -> None:
    assert cheaper_texts("„Kurz“") == []
    assert cheaper_texts("a" * 300) == []
    assert cheaper_texts(VISIT) == [], "in a Cyrillic text quotes do not decide"


def test_latin_letters_are_offered_on_request_alone() -> None:
    [offer] = cheaper_texts(VISIT, transliterate=True)
    assert (offer.kind, offer.parts, offer.saved) == ("latin", 1, 1)
    assert offer.text.endswith('Klinika "Zdorove"')


@pytest.mark.parametrize(
    ("text", "latin"),
    [
        ("Щёлково", "Shchyolkovo"),
        ("ЩЁЛКОВО", "SHCHYOLKOVO"),
        ("Я и Ю", "Ya i Yu"),
        ("ЦРБ № 5", "TSRB № 5"),
        ("Қазақстан, Өскемен", "Qazaqstan, Oskemen"),
        ("объект съел подъезд", "obekt sel podezd"),
        ("Anna", "Anna"),
    ],
)
def test_latin_letters(text: str, latin: str) -> None:
    assert transliterated(text) == latin


def test_names_of_values_stay_as_they_are() -> None:
    text = "Здравствуйте, {{ имя }}! {% if врач %}Врач – {{ врач }}.{% endif %} Ждём вас завтра в 10:30, каб. 7"
    [offer] = cheaper_texts(text, transliterate=True)
    assert "{{ имя }}! {% if врач %}Vrach - {{ врач }}.{% endif %}" in offer.text


def test_what_makes_a_text_dear_is_named_once() -> None:
    assert odd_characters("„Ja“ – „nein“ …") == ["„", "“", "–", "…"]
    assert odd_characters("Bis Montag {9 €}") == []


def test_a_joiner_stays_inside_an_emoji_and_goes_elsewhere() -> None:
    assert replaced(f"Fa\u200dmilie {FAMILY}", {}) == f"Familie {FAMILY}"
