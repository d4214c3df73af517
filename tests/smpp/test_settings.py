"""The URL of a message centre, and how a text becomes requests."""

from __future__ import annotations

from typing import Any

import pytest
import smpplib.client
import smpplib.smpp
from hypothesis import given
from hypothesis import strategies as st

from clinic_dispatch_plugin.api import ConfigurationError, Content, GatewayUrl
from clinic_dispatch_plugin.simulators.smpp.packets import MESSAGE_PAYLOAD, Submit, read_submit
from clinic_dispatch_sms import alphabet
from clinic_dispatch_sms.parts import prepared
from clinic_dispatch_sms.settings import URL
from clinic_dispatch_sms.smpp.pdu import Command, Packet
from clinic_dispatch_sms.smpp.settings import Source, read_settings
from clinic_dispatch_sms.smpp.texts import GSM_OCTETS, Composer
from tests.smpp.making import PASSWORD, a_message, settings_of

_LETTERS = {octets: letter for letter, octets in GSM_OCTETS.items()}


def in_letters(octets: bytes) -> str:
    """GSM octets as a phone shows them."""
    text, at = "", 0
    while at < len(octets):
        size = 2 if octets[at] == 0x1B else 1
        text += _LETTERS[octets[at : at + size]]
        at += size
    return text


def submits(text: str, options: str = "", **changed: Any) -> list[Submit]:
    """The text's requests as the centre reads them."""
    message = a_message(content=Content(text=text), **changed)
    bodies = Composer(settings_of(options)).compose(message).bodies
    return [read_submit(body) for body in bodies]


# The URL


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("smpp://a:b@h", "say who the texts are from"),
        ("smpp://a:b@/?sender=K", "name the message centre"),
        ("smpp://a:b@h/?sender=Klinik%20am%20Park", "at most 11"),
        ("smpp://a:b@h/?sender=Kl%C3%ADnik", "ASCII"),
        ("smpp://sixteen-letters0:b@h/?sender=K", "system_id has at most 15"),
        ("smpp://a:b@h/?sender=K&window=0", "window is '0'"),
        ("smpp://a:b@h/?sender=K&connections=101", "from 1 to 100"),
        ("smpp://a:b@h/?sender=K&long=pigeon", "udh, udh16, sar, payload"),
        ("smpp://a:b@h/?sender=K&key_tlv=0x0204", "0x1400 to 0x3FFF"),
        ("smpp://a:b@h/?sender=K&key_tlv=none", "0x1400 to 0x3FFF"),
        ("smpp://a:b@h/?sender=K&tls=perhaps", "write on or off"),
        ("smpp://a:b@h/?sender=K&receipts=some", "all, failures, off"),
        ("smpp://a:b@h/?sender=K&windows=5", "is no option"),
    ],
)
def test_a_wrong_url_says_what_to_write(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parsed = GatewayUrl(URL, url)
        read_settings(parsed)
        parsed.done()
    assert said in str(caught.value)


def test_no_secret_is_shown() -> None:
    settings = settings_of()
    assert settings.password == PASSWORD
    assert PASSWORD not in repr(settings) + str(settings) + settings.label


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ("", ("smpp.example", 2775, False)),
        ("tls=on", ("smpp.example", 3550, True)),
        ("base_url=http%3A%2F%2F127.0.0.1%3A9", ("127.0.0.1", 9, False)),
        ("base_url=https%3A%2F%2Fother.example", ("other.example", 3550, True)),
    ],
)
def test_where_the_centre_is(options: str, place: tuple[str, int, bool]) -> None:
    settings = settings_of(options)
    assert (settings.host, settings.port, settings.tls) == place


@pytest.mark.parametrize(
    ("sender", "source"),
    [
        ("Klinik", Source(5, 0, "Klinik")),
        ("%2B4915112345678", Source(1, 1, "4915112345678")),
        ("77111", Source(3, 0, "77111")),
        ("77111&source_ton=0", Source(0, 0, "77111")),
    ],
)
def test_the_kind_of_sender_is_told_by_its_looks(sender: str, source: Source) -> None:
    url = GatewayUrl(URL, f"smpp://a:b@h/?sender={sender}")
    assert read_settings(url).source == source


# The text


def test_the_octets_of_septets_are_those_of_the_alphabet() -> None:
    assert {each for each, octets in GSM_OCTETS.items() if len(octets) == 1} == alphabet.BASIC
    assert {each for each, octets in GSM_OCTETS.items() if len(octets) == 2} == alphabet.EXTENSION
    assert GSM_OCTETS["@"] == b"\0" and GSM_OCTETS["à"] == b"\x7f" and GSM_OCTETS["€"] == b"\x1be"


