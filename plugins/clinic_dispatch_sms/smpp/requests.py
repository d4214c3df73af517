"""The bodies of our own packets, and what we read of the centre's answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from clinic_dispatch_sms.smpp.pdu import (
    BodyReader,
    Packet,
    Tlv,
    text_field,
    tlv_fields,
)
from clinic_dispatch_sms.smpp.receipts import STATES
from clinic_dispatch_sms.smpp.settings import SmppSettings

INTERFACE_VERSION = 0x34
HAS_HEADER = 0x40
_LONGEST_SHORT_MESSAGE = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class PartText:
    """One part of a text as it travels."""

    #: The user data without its header.
    octets: bytes = field(repr=False)
    data_coding: int
    number: int = 1
    total: int = 1


def bind_body(settings: SmppSettings) -> bytes:
    """bind_transceiver (4.1.5)."""
    return (
        text_field(settings.system_id, most=15)
        + text_field(settings.password, most=64)
        + text_field(settings.system_type, most=12)
        + bytes([INTERFACE_VERSION, 0, 0])
        + b"\0"
    )


def submit_body(
    part: PartText,
    settings: SmppSettings,
    *,
    address: str,
    reference: int,
    concatenation: int,
    key: str,
) -> bytes:
    """submit_sm (4.4.1) for one part.

    :param reference: what receipts may bring back (5.3.2.17).
    :param concatenation: what the parts of one text have in common.
    :param key: the attempt's key, for a provider that has a parameter for it.
    """
    ton, npi, source = settings.source
    tlvs: dict[int, bytes] = {Tlv.USER_MESSAGE_REFERENCE: reference.to_bytes(2, "big")}
    esm_class, header = 0, b""
    if part.total > 1 and settings.long == "sar":
        tlvs[Tlv.SAR_MSG_REF_NUM] = concatenation.to_bytes(2, "big")
        tlvs[Tlv.SAR_TOTAL_SEGMENTS] = bytes([part.total])
        tlvs[Tlv.SAR_SEGMENT_SEQNUM] = bytes([part.number])
    elif part.total > 1:
        esm_class = HAS_HEADER
        header = _header(part, concatenation, wide=settings.long == "udh16")
    text = header + part.octets
    if len(text) > _LONGEST_SHORT_MESSAGE:
        tlvs[Tlv.MESSAGE_PAYLOAD], text = text, b""
    if settings.key_tlv:
        tlvs[settings.key_tlv] = key.encode("ascii")
    return (
        b"\0"  # service_type
        + bytes([ton, npi])
        + text_field(source, most=20)
        + bytes([settings.dest_ton, settings.dest_npi])
        + text_field(settings.destination(address), most=20)
        + bytes([esm_class, 0, 0])
        + b"\0"  # schedule_delivery_time: at once
        + text_field(_validity(settings.validity), most=16)
        + bytes([settings.registered_delivery, 0, part.data_coding, 0, len(text)])
        + text
        + tlv_fields(tlvs)
    )


def query_body(message_id: str, settings: SmppSettings) -> bytes:
    """query_sm (4.8.1); the source must be the one the text was sent with."""
    ton, npi, source = settings.source
    return text_field(message_id, most=64) + bytes([ton, npi]) + text_field(source, most=20)


def read_message_id(packet: Packet) -> str:
    """The id in a submit_sm_resp (4.4.2); empty where there is none."""
    return BodyReader(packet.body).text().strip()


def read_state(packet: Packet) -> tuple[str, int]:
    """State and error code in a query_sm_resp (4.8.2).

    :raises BadPacketError: it cannot be read.
    """
    body = BodyReader(packet.body)
    body.text()
    body.text()
    state, error = body.number(), body.number()
    return STATES.get(state, "UNKNOWN"), error


def _header(part: PartText, concatenation: int, *, wide: bool) -> bytes:
    """User data header of a part (3GPP TS 23.040, 9.2.3.24.1 and 9.2.3.24.8)."""
    if wide:
        return bytes([6, 8, 4, *concatenation.to_bytes(2, "big"), part.total, part.number])
    return bytes([5, 0, 3, concatenation & 0xFF, part.total, part.number])


def _validity(hours: float) -> str:
    """So long from now, as the centre's relative time (7.1.1.2)."""
    if not hours:
        return ""
    minutes = max(1, round(hours * 60))
    days, minutes = divmod(minutes, 24 * 60)
    return f"0000{days:02d}{minutes // 60:02d}{minutes % 60:02d}00000R"
