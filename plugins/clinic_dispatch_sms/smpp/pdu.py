"""The packets of SMPP 3.4 (section 3.2): bytes to packets and packets to bytes, never more than is bounded."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

HEADER = struct.Struct(">IIII")
_TLV = struct.Struct(">HH")

#: A message_payload holds 64 KiB at most (5.3.2.32); all else in a packet is small.
LONGEST = 70_000
#: Longest text field of the protocol: a message id is 65 octets with its end, some centres write more.
LONGEST_TEXT = 255
HIGHEST_SEQUENCE = 0x7FFFFFFF
ANSWER = 0x80000000


class Command(IntEnum):
    """The packets we send or understand (5.1.2.1)."""

    GENERIC_NACK = 0x80000000
    QUERY_SM = 0x00000003
    SUBMIT_SM = 0x00000004
    DELIVER_SM = 0x00000005
    UNBIND = 0x00000006
    BIND_TRANSCEIVER = 0x00000009
    ENQUIRE_LINK = 0x00000015
    ALERT_NOTIFICATION = 0x00000102
    DATA_SM = 0x00000103


class Tlv(IntEnum):
    """The optional parameters we send or read (5.3.2)."""

    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


class NotSmppError(Exception):
    """What came is no packet of the protocol; nothing after it can be trusted."""


class BadPacketError(Exception):
    """A whole packet whose inside cannot be read; what follows it can."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet."""

    command: int
    status: int
    sequence: int
    body: bytes = field(default=b"", repr=False)

    @property
    def is_answer(self) -> bool:
        """Whether it answers one of ours."""
        return bool(self.command & ANSWER)

    def encode(self) -> bytes:
        """Return its bytes."""
        length = HEADER.size + len(self.body)
        return HEADER.pack(length, self.command, self.status, self.sequence) + self.body


class PacketReader:
    """Puts packets together from bytes as they come."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Take bytes, give the packets they complete, one by one.

        :raises NotSmppError: the rest are no packets.
        """
        self._rest += data
        at, end = 0, len(self._rest)
        try:
            while end - at >= HEADER.size:
                length, command, status, sequence = HEADER.unpack_from(self._rest, at)
                if not HEADER.size <= length <= LONGEST:
                    raise NotSmppError(f"a packet of {length} octets")
                if end - at < length:
                    return
                body = self._rest[at + HEADER.size : at + length]
                at += length
                yield Packet(command, status, sequence, body)
        finally:
            self._rest = self._rest[at:]


class BodyReader:
    """Reads the fields of a packet one after the other.

    Each method raises :class:`BadPacketError` where the field is not there.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def number(self) -> int:
        """One octet."""
        return self.octets(1)[0]

    def octets(self, count: int) -> bytes:
        """So many octets."""
        found = self._body[self._at : self._at + count]
        if len(found) < count:
            raise BadPacketError("the packet ends within a field")
        self._at += count
        return found

    def text(self) -> str:
        """A text that ends with NUL (3.1); one that the packet's end cuts off counts, as some centres write it."""
        end = self._body.find(b"\0", self._at)
        if end < 0:
            end = len(self._body)
        found = self._body[self._at : end]
        if len(found) > LONGEST_TEXT:
            raise BadPacketError("a text without end")
        self._at = min(end + 1, len(self._body))
        return found.decode("latin-1")

    def tlvs(self) -> dict[int, bytes]:
        """The optional parameters; unknown ones are kept, what is cut off is left out (3.3)."""
        found: dict[int, bytes] = {}
        while len(self._body) - self._at >= _TLV.size:
            tag, length = _TLV.unpack_from(self._body, self._at)
            value = self._body[self._at + _TLV.size : self._at + _TLV.size + length]
            if len(value) < length:
                break
            self._at += _TLV.size + length
            found.setdefault(tag, value)
        return found


def text_field(text: str, *, most: int) -> bytes:
    """A text with its NUL.

    :param most: octets without the NUL.
    :raises ValueError: it is longer, or holds what the field cannot.
    """
    data = text.encode("latin-1")
    if len(data) > most or b"\0" in data:
        raise ValueError(f"at most {most} characters fit here")
    return data + b"\0"


def tlv_fields(values: Mapping[int, bytes]) -> bytes:
    """Optional parameters as bytes."""
    return b"".join(_TLV.pack(tag, len(value)) + value for tag, value in values.items())
