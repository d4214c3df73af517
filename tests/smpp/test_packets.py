"""Bytes and packets: whole ones, cut ones, and whatever anybody may send."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_dispatch_plugin.simulators.smpp import packets as centre
from clinic_dispatch_sms.smpp.pdu import (
    LONGEST,
    BadPacketError,
    BodyReader,
    Command,
    NotSmppError,
    Packet,
    PacketReader,
    text_field,
    tlv_fields,
)
from clinic_dispatch_sms.smpp.receipts import Incoming, Receipt, read_delivery

packets = st.builds(
    Packet,
    st.sampled_from([int(each) for each in Command]),
    st.integers(0, 0xFFFFFFFF),
    st.integers(1, 0x7FFFFFFF),
    st.binary(max_size=300),
)


@given(st.lists(packets, max_size=5), st.integers(1, 40))
def test_packets_come_out_as_they_went_in_however_the_network_cuts_them(
    sent: list[Packet], step: int
) -> None:
    data = b"".join(each.encode() for each in sent)
    reader = PacketReader()
    found = [each for at in range(0, len(data), step) for each in reader.feed(data[at : at + step])]
    assert found == sent


@given(packets)
def test_both_sides_read_the_same_packet(packet: Packet) -> None:
    buffer = bytearray(packet.encode())
    pdu = centre.cut(buffer)
    assert pdu is not None and not buffer
    assert (pdu.command, pdu.status, pdu.sequence, pdu.body) == (
        packet.command,
        packet.status,
        packet.sequence,
        packet.body,
    )


@given(st.binary(max_size=400))
def test_any_bytes_are_packets_or_refused(data: bytes) -> None:
    reader = PacketReader()
    with contextlib.suppress(NotSmppError):
        for packet in reader.feed(data):
            with contextlib.suppress(BadPacketError):
                read_delivery(packet)


@given(st.sampled_from([Command.DELIVER_SM, Command.DATA_SM]), st.binary(max_size=400))
def test_any_delivery_is_read_or_refused(command: Command, body: bytes) -> None:
    with contextlib.suppress(BadPacketError):
        assert isinstance(read_delivery(Packet(command, 0, 1, body)), Receipt | Incoming)


@given(st.binary(max_size=300))
def test_the_centre_reads_any_bind_and_any_text_or_names_the_rule(body: bytes) -> None:
    for read in (centre.read_bind, centre.read_submit):
        with contextlib.suppress(centre.FieldError):
            read(body)


@pytest.mark.parametrize("length", [0, 15, LONGEST + 1, 0xFFFFFFFF])
def test_an_impossible_length_ends_the_stream(length: int) -> None:
    head = length.to_bytes(4, "big") + bytes(12)
    with pytest.raises(NotSmppError):
        list(PacketReader().feed(head))
    with pytest.raises(centre.FramingError):
        centre.cut(bytearray(head))


def test_what_is_whole_before_rubbish_counts() -> None:
    reader = PacketReader()
    stream = reader.feed(Packet(Command.ENQUIRE_LINK, 0, 7).encode() + b"<html>It works!</html>")
    assert next(stream).sequence == 7
    with pytest.raises(NotSmppError):
        next(stream)


def test_a_text_that_the_packet_cuts_off_counts_and_an_endless_one_does_not() -> None:
    assert BodyReader(b"4711").text() == "4711"
    assert BodyReader(b"4711\0rest").text() == "4711"
    with pytest.raises(BadPacketError):
        BodyReader(b"x" * 300).text()


def test_optional_parameters_unknown_and_cut_off() -> None:
    data = tlv_fields({0x1400: b"own", 0x001E: b"17\0"})
    assert BodyReader(data).tlvs() == {0x1400: b"own", 0x001E: b"17\0"}
    assert BodyReader(data[:-1]).tlvs() == {0x1400: b"own"}


@pytest.mark.parametrize("text", ["x" * 12, "a\0b"])
def test_a_field_holds_no_more_than_it_may(text: str) -> None:
    with pytest.raises(ValueError, match="at most 11"):
        text_field(text, most=11)
