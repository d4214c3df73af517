"""A centre's side of SMPP 3.4: the packets it reads and the ones it writes.

Written apart from the client's own reading and writing, so that a misunderstanding of one is not shared by the other.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

GENERIC_NACK = 0x80000000
BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER = 0x01, 0x02, 0x09
QUERY_SM, SUBMIT_SM, DELIVER_SM, UNBIND = 0x03, 0x04, 0x05, 0x06
CANCEL_SM, ENQUIRE_LINK, DATA_SM = 0x08, 0x15, 0x103
RESPONSE = 0x80000000

#: A message_payload is 64 KiB at most.
LONGEST = 70_000

RECEIPTED_MESSAGE_ID, MESSAGE_STATE = 0x001E, 0x0427
USER_MESSAGE_REFERENCE, MESSAGE_PAYLOAD = 0x0204, 0x0424
SAR = (0x020C, 0x020E, 0x020F)
VENDOR = range(0x1400, 0x4000)


class FramingError(Exception):
    """The stream holds no packets any more."""


class FieldError(Exception):
    """A packet whose fields cannot be read.

    :param status: the command status to answer with.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"0x{status:08X}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Pdu:
    """One packet as it came."""

    command: int
    status: int
    sequence: int
    body: bytes


def cut(buffer: bytearray) -> Pdu | None:
    """Take the first whole packet out of a buffer; None: there is none yet.

    :raises FramingError: its length is impossible.
    """
    if len(buffer) < 16:
        return None
    length, command, status, sequence = struct.unpack(">LLLL", buffer[:16])
    if length < 16 or length > LONGEST:
        raise FramingError(f"a packet of {length} octets")
    if len(buffer) < length:
        return None
    body = bytes(buffer[16:length])
    del buffer[:length]
    return Pdu(command, status, sequence, body)


def pack(command: int, sequence: int, body: bytes = b"", *, status: int = 0) -> bytes:
    """A packet as bytes."""
    return struct.pack(">LLLL", 16 + len(body), command, status, sequence) + body


class Fields:
    """Takes a body apart from its front."""

    def __init__(self, body: bytes) -> None:
        self._left = body

    def cstring(self, most: int) -> str:
        """A text with its NUL, ``most`` octets together.

        :raises FieldError: it is longer or has no end.
        """
        text, nul, rest = self._left.partition(b"\0")
        if not nul or len(text) >= most:
            raise FieldError(0x02)
        self._left = rest
        return text.decode("latin-1")

    def byte(self) -> int:
        """One octet."""
        return self.take(1)[0]

    def take(self, count: int) -> bytes:
        """So many octets.

        :raises FieldError: there are fewer.
        """
        if len(self._left) < count:
            raise FieldError(0x02)
        taken, self._left = self._left[:count], self._left[count:]
        return taken

    def optional(self) -> dict[int, bytes]:
        """All optional parameters.

        :raises FieldError: one is cut off.
        """
        found = {}
        while self._left:
            if len(self._left) < 4:
                raise FieldError(0xC0)
            tag, length = struct.unpack(">HH", self.take(4))
            if len(self._left) < length:
                raise FieldError(0xC2)
            found[tag] = self.take(length)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """What a client says when it binds."""

    system_id: str
    password: str = field(repr=False)
    version: int


def read_bind(body: bytes) -> Bind:
    """Read a bind of any kind (4.1)."""
    fields = Fields(body)
    # A password has 8 characters in the standard; centres in use take longer ones.
    system_id, password = fields.cstring(16), fields.cstring(65)
    fields.cstring(13)
    version = fields.byte()
    fields.take(2)
    fields.cstring(41)
    return Bind(system_id=system_id, password=password, version=version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """One text (or a part of one) as it was handed in."""

    source: str
    source_ton: int
    source_npi: int
    destination: str
    dest_ton: int
    dest_npi: int
    esm_class: int
    validity: str
    registered: int
    data_coding: int
    text: bytes = field(repr=False)
    optional: Mapping[int, bytes]


def read_submit(body: bytes) -> Submit:
    """Read a submit_sm (4.4.1).

    :raises FieldError: with the status that says which rule it breaks.
    """
    fields = Fields(body)
    fields.cstring(6)
    source_ton, source_npi, source = fields.byte(), fields.byte(), fields.cstring(21)
    dest_ton, dest_npi, destination = fields.byte(), fields.byte(), fields.cstring(21)
    esm_class = fields.byte()
    fields.take(2)
    if len(fields.cstring(17)) not in (0, 16):
        raise FieldError(0x61)
    validity = fields.cstring(17)
    if len(validity) not in (0, 16):
        raise FieldError(0x62)
    registered = fields.byte()
    fields.byte()
    data_coding = fields.byte()
    fields.byte()
    length = fields.byte()
    if length > 254:
        raise FieldError(0x01)
    short = fields.take(length)
    optional = fields.optional()
    payload = optional.get(MESSAGE_PAYLOAD, b"")
    if short and payload:
        raise FieldError(0x01)
    return Submit(
        source=source,
        source_ton=source_ton,
        source_npi=source_npi,
        destination=destination,
        dest_ton=dest_ton,
        dest_npi=dest_npi,
        esm_class=esm_class,
        validity=validity,
        registered=registered,
        data_coding=data_coding,
        text=short or payload,
        optional=optional,
    )


def deliver_body(
    submit: Submit, text: str, *, esm_class: int, optional: Mapping[int, bytes]
) -> bytes:
    """A deliver_sm that goes back to whoever handed in this text (4.6.1): its addresses are the other way round."""
    short = text.encode("latin-1", "replace")[:254]
    return (
        b"\0"
        + bytes([submit.dest_ton, submit.dest_npi])
        + submit.destination.encode("latin-1")
        + b"\0"
        + bytes([submit.source_ton, submit.source_npi])
        + submit.source.encode("latin-1")
        + b"\0"
        + bytes([esm_class, 0, 0])
        + b"\0\0"
        + bytes([0, 0, 0, 0, len(short)])
        + short
        + b"".join(struct.pack(">HH", tag, len(value)) + value for tag, value in optional.items())
    )
