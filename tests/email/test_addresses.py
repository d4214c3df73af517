"""Addresses as they stand in patients' files."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_dispatch_email import addresses
from clinic_dispatch_email.addresses import is_sendable, normalised
from clinic_dispatch_plugin.api import InvalidAddress


def refused(raw: str) -> str:
    with pytest.raises(InvalidAddress) as caught:
        normalised(raw)
    assert caught.value.answer.system == "dispatch"
    return caught.value.answer.code


@pytest.mark.parametrize(
    ("raw", "address"),
    [
        ("anna@x.de", "anna@x.de"),
        ("  anna@x.de  ", "anna@x.de"),
        ("Anna.Berger@X.DE", "Anna.Berger@x.de"),
        ("anna@müller.de", "anna@xn--mller-kva.de"),
        ("анна@почта.рф", "анна@xn--80a1acny.xn--p1ai"),
        ("anna@x.de (Tochter)", "anna@x.de"),
        ("(Tochter) anna@x.de", "anna@x.de"),
        ("Tochter: anna@x.de", "anna@x.de"),
        ("Anna Berger <anna@x.de>", "anna@x.de"),
        ('"Berger, Anna" <anna@x.de>', "anna@x.de"),
        ("<anna@x.de>", "anna@x.de"),
        ("mailto:anna@x.de", "anna@x.de"),
        ("E-Mail:anna@x.de", "anna@x.de"),
        ("anna@x.de.", "anna@x.de"),
        ("anna@x.de, otto@y.de", "anna@x.de"),
        ("anna@x.de; otto@y.de", "anna@x.de"),
        ("anna@x.de otto@y.de", "anna@x.de"),
        ("anna@x.de / otto@y.de", "anna@x.de"),
        ("anna@x; otto@y.de", "otto@y.de"),
        ("keine, otto@y.de", "otto@y.de"),
        ("\u200banna@x.de\u200f", "anna@x.de"),
        ("\ufeffanna@x.de\u00a0", "anna@x.de"),
        ("anna+termin@x.de", "anna+termin@x.de"),
        ("o'brien@x.de", "o'brien@x.de"),
        ("anna@patient.test", "anna@patient.test"),
    ],
)
def test_the_first_valid_address_of_a_field_counts(raw: str, address: str) -> None:
    assert normalised(raw) == address


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "   ",
        "-",
        "--",
        "—",
        "keine",
        "Keine!",
        "k.A.",
        "n/a",
        "N/A",
        "none",
        "unbekannt",
        "нет",
        "Нет почты",
        "не указан",
        "(keine)",
        "0",
        "x",
        "\u200b",
        "hat keine E-Mail",
    ],
)
def test_placeholders_mean_that_there_is_no_address(raw: str) -> None:
    assert refused(raw) == "no_address"


@pytest.mark.parametrize(
    "raw",
    [
        "anna",
        "0176 1234567",
        "anna@",
        "@x.de",
        "anna@x",
        "anna@@x.de",
        "anna @x.de",
        "anna berger@x.de",
        "Frau Berger anna@x.de",
        ".anna@x.de",
        "anna.@x.de",
        "an..na@x.de",
        "anna@x..de",
        "anna@-x.de",
        "anna@x.de\r\nBcc: otto@y.de",
        "anna@x.de\n",
        "anna\0@x.de",
        "anna@[127.0.0.1]",
        "anna@127.0.0.1",
        '"anna b"@x.de',
        "a" * 65 + "@x.de",
        "anna@" + "x" * 64 + ".de",
        "anna@" + "x." * 130 + "de",
        "\ud800@x.de",
        "anna@\udcff.de",
        "anna@x.de" * 100_000,
        "<" * 1_990 + "@",
        '"' * 1_990 + "@",
    ],
)
def test_what_is_no_address_is_called_malformed(raw: str) -> None:
    assert refused(raw) == "malformed_address"


@given(st.text(max_size=200) | st.from_regex(r"\A[\w\"<>(),; .@-]{0,60}\Z"))
def test_whatever_stands_there_is_an_address_for_the_wire_or_refused(raw: str) -> None:
    try:
        address = normalised(raw)
    except InvalidAddress as error:
        address, code = "", error.answer.code
    if address:
        assert is_sendable(address)
        assert normalised(address) == address
    else:
        assert code in {"no_address", "malformed_address"}


@pytest.mark.parametrize(
    "address",
    [
        "anna",
        "a b@x.de",
        "a@x.de>",
        "a@x.de\r\n",
        "<a@x.de",
        "a@b@c.de",
        "a@müller.de",
        "a\x7f@x.de",
        "\ud800@x.de",
        "a" * 250 + "@x.de",
        "a@",
        "@x.de",
        "a\u2028\x85b@x.de",
        "a,b@x.de",
    ],
)
def test_an_address_that_would_change_a_command_is_not_sendable(address: str) -> None:
    assert not is_sendable(address)


_LOCALS = st.from_regex(r"[A-Za-z0-9_+.\-ü\"' ]{0,70}", fullmatch=True) | st.sampled_from(
    ["Info", "POSTMASTER", "a" * 64, "a" * 65, "a..b", ".a", "a.", "a\n"]
)
_DOMAINS = st.sampled_from(
    [
        "example.org",
        "EXAMPLE.org",
        "bücher.example",
        "test",
        "a" * 64 + ".org",
        "-a.org",
        "",
        "a b.c",
        ".".join(["a" * 60] * 4),
        ".".join(["a" * 60] * 3),
        "[127.0.0.1]",
        "example.org\n",
    ]
)


@given(_LOCALS, _DOMAINS)
def test_a_known_domain_saves_time_and_changes_no_verdict(local: str, domain: str) -> None:
    address = f"{local}@{domain}"
    assert _said(addresses.validated, address) == _said(addresses._checked, address)


def _said(check: Callable[[str], str], address: str) -> str:
    try:
        return check(address)
    except InvalidAddress as error:
        return repr(error.answer)