def test_a_short_text_is_one_request() -> None:
    (submit,) = submits("Grüße, 5 € [an]", "validity=36&receipts=failures")
    assert (submit.source, submit.source_ton, submit.source_npi) == ("Klinik", 5, 0)
    assert (submit.destination, submit.dest_ton, submit.dest_npi) == ("4915120000001", 1, 1)
    assert (submit.esm_class, submit.data_coding, submit.registered) == (0, 0, 2)
    assert submit.validity == "000001120000000R"
    assert in_letters(submit.text) == "Grüße, 5 € [an]"


def test_a_text_beyond_septets_goes_in_units() -> None:
    (submit,) = submits("Приём завтра 😀")
    assert submit.data_coding == 8
    assert submit.text.decode("utf-16-be") == "Приём завтра 😀"


@pytest.mark.parametrize(("long", "head"), [("udh", 6), ("udh16", 7)])
def test_a_long_text_has_a_header_in_each_part(long: str, head: int) -> None:
    text = "[" * 200
    parts = submits(text, f"long={long}")
    assert [each.esm_class for each in parts] == [0x40] * len(parts)
    assert [each.text[head - 2 : head] for each in parts] == [
        bytes([len(parts), number]) for number in range(1, len(parts) + 1)
    ]
    assert len({each.text[: head - 1] for each in parts}) == 1, "they belong together"
    assert in_letters(b"".join(each.text[head:] for each in parts)) == text


def test_a_long_text_by_parameters_or_in_one_piece() -> None:
    by_parameters = submits("я" * 200, "long=sar")
    assert [each.esm_class for each in by_parameters] == [0] * 4
    assert [each.optional[0x020F] for each in by_parameters] == [b"\1", b"\2", b"\3", b"\4"]
    (whole,) = submits("я" * 200, "long=payload")
    assert whole.optional[MESSAGE_PAYLOAD].decode("utf-16-be") == "я" * 200


def test_two_long_texts_do_not_mix_on_one_phone() -> None:
    composer = Composer(settings_of())
    message = a_message(content=Content(text="x" * 200))
    first, second = (read_submit(composer.compose(message).bodies[0]) for _ in range(2))
    assert first.text[:4] != second.text[:4]


def test_a_centre_that_means_latin_1_gets_it_and_the_euro_in_units() -> None:
    (plain,) = submits("Grüße à 5 £", "alphabet=latin1")
    assert (plain.data_coding, plain.text.decode("latin-1")) == (3, "Grüße à 5 £")
    parts = submits("5 € " * 30, "alphabet=latin1")
    assert [each.data_coding for each in parts] == [8, 8]
    assert max(len(each.text) for each in parts) <= 140


@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=400), st.sampled_from(["udh", "sar"])
)
def test_any_text_arrives_as_it_was_and_no_part_is_too_long(text: str, long: str) -> None:
    parts = submits(text, f"long={long}")
    assert all(each.source == "Klinik" for each in parts)
    cut = 6 if long == "udh" and len(parts) > 1 else 0
    bodies = [each.text[cut:] for each in parts]
    if parts[0].data_coding == 8:
        assert all(len(each.text) <= 140 for each in parts)
        found = "".join(each.decode("utf-16-be") for each in bodies)  # no pair is cut
    else:
        assert all(len(each) <= (160 if len(parts) == 1 else 153) for each in bodies)
        found = "".join(map(in_letters, bodies))  # no escape is cut
    assert found == prepared(text)


def test_more_parts_than_can_be_numbered_are_refused() -> None:
    with pytest.raises(ValueError, match="255 are the most"):
        submits("я" * 20_000)


def test_another_library_reads_our_request_alike() -> None:
    settings = settings_of("key_tlv=0x1401")
    body = Composer(settings).compose(a_message()).bodies[0]
    data = Packet(Command.SUBMIT_SM, 0, 7, body).encode()
    client = smpplib.client.Client("127.0.0.1", 1, allow_unknown_opt_params=True)
    pdu = smpplib.smpp.parse_pdu(data, client=client, allow_unknown_opt_params=True)
    assert (pdu.command, pdu.sequence) == ("submit_sm", 7)
    assert (pdu.source_addr, pdu.destination_addr) == (b"Klinik", b"4915120000001")
    assert (pdu.short_message, pdu.registered_delivery) == (b"Bis Montag!", 1)
    assert pdu.user_message_reference is not None
