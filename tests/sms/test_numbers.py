"""Numbers as they stand in patients' files: the first mobile one counts, and what is none is named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_dispatch_plugin.api import InvalidAddress
from clinic_dispatch_sms.numbers import normalised

KAZAKH, GERMAN = "+77011234567", "+491701234567"

GOOD = [
    ("KZ", "8-701-123-45-67", KAZAKH),
    ("KZ", "8 (701) 1234567", KAZAKH),
    ("KZ", "+7 701 123 45 67", KAZAKH),
    ("KZ", "7701 1234567", KAZAKH),
    ("KZ", "701 123 45 67", KAZAKH),
    ("DE", "+7 701 123-45-67", KAZAKH),
    ("KZ", "8 7172 55-66-77, 8 701 123 45 67", KAZAKH),
    ("KZ", "дом. 8 7172 55-66-77 моб. 8 701 123 45 67", KAZAKH),
    ("KZ", "8 701 123 45 67 (мама)", KAZAKH),
    ("KZ", "+77011234567 / +77021234567", KAZAKH),
    ("DE", "0170/1234567", GERMAN),
    ("DE", "030 901820 / 0170 1234567", GERMAN),
    ("DE", "030 901820/0170 1234567", GERMAN),
    ("DE", "030 901820; 0170 1234567", GERMAN),
    ("DE", "030 901820\n0170 1234567", GERMAN),
    ("DE", "+49 (0)170 1234567", GERMAN),
    ("DE", "0049 170 12 34 56 7", GERMAN),
    ("DE", "Tel.: 0170-1234567 (nach 18 Uhr)", GERMAN),
    ("DE", "Abends 18-20 Uhr: 0170 1234567", GERMAN),
    ("DE", "0170 1234567 oder 0171 7654321", GERMAN),
    ("DE", "+491701234567+491711234567", GERMAN),
    ("DE", "０１７０１２３４５６７", GERMAN),
    ("DE", "\u202a+49\u00a0170 1234567\u202c", GERMAN),
    ("DE", "030 901820 Durchwahl 12, 0170 1234567", GERMAN),
]
BAD = [
    ("KZ", "", "no_address"),
    ("KZ", "нет", "no_address"),
    ("DE", "keine", "no_address"),
    ("KZ", "8 7172 55-66-77", "landline"),
    ("DE", "+49 30 901820-12", "landline"),
    ("DE", "030 901820; 110", "landline"),
    ("RU", "8 916 123-45-67 доб. 12", "landline"),
    ("DE", "0170 1234567 ext. 12", "landline"),
    ("KZ", "103", "short_number"),
    ("DE", "110", "short_number"),
    ("DE", "22 8 33", "short_number"),
    ("DE", "0800 3301000", "short_number"),
    ("DE", "0900 1 123456", "short_number"),
    ("DE", "0170 12", "malformed_address"),
    ("DE", "+49 170", "malformed_address"),
    # Cut shorter, these would be somebody else's numbers.
    ("DE", "0170 123 4567 89012", "malformed_address"),
    ("DE", "0170 1234567 0171 1234567", "malformed_address"),
    ("DE", "00000000", "malformed_address"),
    ("DE", "0170\x001234567", "malformed_address"),
    ("DE", "0170 1234567 " * 60, "malformed_address"),
]


@pytest.mark.parametrize(("region", "raw", "number"), GOOD)
def test_a_mobile_number_is_found(region: str, raw: str, number: str) -> None:
    assert normalised(raw, region=region) == number
    assert normalised(number, region="DE") == number


@pytest.mark.parametrize(("region", "raw", "code"), BAD)
def test_what_is_none_is_named(region: str, raw: str, code: str) -> None:
    with pytest.raises(InvalidAddress) as caught:
        normalised(raw, region=region)
    assert (caught.value.answer.system, caught.value.answer.code) == ("dispatch", code)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789+-/(),; .xextабв\n", max_size=60))
def test_whatever_stands_there_has_one_answer(raw: str) -> None:
    try:
        number = normalised(raw, region="KZ")
    except InvalidAddress:
        return
    assert normalised(number, region="DE") == number
    assert number[-7:] in "".join(each for each in raw if each.isdigit()), "no digit is made up"
